"""A server's certificate, reloaded when its files change, so that a renewal needs no restart. Open connections keep the old one."""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LOOK_EVERY: Final = timedelta(seconds=10)
"""Interval of checking for a new certificate. A check is two `stat`, some microseconds."""
_MOST_BYTES: Final = 1 << 20


class ServerCertificate:
    """The certificate chain and key that were read last. Thread-safe.

    If a new pair cannot be used, the previous one stays in use, and the fault is logged.
    """

    def __init__(
        self,
        name: str,
        cert_pem: bytes,
        key_pem: bytes,
        files: tuple[Path, Path] | None = None,
        every: timedelta = LOOK_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with the given pair.

        Args:
            name: of the role, for the log.
            cert_pem: the chain.
            key_pem: its key.
            files: the files of chain and key, checked for changes; None: the pair never changes.
            every: time between two checks.
            clock: measures that time.
        """
        self.cert_pem, self.key_pem = cert_pem, key_pem
        self._name = name
        self._files = files
        self._every_s = every.total_seconds()
        self._clock = clock
        self._looked = clock()
        self._seen = self._stamp()
        self._lock = threading.Lock()

    def reload_if_changed(self) -> bool:
        """Read the files again if they changed, and return whether the pair changed. Checks at most once in `every`."""
        with self._lock:
            now = self._clock()
            if self._files is None or now - self._looked < self._every_s:
                return False
            self._looked = now
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            self._seen = stamp
            return self._reload(*self._files)

    def _reload(self, *files: Path) -> bool:
        try:
            cert_pem, key_pem = (_read(file) for file in files)
            tls_context(cert_pem, key_pem)
        except (OSError, ValueError) as error:  # OSError of the file system, and errors of ssl
            reason = error.strerror if isinstance(error, OSError) else str(error)
            log.warning(
                "tls_certificate_unusable",
                server=self._name,
                error=reason,
                hint="the previous certificate stays in use",
            )
            return False
        if (cert_pem, key_pem) == (self.cert_pem, self.key_pem):
            return False
        self.cert_pem, self.key_pem = cert_pem, key_pem
        log.info("tls_certificate_changed", server=self._name)
        return True

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_stamp_of(file) for file in self._files or ())


def tls_context(cert_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Return a server's TLS context, for TLS 1.2 at least.

    Raises:
        ssl.SSLError: certificate and key cannot be used together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pair(context, cert_pem, key_pem)
    return context


def load_pair(context: ssl.SSLContext, cert_pem: bytes, key_pem: bytes) -> None:
    """Make a context present this certificate from now on."""
    # Python reads certificates only from files; this one is private and deleted at once.
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.touch(0o600)
        pem.write_bytes(key_pem + b"\n" + cert_pem)
        context.load_cert_chain(pem)


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES)


def _stamp_of(file: Path) -> tuple[int, ...]:
    try:
        stat = file.stat()
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
