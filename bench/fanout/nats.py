"""The other side: a publisher for nats-server."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from bench.fanout.schedule import Items, Point, changes

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def subject(tenant: int) -> str:
    """Return the subject that a stream of a tenant subscribes to: all of its people."""
    return f"presence.{tenant}.*"


def publish(pipe: Connection, port: int, point: Point) -> None:
    """Publish the changes of the schedule; the function of a process."""
    items = Items()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
        pipe.send("open")
        while True:
            mark, seconds, begin_ns = pipe.recv()
            for found in changes(point, seconds, range(point.tenants)):
                due_ns = begin_ns + int(found.after_s * 1e9)
                wait_ns = due_ns - time.monotonic_ns()
                if wait_ns > 0:
                    time.sleep(wait_ns / 1e9)
                messages = [_message(found.tenant, user, items.item(user, mark, due_ns)) for user, _ in found.due]
                connection.sendall(b"".join(messages))
            pipe.send(0)


def _message(tenant: int, user: int, item: bytes) -> bytes:
    return b"PUB presence.%d.%d %d\r\n%b\r\n" % (tenant, user, len(item), item)
