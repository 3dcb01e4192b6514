"""The certificate of the agent's own servers: a chain and its private key, checked, and as a TLS context."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from suite.system import file_of_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """A certificate chain with its private key, both as PEM. `server_context` tells whether they can be used."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


def server_context(certificate: ServerCertificate) -> ssl.SSLContext:
    """Return the TLS context of a server, for TLS 1.2 at least.

    Raises:
        ValueError: chain and key cannot be used together; the message is a sentence for a person.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, certificate)
    return context


def load_certificate(context: ssl.SSLContext, certificate: ServerCertificate) -> None:
    """Let a TLS context prove itself with a certificate, from the next connection on.

    Raises:
        ValueError: chain and key cannot be used together; the message is a sentence for a person.
    """
    try:
        with file_of_secret(certificate.key_pem + b"\n" + certificate.chain_pem) as file:
            context.load_cert_chain(file, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(_sentence(error)) from None
    except OSError as error:
        raise ValueError(f"The temporary file that TLS needs cannot be made: {error.strerror or error}.") from None


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a service would wait for ever.
    raise ValueError("The private key is protected by a password. Write it to a file without one.")


def _sentence(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "The private key does not belong to the certificate."
    return (
        "Certificate and private key must be PEM files, as -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----."
    )
