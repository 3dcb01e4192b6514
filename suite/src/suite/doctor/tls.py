"""Do the same TLS handshake as gRPC, and read the certificate whether or not it is trusted."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from suite.channel import pem_text
from suite.doctor.certificate import Certificate, read_certificate
from suite.doctor.line import Failed
from suite.doctor.values import UNTRUSTED_ISSUER, Fault, Secured

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from suite.doctor.line import Line

_ROOTS_FILE: Final = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


def trusting(ca_pem: bytes | None) -> ssl.SSLContext:
    """Return a context that trusts the same certificates as gRPC: the given ones, else gRPC's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem_text(ca_pem or _roots_of_grpc()))
    context.set_alpn_protocols(["h2"])
    return context


def _has_ca(ca_pem: bytes | None) -> bool:
    """Return True when the certificates to trust were configured."""
    return ca_pem is not None or bool(os.environ.get(_ROOTS_FILE))


def _roots_of_grpc() -> bytes:
    if named := os.environ.get(_ROOTS_FILE):
        try:
            return Path(named).read_bytes()
        except OSError:
            pass  # gRPC falls back too
    return (importlib.resources.files("grpc") / "_cython/_credentials/roots.pem").read_bytes()


def _trusting_anyone() -> ssl.SSLContext:
    """Return a context for reading a certificate that is not trusted. Nothing is sent over such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.set_alpn_protocols(["h2"])
    return context


async def greet(
    line: Line, again: Callable[[], Awaitable[Line]], name: str, ca_pem: bytes | None, within_s: float
) -> Secured:
    """Do the handshake and return its outcome. If it failed or the certificate is not trusted, the line cannot be used any more.

    Args:
        line: a connection to the relay.
        again: opens the same connection once more, to read a certificate that is not trusted.
        name: the name that the certificate must have.
        ca_pem: the certificates to trust; None for gRPC's own.
        within_s: timeout of each handshake.
    """
    try:
        return _seen(await line.secure(trusting(ca_pem), name, within_s), name, has_ca=_has_ca(ca_pem))
    except ssl.SSLCertVerificationError as error:
        code, words = error.verify_code, error.verify_message
    except (OSError, EOFError) as error:
        return _failed(error, name)
    try:
        async with await again() as other:
            seen = _seen(await other.secure(_trusting_anyone(), name, within_s), name, has_ca=_has_ca(ca_pem))
    except (OSError, EOFError, Failed):
        seen = Secured(name, has_ca=_has_ca(ca_pem))
    return Secured(
        name,
        version=seen.version,
        alpn=seen.alpn,
        certificate=seen.certificate,
        verify_code=code,
        verify_words=words,
        system_trusts=code in UNTRUSTED_ISSUER and await _system_trusts(again, name, within_s),
        has_ca=seen.has_ca,
    )


async def _system_trusts(again: Callable[[], Awaitable[Line]], name: str, within_s: float) -> bool:
    try:
        async with await again() as line:
            await line.secure(_trusting_the_system(), name, within_s)
    except (OSError, EOFError, Failed):
        return False
    return True


def _seen(secured: ssl.SSLObject, name: str, *, has_ca: bool) -> Secured:
    certificate: Certificate | None = None
    with contextlib.suppress(ValueError):  # it cannot be parsed, and so not shown
        certificate = read_certificate(secured.getpeercert(binary_form=True) or b"")
    return Secured(
        name,
        version=secured.version() or "",
        alpn=secured.selected_alpn_protocol() or "",
        certificate=certificate,
        has_ca=has_ca,
    )


def _failed(error: OSError | EOFError, name: str) -> Secured:
    if isinstance(error, TimeoutError):
        return Secured(name, Fault.SILENT)
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Secured(name, Fault.GARBLED, words=error.reason or "")
    return Secured(name, Fault.CLOSED)
