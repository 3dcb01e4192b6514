"""The relay of a run: Valkey, the edge, the gateway before it, and the faults that scenarios cause."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from relay.dev import children
from relay.dev.conformance.gateway import Gateway
from relay.dev.conformance.microsoft import PlayedMicrosoft
from relay.dev.conformance.observing import Observer
from relay.dev.folder import DevTrouble, Folder
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops.supervision import running
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import RingMarks
from relay.store.server.connection import Store, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from relay.dev.conformance.record import SeenCall
    from relay.errors import RelayError

KEY_FILE: Final = "conformance.key"


class NoStream(Exception):
    """The suite has no stream, or did not do what the scenario requires; the text states what was missing."""


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of the scenarios, in seconds. Tests use shorter ones."""

    settle_s: float = 1.0
    """Pause before each disturbance, in which a suite applies the responses."""
    patience_s: float = 75.0
    """Time limit for a suite to reconnect: its longest wait is 30 s, and it may need two waits."""
    drain_s: float = 20.0
    connection_age_s: float = 5.0
    gone_s: float = 30.0
    throttle_s: float = 10.0
    slow_s: float = 2.0
    """Delay of each piece of a slow relay's answer."""
    silent_s: float = 120.0
    """Time limit for a suite to detect silence: a ping after 30 s and its timeout, or three times the interval of
    `progress`, and a wait."""
    progress_s: float = 25.0
    revoked_s: float = 40.0
    """Time in which a suite with a revoked key must not return: longer than the longest wait."""

    def scaled(self, factor: float) -> Times:
        """Return the times multiplied, except the patience."""
        return replace(
            self, **{one.name: getattr(self, one.name) * factor for one in fields(self) if one.name != "patience_s"}
        )


class PlayedRelay:
    """All parts of a run of scenarios, as an async context manager."""

    def __init__(self, folder: Path, port: int, times: Times) -> None:
        """Prepare a relay that does not run yet.

        Args:
            folder: stores the certificate for all runs, and the key of this run.
            port: where suites connect, on 127.0.0.1; 0 is any free port.
            times: of the scenarios.
        """
        self.times = times
        self.observer = Observer(self._know)
        self.given_up: Callable[[], str] = str
        """Returns why no suite will connect any more; empty while one may."""
        self._folder = Folder(folder)
        self._gateway = Gateway(port, self.observer.accepted)
        self._stack = AsyncExitStack()

    @property
    def address(self) -> str:
        """Return where suites connect."""
        return f"127.0.0.1:{self._gateway.port}"

    @property
    def ca_file(self) -> Path:
        """Return the file with the CA that suites must trust."""
        return self._folder.ca_file.resolve()

    @property
    def key_file(self) -> Path:
        """Return the file with the suite key."""
        return (self._folder.path / KEY_FILE).resolve()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            data = Folder(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="presence-"))))
            lock = stack.enter_context(data.locked())
            await stack.enter_async_context(children.valkey(data, lock))
            self._store = await stack.enter_async_context(Store(StoreSettings(url=data.redis_url)))
            self._marks = RingMarks(KeyRing.from_json(data.key_ring()))
            self.microsoft = PlayedMicrosoft(self._store, self._marks)
            key = await self.microsoft.begin()
            self._key_id = key.key_id
            self._folder.write(KEY_FILE, f"{key.text}\n".encode())
            await stack.enter_async_context(running({"conformance-beat": self.microsoft.beat}))
            self._edge = await self._started()
            stack.push_async_callback(self._stop_edge)
            try:
                await stack.enter_async_context(self._gateway)
            except OSError as error:
                raise DevTrouble(f"The port cannot be used: {error.strerror}. Give another with --port.") from error
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    # What the scenarios see

    def now_s(self) -> float:
        """Return the time since the run began."""
        return self.observer.now_s()

    @property
    def current(self) -> SeenCall | None:
        """Return the newest stream whose suite has received everything."""
        return next((call for call in reversed(self.observer.calls) if call.is_settled), None)

    async def until(self, condition: Callable[[], object], missing: str, within_s: float | None = None) -> None:
        """Wait for an action of the suite.

        Raises:
            NoStream: the action did not happen in time, or the suite's program has ended; `missing` is the text.
        """
        within_s = self.times.patience_s if within_s is None else within_s
        done = await self.observer.until(lambda: condition() or self.given_up(), within_s)
        if not done or not condition():
            raise NoStream(self.given_up() or f"{missing} within {within_s:g} s")

    async def settled(self, after_s: float = -1.0) -> SeenCall:
        """Wait for a stream that was opened after a moment and whose suite has received everything.

        Raises:
            NoStream: none came.
        """

        def found() -> SeenCall | None:
            call = self.current
            return call if call is not None and call.opened_s > after_s else None

        await self.until(found, "no stream was opened")
        call = found()
        assert call is not None
        return call

    # What they do

    async def ready(self) -> SeenCall:
        """Wait for a stream, change the presence of all users, and give the suite a moment to apply it.

        Raises:
            NoStream: the suite has none.
        """
        call = await self.settled()
        before = len(call.tokens)
        await self.microsoft.change()
        await self.until(lambda: len(call.tokens) > before or not call.is_open, "the relay had nothing to send")
        await asyncio.sleep(self.times.settle_s)
        return call

    async def move(self) -> None:
        """Start another edge and drain the running one, as in an update of the relay; return when that has ended."""
        old, self._edge = self._edge, await self._started()
        await old.__aexit__(None, None, None)

    def cut(self) -> None:
        """Break all connections."""
        self._gateway.cut()

    def close(self, *, on: bool) -> None:
        """Make the relay unreachable, by resetting all connections and each new one; or make it reachable again."""
        self._gateway.is_closed = on
        if on:
            self._gateway.cut()

    def freeze(self) -> None:
        """Stop sending on all connections, without closing them."""
        self._gateway.freeze()

    def slow_down(self, delay_s: float) -> None:
        """Delay each piece that the relay sends by this time."""
        self._gateway.slow_down(delay_s)

    def refuse(self, error: RelayError, times: int) -> None:
        """Refuse the next calls."""
        self.observer.refusals = [error] * times

    async def revoke(self) -> None:
        """Revoke the suite key, which ends the streams that use it."""
        await self.microsoft.revoke(self._key_id)
        await self._edge.sweep()

    # Its parts

    async def _know(self, names: Iterable[str]) -> None:
        await self.microsoft.know(names)

    async def _started(self) -> EdgeServer:
        chain, key = self._folder.certificate()
        settings = EdgeSettings(
            host="127.0.0.1",
            port=0,
            tls_cert_pem=chain.read_bytes(),
            tls_key_pem=key.read_bytes(),
            connections=100,
            connection_age=timedelta(seconds=self.times.connection_age_s),
            drain_delay=timedelta(seconds=self.times.drain_s),
            grace=timedelta(seconds=0.2),
            progress_default=timedelta(seconds=self.times.progress_s),
            progress_min=timedelta(seconds=min(5.0, self.times.progress_s)),
        )
        edge = EdgeServer(settings, self._store, self._marks, interceptors=[self.observer])
        await edge.__aenter__()
        self._gateway.to_port = edge.port
        return edge

    async def _stop_edge(self) -> None:
        self._gateway.is_closed = True
        self._gateway.cut()
        with suppress(TimeoutError):
            await self._edge.__aexit__(None, None, None)
