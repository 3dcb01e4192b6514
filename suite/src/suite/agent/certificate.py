"""The certificate of the agent's own servers: a chain and its private key, checked, and as a TLS context."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


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
    # Python reads a certificate from a file only. This one is readable by its owner only, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.touch(0o600)
        file.write_bytes(certificate.key_pem + b"\n" + certificate.chain_pem)
        try:
            context.load_cert_chain(file, password=_no_password)
        except ssl.SSLError as error:
            raise ValueError(_sentence(error)) from None
    return context


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a service would wait for ever.
    raise ValueError("The private key is protected by a password. Write it to a file without one.")


def _sentence(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "The private key does not belong to the certificate."
    return (
        "Certificate and private key must be PEM files, as -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----."
    )
