"""Encryption certificates, and the encrypted content of rich notifications.

https://learn.microsoft.com/graph/change-notifications-with-resource-data: a fresh key for each notification, AES-256-CBC
with the key's first 16 bytes as initialization vector, HMAC-SHA256 over the ciphertext, the key in RSA-OAEP.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

LEAST_BITS: Final = 2048
MOST_BITS: Final = 4096

# Microsoft's samples decrypt it with OAEPWithSHA1AndMGF1Padding
_OAEP: Final = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303


class CertificateError(Exception):
    """A text that is not a usable encryption certificate; the message explains why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The checked encryption certificate of a subscription."""

    certificate_id: str
    thumbprint: str
    """SHA-1 of the certificate, in upper-case hexadecimal digits."""
    key: rsa.RSAPublicKey


@dataclass(slots=True, kw_only=True)
class Sealed:
    """One encrypted content, with the fields of the JSON; `data`, `signature` and `key` are before base64."""

    data: bytes
    signature: bytes
    key: bytes
    certificate_id: str
    thumbprint: str

    def as_json(self) -> dict[str, str]:
        """The `encryptedContent` of a notification."""
        return {
            "data": base64.b64encode(self.data).decode(),
            "dataSignature": base64.b64encode(self.signature).decode(),
            "dataKey": base64.b64encode(self.key).decode(),
            "encryptionCertificateId": self.certificate_id,
            "encryptionCertificateThumbprint": self.thumbprint,
        }


def read_certificate(text: str, certificate_id: str) -> Certificate:
    """Read a certificate in base64: DER or an exported PEM file, with or without additional base64.

    Raises:
        CertificateError: it is not a certificate, or its key is not RSA of 2,048 to 4,096 bits.
    """
    try:
        found = _certificate(text)
    except (ValueError, binascii.Error) as error:
        raise CertificateError("Certificate validation error: Cannot find the requested object.") from error
    key = found.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise CertificateError("Certificate validation error: The certificate's key must be of type RSA.")
    if not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise CertificateError(
            f"Certificate validation error: The certificate's key must be between {LEAST_BITS} and {MOST_BITS} bits; it has {key.key_size}."
        )
    thumbprint = found.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303
    return Certificate(certificate_id=certificate_id, thumbprint=thumbprint, key=key)


def _certificate(text: str) -> x509.Certificate:
    raw = text.strip().encode()
    if not raw.startswith(b"-----"):
        raw = base64.b64decode(raw, validate=True)
    return x509.load_pem_x509_certificate(raw) if raw.startswith(b"-----") else x509.load_der_x509_certificate(raw)


def sealed(content: bytes, certificate: Certificate, *, pad: bool = True) -> Sealed:
    """Encrypt a content for a certificate; without `pad` its padding is invalid, as only a forger's would be."""
    key = secrets.token_bytes(32)
    data = _encrypted(_padded(content) if pad else _unpadded(content), key)
    return Sealed(
        data=data, signature=hmac.digest(key, data, "sha256"), key=certificate.key.encrypt(key, _OAEP),
        certificate_id=certificate.certificate_id, thumbprint=certificate.thumbprint,
    )  # fmt: skip


def _encrypted(padded: bytes, key: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


def _padded(content: bytes) -> bytes:
    padder = padding.PKCS7(128).padder()
    return padder.update(content) + padder.finalize()


def _unpadded(content: bytes) -> bytes:
    """Return whole blocks whose last byte announces more padding than a block can have."""
    return content.ljust(-(-(len(content) + 1) // 16) * 16, b"\xff")
