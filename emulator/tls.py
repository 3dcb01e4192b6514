"""The cloud's TLS certificate: from the configuration, or made by a private CA."""

from __future__ import annotations

import functools
import os
import ssl
from typing import TYPE_CHECKING

import trustme

from emulator.hosts import KNOWN

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.config import Config

NAMES = ("localhost", "127.0.0.1", "::1", *sorted(KNOWN))
"""One certificate for all names: its elliptic-curve key is fast to make, and clients need no SNI."""


def server_context(config: Config) -> tuple[ssl.SSLContext, bytes]:
    """Return the server's TLS context, and the PEM of the CA (empty for a configured certificate).

    Raises:
        OSError: a file cannot be read, or is not a certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if config.tls_cert is not None:
        try:
            context.load_cert_chain(config.tls_cert, config.tls_key)
        except OSError as error:
            text = (
                f"the TLS certificate {config.tls_cert} or its key {config.tls_key} cannot be used ({error}); both must"
            )
            raise OSError(f"{text} be readable PEM files that belong together") from error
        return context, b""
    if config.ca_dir is None:
        authority, leaf = process_certificate()
        leaf.configure_cert(context)
        return context, authority.cert_pem.bytes()
    try:
        authority = _authority(config.ca_dir)
    except (OSError, ValueError) as error:
        text = f"no CA can be stored in {config.ca_dir} ({error}); give a writable folder, or remove its"
        raise OSError(f"{text} ca.pem and ca.key to create new ones") from error
    authority.issue_cert(*NAMES).configure_cert(context)
    return context, authority.cert_pem.bytes()


@functools.cache
def process_certificate() -> tuple[trustme.CA, trustme.LeafCert]:
    """Return a CA and its certificate, for clouds that do not store a CA: made once a process."""
    authority = trustme.CA()
    return authority, authority.issue_cert(*NAMES)


def _authority(folder: Path) -> trustme.CA:
    """Return the CA that is stored in a folder; make it if there is none."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA()
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(authority.private_key_pem.bytes())
    certificate.write_bytes(authority.cert_pem.bytes())
    return authority
