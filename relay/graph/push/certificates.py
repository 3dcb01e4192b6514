"""Certificates that notifications are encrypted for, and their private keys.

    <folder>/2026-11.pem     certificate and private key, PEM, in one file; its id is `2026-11.` and eight digits of its thumbprint

New subscriptions name the newest certificate (by the time from which it is valid). To rotate, put another file beside the
old ones. Workers load it within seconds, and subscriptions use it from their next renewal. Delete the old file when no
subscription names it any more. Or put another certificate into the same file, as cert-manager does: it has another id,
so subscriptions use it at once, and notifications in transit are opened with the former key for some minutes. A
self-signed certificate suffices, because Graph only uses its key.
"""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from relay.core.textfile import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

SUFFIX: Final = ".pem"
KEY_BITS: Final = range(2048, 4097)
"""Graph takes RSA keys of 2,048 to 4,096 bits."""
NEW_KEY_BITS: Final = 2048
"""Opening a notification costs 0.3 ms with such a key, 1.6 ms with one of 4,096 bits."""
LIFETIME: Final = timedelta(days=365)
FORMER_OPENS_FOR: Final = timedelta(minutes=10)
"""A removed certificate still opens notifications for this long: its subscriptions are renewed with another one within
seconds, and Graph retries failed deliveries. After that, a notification marks its users for a read."""

_ID_DIGITS: Final = 8
_NAME: Final = re.compile(
    r"[A-Za-z0-9][\w.-]{0,118}", re.ASCII
)  # with a point and the digits 128 characters, Graph's limit
_MOST_BYTES: Final = 64 * 1024
_LOOK_EVERY_S: Final = 10.0
_LOOK_AGAIN_S: Final = 1.0
_Files: TypeAlias = frozenset[tuple[str, int, int, int]]


class CertificatesInvalid(ValueError):
    """A folder cannot be used; the text names the file and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate with its key.

    Attributes:
        certificate_id: its id with Graph and here: its name, and digits of its thumbprint.
        public: base64 of its DER form, as Graph wants it.
        private_key: its key.
        thumbprint: SHA-1 of the DER form, hex in upper case, as Graph names it in notifications.
        begins: start of its validity.
        ends: end of its validity.
    """

    certificate_id: str
    public: str = field(repr=False)
    private_key: rsa.RSAPrivateKey = field(repr=False)
    thumbprint: str
    begins: datetime
    ends: datetime

    @property
    def name(self) -> str:
        """Return the name of its file, without the suffix."""
        return self.certificate_id.rpartition(".")[0]


class Certificates:
    """The loaded certificates; at least one. Certificates loaded from a folder follow it at each call of `reload_if_changed`."""

    def __init__(self, certificates: tuple[Certificate, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._folder: Path | None = None
        self._by_id: dict[str, Certificate] = {}
        self._former: dict[str, tuple[Certificate, float]] = {}
        self._files: _Files = frozenset()
        self._look_every_s = _LOOK_EVERY_S
        self._looked_at = clock()
        self._take(certificates)

    @classmethod
    def load(
        cls, folder: str | Path, look_every_s: float = _LOOK_EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> Certificates:
        """Return the certificates in a folder; files that do not end in `.pem` are ignored.

        Args:
            folder: contains the files.
            look_every_s: time between two checks for changes, unless one is urgent.
            clock: for checks, and for the time that a former certificate is kept.

        Raises:
            CertificatesInvalid: it has none, or one that cannot be used.
        """
        folder = Path(folder)
        files = _files(folder)  # taken before reading: later changes are read again
        found = cls(_read_all(folder), clock)
        found._folder, found._files, found._look_every_s = folder, files, look_every_s
        return found

    def reload_if_changed(self, *, is_urgent: bool = False) -> None:
        """Read the folder again if a file came, went or changed.

        Checks at most once in `look_every_s`, or once a second if `is_urgent`, so it may be called for every
        notification. Costs 30 µs, and 1 ms for each certificate when something changed. If the folder cannot be used,
        the certificates read last stay.
        """
        now = self._clock()
        every_s = min(self._look_every_s, _LOOK_AGAIN_S) if is_urgent else self._look_every_s
        if self._folder is None or now - self._looked_at < every_s:
            return
        self._looked_at = now
        try:
            files = _files(self._folder)
            if files == self._files:
                return
            self._files = files  # tried once, and logged once
            self._take(_read_all(self._folder))
        except CertificatesInvalid as error:
            log.warning(
                "certificates_unusable", error=str(error), hint="the certificates that were read before stay in use"
            )
            return
        log.info("certificates_changed", newest=self.newest.certificate_id, count=len(self._by_id))

    def _take(self, certificates: tuple[Certificate, ...]) -> None:
        if not certificates:
            raise CertificatesInvalid("there is no certificate")
        now, before = self._clock(), self._by_id
        self._by_id = {one.certificate_id: one for one in certificates}
        until = now + FORMER_OPENS_FOR.total_seconds()
        gone = {known: (one, until) for known, one in before.items() if known not in self._by_id}
        self._former = {known: kept for known, kept in (self._former | gone).items() if kept[1] > now}
        self._by_name = {one.name: one for one in certificates}
        self.newest = max(certificates, key=lambda one: (one.begins, one.certificate_id))
        """The certificate for new subscriptions."""

    def of(self, certificate_id: str) -> Certificate | None:
        """Return the certificate of an id; a bare name, which was the id in earlier releases, does as well."""
        return self._by_id.get(certificate_id) or self._by_name.get(certificate_id)

    def opening(self, certificate_id: str) -> Certificate | None:
        """Return the certificate with this id to open a notification, also if it was removed some minutes ago."""
        former, until = self._former.get(certificate_id, (None, 0.0))
        return self.of(certificate_id) or (former if self._clock() < until else None)

    def all(self) -> list[Certificate]:
        """Return all certificates, oldest first."""
        return sorted(self._by_id.values(), key=lambda one: (one.begins, one.certificate_id))


def is_name(text: str) -> bool:
    """Return True if a certificate may have this name."""
    return _NAME.fullmatch(text) is not None


def make(certificate_id: str, now: datetime) -> bytes:
    """Return a new certificate with its key, as the file holds them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=NEW_KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"presence-relay {certificate_id}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _paths(folder: Path) -> list[Path]:
    try:
        # A folder that Kubernetes mounts also has a `..data` folder and links into it.
        return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file())
    except OSError as error:
        raise CertificatesInvalid(f"{folder} cannot be read: {error.strerror or type(error).__name__}") from None


def _files(folder: Path) -> _Files:
    """Return names, times and sizes of the files, which differ when one came, went or changed."""
    found = set()
    for path in _paths(folder):
        try:
            status = path.stat()
        except OSError:  # deleted meanwhile
            continue
        found.add((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
    return frozenset(found)


def _read_all(folder: Path) -> tuple[Certificate, ...]:
    paths = _paths(folder)
    if not paths:
        raise CertificatesInvalid(f"{folder} has no {SUFFIX} file: presence-relay certificates make makes one")
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Certificate:
    if not is_name(path.stem):
        raise CertificatesInvalid(f"{path}: a certificate's name has letters, digits, points, dashes, underscores only")
    try:
        with path.open("rb") as file:
            pem = text_of(file.read(_MOST_BYTES)).encode()
    except ValueError:
        raise CertificatesInvalid(f"{path} holds no text") from None
    except OSError as error:
        raise CertificatesInvalid(f"{path} cannot be read: {error.strerror or type(error).__name__}") from None
    certificate, key = _certificate(path, pem), _private_key(path, pem)
    if key.public_key() != certificate.public_key():
        raise CertificatesInvalid(f"{path}: the private key is not the certificate's")
    der = certificate.public_bytes(serialization.Encoding.DER)
    # Graph's choice; not a protection, because the id already identifies the certificate.
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303
    return Certificate(
        certificate_id=f"{path.stem}.{thumbprint[:_ID_DIGITS].lower()}",
        public=base64.b64encode(der).decode(),
        private_key=key,
        thumbprint=thumbprint,
        begins=certificate.not_valid_before_utc.astimezone(UTC),
        ends=certificate.not_valid_after_utc.astimezone(UTC),
    )


def _certificate(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except (ValueError, IndexError):
        raise CertificatesInvalid(f"{path} has no certificate in PEM form") from None


def _private_key(path: Path, pem: bytes) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(_block(pem), password=None)
    except TypeError:
        raise CertificatesInvalid(f"{path}: the private key is encrypted; give it without a password") from None
    except Exception:  # noqa: BLE001, RUF100  many kinds for one cause, and their texts may show the key
        raise CertificatesInvalid(f"{path} has no private key in PEM form") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size not in KEY_BITS:
        raise CertificatesInvalid(f"{path}: Graph takes RSA keys of 2048 to 4096 bits only")
    return key


def _block(pem: bytes) -> bytes:
    """Return the private key's part of the file, at any position."""
    found = re.search(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", pem, re.DOTALL)
    return found[0] if found is not None else b""
