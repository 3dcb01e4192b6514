"""The key that signs tokens, and its public form."""

from __future__ import annotations

import base64
import functools
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey


class SigningKey:
    """One RSA key with a certificate of its own, as Entra publishes them."""

    def __init__(self, pem: str) -> None:
        self.pem = pem
        self._key = RSAKey.import_key(pem)
        der = _certificate(pem)
        self._x5c = base64.b64encode(der).decode()
        self.kid = base64.urlsafe_b64encode(hashlib.sha1(der, usedforsecurity=False).digest()).rstrip(b"=").decode()

    def sign(self, claims: dict[str, Any], **header: str) -> str:
        """A JWT."""
        return jwt.encode({"alg": "RS256", "kid": self.kid, "x5t": self.kid, **header}, claims, self._key)

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a JWT that this key signed; None when it did not. Times are not looked at."""
        try:
            return jwt.decode(token, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return None

    def public(self, issuer: str) -> dict[str, Any]:
        """The key as an entry of a key document."""
        public = self._key.as_dict(private=False)
        return {
            "kty": "RSA", "use": "sig", "kid": self.kid, "x5t": self.kid, "n": public["n"], "e": public["e"],
            "x5c": [self._x5c], "cloud_instance_name": "microsoftonline.com", "issuer": issuer,
        }  # fmt: skip


@functools.cache
def process_key() -> str:
    """A fresh key for clouds without kept state: made once a process, for making one takes 0.1 s."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@functools.cache
def _certificate(pem: str) -> bytes:
    """A certificate for the key, as DER. Its dates and number are fixed, so that one key has one `kid` for ever."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts.accesscontrol.windows.net")])
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=36_500))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
