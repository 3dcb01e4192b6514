"""The connection that the steps use. Every step is bounded in time, and every read in bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from suite.doctor.values import Fault

if TYPE_CHECKING:
    import ssl

CHUNK_BYTES: Final = 16 * 1024
"""Limit of one read."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The timeouts of steps.

    Attributes:
        step_s: timeout of a step on the network: a name, a connection, an answer to CONNECT, a handshake.
        call_s: timeout of a call of the relay.
    """

    step_s: float = 10.0
    call_s: float = 15.0


class Failed(Exception):
    """A step on the network failed. `words` is the system's error text, for support."""

    def __init__(self, fault: Fault, words: str = "") -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.words = words


class Line:
    """A connection. As a context manager, it closes at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send a few bytes. An error shows when the answer is read."""
        self._writer.write(data)

    async def receive(self) -> bytes:
        """Return the next bytes, at most `CHUNK_BYTES`; empty when the other side has closed.

        Raises:
            Failed: the connection broke.
        """
        try:
            return await self._reader.read(CHUNK_BYTES)
        except OSError as error:
            raise Failed(Fault.CLOSED, _words(error)) from None

    async def secure(self, context: ssl.SSLContext, name: str, within_s: float) -> ssl.SSLObject:
        """Do the TLS handshake and return the TLS object. Raises errors of asyncio and OpenSSL."""
        async with asyncio.timeout(within_s):
            await self._writer.start_tls(context, server_hostname=name, ssl_handshake_timeout=within_s + 1)
        secured: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        return secured

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        # asyncio does not report the end of a handshake that was aborted, so do not wait for it.
        self._writer.transport.abort()
        await asyncio.sleep(0)


async def resolve(host: str, port: int, within_s: float) -> list[str]:
    """Return the addresses of a name, as the system orders them.

    The system's resolver cannot be interrupted. It runs in a separate daemon thread.

    Raises:
        Failed: there are none.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str] | OSError | UnicodeError) -> None:
        if outcome.done():
            return
        if isinstance(found, list):
            outcome.set_result(found)
        else:
            outcome.set_exception(found)

    def ask() -> None:
        found: list[str] | OSError | UnicodeError
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop is closed by now
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=ask, name="suite-doctor-name", daemon=True).start()
    try:
        return await asyncio.wait_for(outcome, within_s)
    except TimeoutError:
        raise Failed(Fault.NO_NAME_SERVER) from None
    except socket.gaierror as error:
        away = error.errno == socket.EAI_AGAIN
        raise Failed(Fault.NO_NAME_SERVER if away else Fault.UNKNOWN_NAME, _words(error)) from None
    except (OSError, UnicodeError) as error:
        raise Failed(Fault.UNKNOWN_NAME, str(error)) from None


async def connect(address: str, port: int, within_s: float) -> Line:
    """Open a TCP connection.

    Raises:
        Failed: there is no connection.
    """
    try:
        async with asyncio.timeout(within_s):
            return Line(*await asyncio.open_connection(address, port, limit=CHUNK_BYTES))
    except TimeoutError:
        raise Failed(Fault.SILENT) from None
    except ConnectionRefusedError as error:
        raise Failed(Fault.REFUSED, _words(error)) from None
    except OSError as error:
        raise Failed(Fault.UNREACHABLE, _words(error)) from None


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
