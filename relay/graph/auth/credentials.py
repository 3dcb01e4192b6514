"""The relay's own credentials at Entra: one, or two during a rotation.

Both are tried before a refusal counts: first the one that worked last. So a new credential may be registered before or
after the relay has it, and the old one may expire or be deleted meanwhile. Credentials in files are read again when the
files change, so a rotation needs no restart.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from relay.core.textfile import text_of
from relay.errors import CredentialRejected

if TYPE_CHECKING:
    from pathlib import Path

    from relay.graph.settings import GraphSettings

T = TypeVar("T")
log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 5.0
"""Interval of checking the files for changes; a check is a `stat` of each."""
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential. Its `repr` shows its name only."""

    name: str
    """`first` or `second`."""
    secret: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
    private_key_pem: str = field(default="", repr=False)
    ends: datetime | None = None
    """When its certificate expires; None for a secret, whose end only Entra knows."""
    is_whole: bool = True
    """Whether certificate and key can be read and belong together."""

    @property
    def for_msal(self) -> str | dict[str, str]:
        """The form that MSAL accepts. Without a thumbprint MSAL signs with PS256 and SHA-256, and includes the chain."""
        if self.secret:
            return self.secret
        return {"private_key": self.private_key_pem, "public_certificate": self.certificate_pem}


class Credentials:
    """The credentials of one app registration; thread-safe."""

    def __init__(self, settings: GraphSettings, every_s: float = LOOK_EVERY_S) -> None:
        texts = {
            "client_secret": settings.client_secret,
            "certificate": settings.certificate and settings.certificate.certificate_pem,
            "private_key": settings.certificate and settings.certificate.private_key_pem,
            "second_client_secret": settings.second_client_secret,
            "second_certificate": settings.second_certificate and settings.second_certificate.certificate_pem,
            "second_private_key": settings.second_certificate and settings.second_certificate.private_key_pem,
        }
        self._texts = {name: text.strip() for name, text in texts.items() if text}
        self._files = {name: path for name, path in settings.credential_files.items() if name in self._texts}
        self._every_s = every_s
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._seen: tuple[tuple[int, ...], ...] | None = None
        self._known = _credentials(self._texts)
        self._refused: dict[Credential, float] = {}

    def all(self) -> tuple[Credential, ...]:
        """Return the current credentials, in the order of the settings."""
        with self._lock:
            self._look()
            return self._known

    def call_with_credential(self, call: Callable[[Credential], T]) -> T:
        """Return the result of `call` with the credential that most likely works, or else with the other one.

        Raises:
            CredentialRejected: Entra accepts none of them, or refuses the relay for another reason. Also any other
                error of `call`.
        """
        tried: list[Credential] = []
        while True:
            credential = self._best(tried)
            try:
                result = call(credential)
            except CredentialRejected as error:
                tried.append(credential)
                if not _is_about_credential(error) or not self._may_go_on(credential, tried):
                    raise
            else:
                self._worked(credential, tried)
                return result

    def _best(self, tried: list[Credential]) -> Credential:
        now = datetime.now(UTC)
        left = [credential for credential in self.all() if credential not in tried]
        with self._lock:
            return min(left, key=lambda one: (self._refused.get(one, 0.0), one.ends is not None and one.ends <= now))

    def _may_go_on(self, refused: Credential, tried: list[Credential]) -> bool:
        with self._lock:
            self._refused[refused] = time.monotonic()
            return any(credential not in tried for credential in self._known)

    def _worked(self, credential: Credential, tried: list[Credential]) -> None:
        with self._lock:
            self._refused.pop(credential, None)
        for refused in tried:
            log.warning(
                "relay_credential_fallback_used", refused=refused.name, works=credential.name,
                hint="Microsoft accepts one of the relay's two credentials only: replace the one that it refuses",
            )  # fmt: skip

    def _look(self) -> None:
        """Read the files again if they changed. A pair that does not match yet (one file was replaced first) is ignored."""
        now = time.monotonic()
        if not self._files or now - self._looked < self._every_s:
            return
        self._looked = now
        try:
            seen = tuple(_mark(path) for path in self._files.values())
            if seen == self._seen:
                return
            self._seen = seen
            texts = self._texts | {name: _read(path) for name, path in self._files.items()}
            known = _whole(_credentials(texts))
        except (OSError, ValueError) as error:
            log.warning("relay_credential_unreadable", error=str(error) or type(error).__name__)
            return
        if known != self._known:
            self._known, self._texts, self._refused = known, texts, {}
            log.info("relay_credential_changed", ends=[str(credential.ends) for credential in known])


def is_pair(certificate_pem: str, private_key_pem: str) -> bool:
    """Return True if a certificate and a private key belong together.

    Raises:
        ValueError: one of them cannot be read.
    """
    first = x509.load_pem_x509_certificates(certificate_pem.encode())[0]
    try:
        private = load_pem_private_key(private_key_pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm):
        raise ValueError("the private key has a password, or is of an unknown kind") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return first.public_key().public_bytes(*form) == private.public_key().public_bytes(*form)


def _credentials(texts: Mapping[str, str]) -> tuple[Credential, ...]:
    found = [_credential(name, prefix, texts) for name, prefix in (("first", ""), ("second", "second_"))]
    return tuple(credential for credential in found if credential is not None)


def _whole(credentials: tuple[Credential, ...]) -> tuple[Credential, ...]:
    if not all(credential.is_whole for credential in credentials):
        raise ValueError("a certificate and its private key do not match (yet)")
    return credentials


def _credential(name: str, prefix: str, texts: Mapping[str, str]) -> Credential | None:
    secret, certificate = texts.get(f"{prefix}client_secret", ""), texts.get(f"{prefix}certificate", "")
    if secret:
        return Credential(name, secret=secret)
    if not certificate:
        return None
    key = texts.get(f"{prefix}private_key", "")
    try:
        ends = x509.load_pem_x509_certificates(certificate.encode())[0].not_valid_after_utc
        is_whole = is_pair(certificate, key)
    except ValueError:
        ends, is_whole = None, False
    # An incomplete credential is still tried: MSAL refuses it, and the operator sees the error.
    return Credential(name, certificate_pem=certificate, private_key_pem=key, ends=ends, is_whole=is_whole)


def _is_about_credential(error: CredentialRejected) -> bool:
    """Return True if another credential may help. Otherwise a redeemed code must not be sent to Entra again."""
    return error.refusal is None or error.refusal.code.partition("/")[0] == "invalid_client"


def _mark(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _read(path: Path) -> str:
    with path.open("rb") as file:
        text = text_of(file.read(_MOST_BYTES))
    if not text:
        raise ValueError(f"{path} is empty")
    return text
