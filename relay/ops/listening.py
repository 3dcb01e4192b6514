"""The form of addresses that a process listens on, the same for every listener."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def shown(host: str, port: int) -> str:
    """Return an address as URLs and gRPC write it, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def listener(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that is bound to an address; `::` is every address, of IPv4 too.

    Raises:
        OSError: the port is taken, or the address does not belong to this machine; `filename` is the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio otherwise leaves Nagle's algorithm on: 40 ms for each answer with a body.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        if port:  # a port that the system chooses must not be shared
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            bound.bind((host, port))
        except OSError as error:
            raise OSError(error.errno, error.strerror, shown(host, port)) from error
        yield bound


@contextlib.contextmanager
def shared_port(host: str, port: int) -> Iterator[int]:
    """Hold a port, without listening on it, for processes of this machine that listen on it together (SO_REUSEPORT); yield it.

    Raises:
        OSError: another process listens on it, or the address does not belong to this machine; `filename` is the address.
    """
    with listener(host, port) as bound:  # refused while any process listens, also with SO_REUSEPORT
        found = int(bound.getsockname()[1])
    with socket.socket(bound.family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if held.family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.bind((host, found))
        yield found
