"""The sockets of this process' gRPC server, which gRPC itself gives nobody a hold of.

gRPC stops listening only in `stop`, and from then on its core ends with CANCELLED whatever call arrives: those that were on their
way when it began. So the edge first stops listening by itself, goes on serving what comes on open connections, and calls `stop`
when nothing can come any more.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DESCRIPTORS: Final = Path("/dev/fd")
"""This process' open descriptors, on Linux and macOS."""


def stop_listening(port: int) -> None:
    """Accept no connection on the port any more; whoever tries is refused at once. Open connections are not touched.

    Where the system cannot do that (it is possible on Linux), or has no descriptor left to look at the others, nothing happens, and gRPC
    stops listening with `stop`.
    """
    with suppress(OSError):
        for one in _on(port):
            if _listens(one):
                one.shutdown(socket.SHUT_RDWR)


def has_connections(port: int) -> bool:
    """Return whether any connection to the port is open, or may be."""
    try:
        return any(_is_connected(one) for one in _on(port))
    except OSError:
        return True  # nobody knows


def _on(port: int) -> Iterator[socket.socket]:
    """A handle of its own of each TCP socket with this local port. Closing it leaves the socket open.

    Raises:
        OSError: the descriptors cannot be listed.
    """
    for entry in _DESCRIPTORS.iterdir():
        try:
            handle = os.dup(int(entry.name))
        except OSError:
            continue  # closed meanwhile
        try:
            one = socket.socket(fileno=handle)
        except OSError:
            os.close(handle)  # no socket
            continue
        with one:
            if _is_tcp(one) and one.getsockname()[1] == port:
                yield one


def _is_tcp(one: socket.socket) -> bool:
    return one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM


def _is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False  # it listens, or did until it was told not to
    return True


def _listens(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
