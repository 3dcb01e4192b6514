"""Opens change notifications: decrypts, verifies, and parses the presence.

Microsoft's form (https://learn.microsoft.com/graph/change-notifications-with-resource-data): a key of 32 bytes for each item,
encrypted for our certificate with RSA-OAEP (SHA-1); `data` with AES-256-CBC under it, the initial vector being the key's
first half; `dataSignature` is the HMAC-SHA256 of the encrypted data under the same key.
"""

from __future__ import annotations

import binascii
import hmac
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from relay.core import names
from relay.core.presence import Observation, UserId
from relay.errors import RelayError
from relay.graph.errors import UNREADABLE
from relay.graph.presence.presences import observation
from relay.graph.push.certificates import Certificate, Certificates

MAX_DATA_BYTES: Final = 256 * 1024
"""Longer encrypted data is rejected; a presence with the longest free texts seen has some 10 KB."""
_KEY_BYTES: Final = 32
_IV_BYTES: Final = 16


class NotOpened(RelayError):
    """A notification cannot be trusted or read; its content must not be used.

    Attributes:
        reason: `malformed`, `certificate` (not ours, or removed), `thumbprint`, `key`, `signature`, `padding`,
            `content` (not a user's presence).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"a notification cannot be opened: {reason}")
        self.reason = reason


class NoContent(RelayError):
    """A notification without encrypted content, which only reports that a user changed.

    Attributes:
        user_id: the user.
    """

    def __init__(self, user_id: UserId) -> None:
        super().__init__("a notification has no content")
        self.user_id = user_id


def decrypt_notification(item: bytes, certificates: Certificates) -> Observation:
    """Return the observation in one notification. Costs about 0.4 ms of CPU with a key of 2,048 bits.

    The signature is compared before anything is decrypted with the item's key, so the time that a forgery takes reveals
    nothing about the key. The receiver must verify that the item came from Microsoft (`validation`).

    Args:
        item: the JSON of a `changeNotification`.
        certificates: ours.

    Raises:
        NotOpened: it does not have the documented form, or is not encrypted for us.
        NoContent: it is a basic notification.
    """
    try:
        read = _ITEM.decode(item)
    except UNREADABLE:
        raise NotOpened("malformed") from None
    content = read.encrypted_content
    if content is None:
        raise NoContent(_whose(read))
    certificate = certificates.opening(content.encryption_certificate_id)
    if certificate is None:
        raise NotOpened("certificate")
    if content.encryption_certificate_thumbprint.upper() != certificate.thumbprint:
        raise NotOpened("thumbprint")
    found = observation(_decrypted(content, certificate))
    if found is None:
        raise NotOpened("content")
    return found


class _Content(msgspec.Struct, rename="camel"):
    data: str
    data_signature: str
    data_key: str
    encryption_certificate_id: str
    encryption_certificate_thumbprint: str


class _Resource(msgspec.Struct):
    id: str = ""


class _Item(msgspec.Struct, rename="camel"):
    encrypted_content: _Content | None = None
    resource_data: _Resource | None = None


_ITEM: Final = msgspec.json.Decoder(_Item)
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), label=None)  # noqa: S303  Graph's choice
_PKCS7: Final = PKCS7(algorithms.AES.block_size)


def _whose(item: _Item) -> UserId:
    user_id = names.user_id(item.resource_data.id) if item.resource_data is not None else None
    if user_id is None:
        raise NotOpened("content")
    return user_id


def _decrypted(content: _Content, certificate: Certificate) -> bytes:
    if len(content.data) > MAX_DATA_BYTES:
        raise NotOpened("malformed")
    data, signature = _bytes(content.data), _bytes(content.data_signature)
    try:
        key = certificate.private_key.decrypt(_bytes(content.data_key), _OAEP)
    except ValueError:
        raise NotOpened("key") from None
    if len(key) != _KEY_BYTES:
        raise NotOpened("key")
    if not hmac.compare_digest(hmac.digest(key, data, "sha256"), signature):
        raise NotOpened("signature")
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:_IV_BYTES])).decryptor()
        unpadder = _PKCS7.unpadder()
        padded = decryptor.update(data) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise NotOpened("padding") from None


def _bytes(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # of characters beyond ASCII too
        raise NotOpened("malformed") from None
