"""A TCP proxy that does to connections what networks, load balancers and dying peers do.

    async with FaultProxy(("127.0.0.1", upstream_port)) as proxy:
        ...                                    # connect to 127.0.0.1:proxy.port
        await proxy.become(Fault.RESET_IDLE)   # what happens from now on
        proxy.delay_s = Delay(up=0.06, down=0.06)
        proxy.reset()                          # every connection there is, at once
        proxy.upstream = ("127.0.0.1", other_port)  # for connections made from now on
        proxy.others = [("127.0.0.1", third_port)]  # where they go while that one refuses, as a balancer's do

Each fault reaches both sides: a client sees a server that resets, and the server sees a client that does.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from tests.support.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Address = tuple[str, int]


class Fault(StrEnum):
    """What is wrong with the network."""

    NONE = "none"
    RESET_TLS = "reset-tls"
    """RST on both sides: of every other connection as soon as it is made, of the rest within 3 ms of its first bytes (which are
    forwarded), TLS' ClientHello."""
    RESET_IDLE = "reset-idle"
    """RST on both sides of a connection that has answered and is then quiet for `idle_s`."""
    RESET_REPLY = "reset-reply"
    """Half of the first reply's first bytes, then RST on both sides. The answer to TLS' ClientHello is no reply."""
    BLACK_HOLE = "black-hole"
    """Connections are made, and nothing that either side sends arrives."""
    HALF_OPEN = "half-open"
    """After the first reply nothing arrives anymore, neither bytes nor an end: each side is gone for the other."""
    SLOW = "slow"
    """`slow_bytes_s` bytes a second in each direction."""
    REFUSE = "refuse"
    """Nobody listens. Connections that exist go on."""


class Delay(NamedTuple):
    """Seconds that bytes are under way, to the upstream and back."""

    up: float = 0.0
    down: float = 0.0


class _Reset(Exception):
    """This connection ends with RST."""


@dataclass(eq=False)
class _Line:
    """One connection through the proxy."""

    client: socket.socket
    server: socket.socket
    order: asyncio.Future[None]
    """Done when it must be reset."""
    last: float
    """When bytes last moved, by the loop's clock."""
    is_tls: bool | None = None
    """None until the client has sent something."""
    answers: int = 0
    """How often the server began to send after the client had."""
    is_up: bool = False
    """The last bytes came from the client."""
    is_lost: bool = False
    """Something did not arrive, so nothing may any more."""

    @property
    def has_replied(self) -> bool:
        return self.answers > (1 if self.is_tls else 0)


@dataclass(eq=False)
class FaultProxy:
    """Forwards TCP connections, and breaks them as told. Everything may be set at any time.

    Attributes:
        upstream: where connections that are accepted from now on lead.
        others: where they lead while the upstream refuses them, the first that accepts.
        delay_s: of bytes that arrive from now on.
        port: where it listens, on 127.0.0.1.
        accepted: connections so far.
        opened: how many of them came to each upstream, by its port.
        resets: connections that ended with RST by the proxy's doing.
        asked: bytes that clients sent.
    """

    upstream: Address
    fault: Fault = Fault.NONE
    delay_s: Delay = field(default_factory=Delay)
    idle_s: float = 0.02
    slow_bytes_s: int = 200
    port: int = field(default_factory=free_port)
    seed: int = 1
    others: Sequence[Address] = ()
    accepted: int = 0
    opened: Counter[int] = field(default_factory=Counter)
    resets: int = 0
    asked: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._lines: set[_Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections there are."""
        return len(self._lines)

    async def __aenter__(self) -> Self:
        self._sweeping = asyncio.create_task(self._sweep(), name="fault-proxy-sweep")
        await self.become(self.fault)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._refuse()
        tasks = [task for task in (self._sweeping, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def become(self, fault: Fault) -> None:
        """From now on connections suffer this. Returns when nobody listens any more, or somebody does again."""
        self.fault = fault
        if fault is Fault.REFUSE:
            await self._refuse()
        elif self._accepting is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
            self._accepting = asyncio.create_task(self._accept(self._listener), name="fault-proxy")

    async def _refuse(self) -> None:
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listener.close()
            self._accepting = None

    def reset(self) -> int:
        """Reset every connection there is; returns how many there were."""
        for line in self._lines:
            _order(line)
        return len(self._lines)

    def forget(self) -> None:
        """Make every connection there is half-open: nothing arrives, and no end is told."""
        for line in self._lines:
            line.is_lost = True

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            client, _ = await loop.sock_accept(listener)
            self.accepted += 1
            task = loop.create_task(self._serve(client), name="fault-proxy-line")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        """Resets what is idle."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.idle_s / 2)
            if self.fault is Fault.RESET_IDLE:
                for line in self._lines:
                    if line.has_replied and loop.time() - line.last > self.idle_s:
                        _order(line)

    async def _serve(self, client: socket.socket) -> None:
        """A connection from its beginning to its end. Sockets are closed when nothing waits for them any more, so that no
        waiter is left on a descriptor that is somebody else's by then."""
        loop = asyncio.get_running_loop()
        with client:
            server = await self._connected()
            if server is None:
                self.resets += 1
                _will_reset(client)
                return
            with server:
                for end in (client, server):
                    end.setblocking(False)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._join(_Line(client, server, loop.create_future(), loop.time()))

    async def _connected(self) -> socket.socket | None:
        """A connection to the first upstream that accepts one; None when none does."""
        loop = asyncio.get_running_loop()
        for address in (self.upstream, *self.others):
            server = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            server.setblocking(False)
            try:
                await loop.sock_connect(server, address)
            except OSError:
                server.close()
            except BaseException:
                server.close()
                raise
            else:
                self.opened[address[1]] += 1
                return server
        return None

    async def _join(self, line: _Line) -> None:
        """Carry both directions until both are over or the line must be reset."""
        loop = asyncio.get_running_loop()
        self._lines.add(line)
        works: list[asyncio.Task[None]] = []
        try:
            if self.fault is Fault.RESET_TLS and self._chance.random() < 0.5:
                raise _Reset
            works = [loop.create_task(self._carry(line, is_up)) for is_up in (True, False)]
            await _all_or_order(works, line.order)
        except (OSError, _Reset):
            self.resets += 1
            _will_reset(line.client, line.server)
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            self._lines.discard(line)

    async def _carry(self, line: _Line, is_up: bool) -> None:
        """One direction of a connection, until its end was passed on."""
        loop = asyncio.get_running_loop()
        source, sink = (line.client, line.server) if is_up else (line.server, line.client)
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        writing = loop.create_task(self._deliver(line, sink, under_way))
        writing.add_done_callback(lambda task: None if _went_well(task) else _order(line))
        try:
            while part := await loop.sock_recv(source, 65536):
                self._note(line, is_up, part)
                await under_way.put((loop.time() + self.delay_s[0 if is_up else 1], part))
            await under_way.put((loop.time() + self.delay_s[0 if is_up else 1], b""))
            await writing
        except ConnectionError:
            if not line.is_lost:
                raise
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def _note(self, line: _Line, is_up: bool, part: bytes) -> None:
        line.last = asyncio.get_running_loop().time()
        self.asked += len(part) if is_up else 0
        if line.is_tls is None and is_up:
            line.is_tls = part[0] == _TLS_HANDSHAKE
            if self.fault is Fault.RESET_TLS:
                asyncio.get_running_loop().call_later(self._chance.uniform(0, 0.003), _order, line)
        if not is_up and line.is_up:
            line.answers += 1
        line.is_up = is_up

    async def _deliver(self, line: _Line, sink: socket.socket, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, part = await under_way.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if self.fault is Fault.BLACK_HOLE:
                line.is_lost = True
            if line.is_lost:
                if not part:
                    return
                continue
            if not part:
                with suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            await self._send(line, sink, part)

    async def _send(self, line: _Line, sink: socket.socket, part: bytes) -> None:
        loop = asyncio.get_running_loop()
        is_reply = sink is line.client and line.has_replied
        if is_reply and self.fault is Fault.RESET_REPLY:
            await loop.sock_sendall(sink, part[: len(part) // 2])
            raise _Reset
        for piece in self._pieces(part):
            if self.fault is Fault.SLOW:
                await asyncio.sleep(len(piece) / self.slow_bytes_s)
            await loop.sock_sendall(sink, piece)
        if is_reply and self.fault is Fault.HALF_OPEN:
            line.is_lost = True

    def _pieces(self, part: bytes) -> Iterable[bytes]:
        size = max(1, self.slow_bytes_s // 20) if self.fault is Fault.SLOW else len(part)
        return (part[start : start + size] for start in range(0, len(part), size))


_TLS_HANDSHAKE: Final = 0x16
_NO_LINGER: Final = struct.pack("ii", 1, 0)


def _went_well(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is None


def _order(line: _Line) -> None:
    if not line.order.done():
        line.order.set_result(None)


async def _all_or_order(works: list[asyncio.Task[None]], order: asyncio.Future[None]) -> None:
    """Waits for both directions, or the first that fails.

    Raises:
        OSError, _Reset: the connection must be reset.
    """
    left: set[asyncio.Future[None]] = {*works}
    while left:
        done, _ = await asyncio.wait({*left, order}, return_when=asyncio.FIRST_COMPLETED)
        if order in done:
            raise _Reset
        for work in done:
            work.result()
        left -= done


def _will_reset(*ends: socket.socket) -> None:
    """Closing them sends RST."""
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
