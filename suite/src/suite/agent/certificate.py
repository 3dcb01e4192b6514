"""The certificate of the agent's servers: a chain and its private key, their check, and a TLS context with them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from suite.system import file_of_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """A certificate chain with its private key, both as PEM. `server_context` checks whether they can be used."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)


def server_context(certificate: ServerCertificate) -> ssl.SSLContext:
    """Return the TLS context of a server, with TLS 1.2 or newer.

    Raises:
        ValueError: chain and key cannot be used together; the message is a sentence for users.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, certificate)
    return context


def load_certificate(context: ssl.SSLContext, certificate: ServerCertificate) -> None:
    """Load a certificate into a TLS context. It is used from the next connection on.

    Raises:
        ValueError: chain and key cannot be used together; the message is a sentence for users.
    """
    try:
        with file_of_secret(certificate.key_pem + b"\n" + certificate.chain_pem) as file:
            context.load_cert_chain(file, password=_no_password)
    except ssl.SSLError as error:
        raise ValueError(_sentence(error)) from None
    except OSError as error:
        raise ValueError(f"The temporary file that TLS needs cannot be created: {error.strerror or error}.") from None


def _no_password() -> str:
    # Without this callback OpenSSL prompts on the terminal, and a service would wait for ever.
    raise ValueError("The private key is protected by a password. Write it to a file without one.")


def _sentence(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "The private key does not belong to the certificate."
    return (
        "Certificate and private key must be PEM files, as -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----."
    )
