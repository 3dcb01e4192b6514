"""The certificate that settings name: a file with the chain and one with the private key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.certificate import ServerCertificate, server_context
from suite.agent.settings.given import decode_or_empty

if TYPE_CHECKING:
    from suite.agent.settings.given import Given

_CHAIN_BYTES: Final = 4 * 1024 * 1024
_KEY_FILE_BYTES: Final = 64 * 1024


def certificate_in(given: Given, section: str) -> ServerCertificate | None:
    """Return the certificate that `CertificateFile` and `PrivateKeyFile` of a section name; None without one."""
    chain_setting, key_setting = f"{section}.CertificateFile", f"{section}.PrivateKeyFile"
    chain_file, key_file = given.value(chain_setting), given.value(key_setting)
    if not chain_file and not key_file:
        return None
    if not chain_file or not key_file:
        there, missing = (chain_setting, key_setting) if chain_file else (key_setting, chain_setting)
        given.refuse(there, f"{there} needs {missing} too.")
        return None
    chain = given.file(chain_setting, given.beside(chain_file), "certificate file", _CHAIN_BYTES)
    key = given.private_file(key_setting, "private key file", _KEY_FILE_BYTES)
    if chain is None or key is None:
        return None
    found = ServerCertificate(
        chain_pem=decode_or_empty(chain).encode(), key_pem=decode_or_empty(key).encode()
    )  # without byte-order marks
    try:
        server_context(found)
    except ValueError as error:
        given.refuse(chain_setting, f"{chain_setting} cannot be used. {error}")
    return found
