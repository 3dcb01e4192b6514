"""Types of settings, each with its check: addresses, certificates, keys, ports, lists."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, Field, SecretStr

from relay.graph.auth import credentials
from relay.http.paths import check_public_url
from relay.settings.env import Material, Secret
from relay.store.sealing.keyring import KeyRing, KeyRingInvalid
from relay.store.sealing.marks import PublicMarks
from relay.store.sealing.signing import PublicKeysInvalid
from relay.store.server.address import parse_address

SECOND: Final = timedelta(seconds=1)


def listed(value: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list."""
    return tuple(filter(None, map(str.strip, value.split(","))))


def revealed(secret: SecretStr | None) -> str | None:
    """Return the text of a secret; None when it is not set."""
    return None if secret is None else secret.get_secret_value()


def pem_bytes(certificate: str | None) -> bytes | None:
    """Return a certificate in the form that TLS libraries take; None when it is not set."""
    return None if certificate is None else certificate.encode()


def key_bytes(key: SecretStr | None) -> bytes | None:
    """Return a private key in the form that TLS libraries take; None when it is not set."""
    return None if key is None else key.get_secret_value().encode()


def is_pair(certificate: str | None, key: SecretStr | None) -> bool:
    """Return True if a certificate and a private key belong together, or if one of them is not set."""
    return certificate is None or key is None or credentials.is_pair(certificate, key.get_secret_value())


def _redis_url(value: SecretStr) -> SecretStr:
    parse_address(value.get_secret_value())
    return value


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError(f"{value!r} is not an address; it begins with http:// or https://")
    return value.rstrip("/")


def _https_address(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError(f"{value!r} must begin with https://")
    return value.rstrip("/")


def _key_ring(value: SecretStr) -> SecretStr:
    try:
        KeyRing.from_json(value.get_secret_value())
    except KeyRingInvalid as error:
        raise ValueError(str(error)) from None
    return value


def _mark_keys(value: str) -> str:
    try:
        PublicMarks(value)
    except PublicKeysInvalid as error:
        raise ValueError(f"cannot be used: {error}") from None
    return value


def _certificates(value: str) -> str:
    try:
        x509.load_pem_x509_certificates(value.encode())
    except ValueError:
        raise ValueError("is not a certificate in PEM form") from None
    return value


def _private_key(value: SecretStr) -> SecretStr:
    try:
        load_pem_private_key(value.get_secret_value().encode(), password=None)
    except TypeError:
        raise ValueError("is encrypted; give the key without a password") from None
    except Exception:  # noqa: BLE001, RUF100  the library raises many kinds for one cause, and their texts may show the key
        raise ValueError("is not a private key in PEM form") from None
    return value


def _client_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()) or " " in text or text[:1] in "\"'" or text[-1:] in "\"'":
        raise ValueError(
            "is in quotes, or has characters that a Microsoft secret never has; copy only the secret's value"
        )
    return value


def _listen_host(value: str) -> str:
    """Return a host in the form that sockets take, without the brackets that URLs and gRPC write around an IPv6 address."""
    return value[1:-1] if value.startswith("[") and value.endswith("]") and ":" in value else value


def _networks(value: str) -> str:
    for part in listed(value):
        if part != "*":
            try:
                ipaddress.ip_network(part, strict=False)
            except ValueError:
                raise ValueError(f"{part!r} is neither an address nor a network like 10.0.0.0/8") from None
    return value


RedisUrl = Annotated[Secret, AfterValidator(_redis_url)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
HttpsAddress = Annotated[str, AfterValidator(_https_address)]
PagesAddress = Annotated[WebAddress, AfterValidator(check_public_url)]
Certificates = Annotated[Material, AfterValidator(_certificates)]
PrivateKey = Annotated[Secret, AfterValidator(_private_key)]
ClientSecret = Annotated[Secret, AfterValidator(_client_secret)]
ListenHost = Annotated[str, AfterValidator(_listen_host)]
Proxies = Annotated[str, AfterValidator(_networks)]
"""A comma-separated list of addresses and networks; see `listed`."""
Ring = Annotated[Secret, AfterValidator(_key_ring)]
MarkKeys = Annotated[Material, AfterValidator(_mark_keys)]
Port = Annotated[int, Field(ge=0, le=65535)]
