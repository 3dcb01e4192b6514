"""The keys that sign tokens, and their public form. Several are published at a time, and they rotate.

current   signs                                     https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
next      published already, signs after a rotation
former    published for a while, so that tokens that were already issued can be verified
personal  signs for personal accounts; documents for many tenants list it with the others, and `issuer` identifies it
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from emulator.world import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Callable

_ANY: Final = "{tenantid}"
_PEM: Final = re.compile(r"-----BEGIN [^-]+-----.+?-----END [^-]+-----\n?", re.DOTALL)


class SigningKey:
    """All published keys; the first one signs. `pem` contains one or several keys, as text."""

    def __init__(self, pem: str) -> None:
        self._keys = [_Key(text) for text in _PEM.findall(pem)]

    @property
    def pem(self) -> str:
        """The private keys, the one that signs first."""
        return "".join(key.pem for key in self._keys)

    @property
    def kid(self) -> str:
        """The name of the key that signs."""
        return self._keys[0].kid

    @property
    def kids(self) -> list[str]:
        """The names of all published keys."""
        return [key.kid for key in self._keys]

    def rotate(self) -> str:
        """Sign with the next key, and publish a new one after it; return the name of the former signing key."""
        former, *rest = self._keys
        self._keys = [*rest, _Key(_make()), former] if rest else [_Key(_make()), former]
        return former.kid

    def retire(self, kid: str) -> None:
        """Stop publishing a key, unless it signs."""
        self._keys = [key for key in self._keys if key.kid != kid or key is self._keys[0]]

    def snapshot(self) -> Callable[[], None]:
        """Save the keys and their order; return a function that restores them."""
        keys = self._keys

        def restore() -> None:
            self._keys = keys

        return restore

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        """Sign claims with the current key and return the JWT; claims of personal accounts with their own key."""
        key = _personal() if claims.get("tid") == PERSONAL else self._keys[0]
        return key.sign(claims, header)

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a JWT that a published key signed; None if none did. Does not check times."""
        try:
            kid = jws.extract_compact(token.encode()).headers().get("kid")
        except (JoseError, ValueError):
            return None
        key = next((key for key in [*self._keys, _personal()] if key.kid == kid), self._keys[0])
        return key.verify(token)

    def public(self, issuer: str) -> list[dict[str, Any]]:
        """Return the entries of an issuer's key document; the issuer contains `{tenantid}` if it covers all tenants."""
        if PERSONAL in issuer:
            return [_personal().public(issuer)]
        found = [key.public(issuer) for key in self._keys]
        return [*found, *self.public(issuer.replace(_ANY, PERSONAL))] if _ANY in issuer else found


class _Key:
    """One RSA key with its certificate, as Entra publishes them."""

    def __init__(self, pem: str) -> None:
        self.pem = pem
        self._key = _imported(pem)
        der = _certificate(pem)
        self._x5c = base64.b64encode(der).decode()
        self.kid = base64.urlsafe_b64encode(hashlib.sha1(der, usedforsecurity=False).digest()).rstrip(b"=").decode()

    def sign(self, claims: dict[str, Any], header: dict[str, str]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.kid, "x5t": self.kid, **header}, claims, self._key)

    def verify(self, token: str) -> dict[str, Any] | None:
        try:
            return jwt.decode(token, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return None

    def public(self, issuer: str) -> dict[str, Any]:
        public = self._key.as_dict(private=False)
        return {
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid, "n": public["n"], "e": public["e"],
            "x5c": [self._x5c], "cloud_instance_name": "microsoftonline.com", "issuer": issuer,
        }  # fmt: skip


@functools.cache
def _personal() -> _Key:
    """Return the key for personal accounts, made once a process: neither it nor its tokens are stored between runs."""
    return _Key(_make())


@functools.cache
def process_key() -> str:
    """Return two new keys for clouds without stored state: made once a process, because one takes 0.1 s."""
    return _make() + _make()


def _make() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@functools.cache
def _imported(pem: str) -> RSAKey:
    """Return a key from its PEM, parsed once: its check takes 0.04 s."""
    return RSAKey.import_key(pem)


@functools.cache
def _certificate(pem: str) -> bytes:
    """Return a certificate for the key, as DER. Its dates and number are fixed, so that a key always has the same `kid`."""
    # `_imported` has checked it, which takes 0.04 s.
    key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts.accesscontrol.windows.net")])
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=36_500))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
