"""The real store behind a network whose times a test arranges: replies that come late, and requests that are carried out late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.errors import StoreUnavailable
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.scripting import Call

Send = Callable[[], Awaitable[Any]]


@dataclass(eq=False)
class Held:
    """One call that is late.

    Attributes:
        what: the script or command.
        key: one that it must name; None: whatever it names.
        is_lost: its caller gives up when it is let go, and it is carried out when `run` says so; otherwise only its reply is late.
        came: it was made, and carried out unless it is lost.
    """

    what: str
    key: bytes | None
    is_lost: bool
    came: asyncio.Event = field(default_factory=asyncio.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _send: Send | None = None

    def matches(self, what: str, keys: Sequence[object]) -> bool:
        return self._send is None and what == self.what and (self.key is None or self.key in keys)

    async def take(self, send: Send) -> Any:
        self._send = send
        reply = None if self.is_lost else await send()
        self.came.set()
        await self._go.wait()
        if self.is_lost:
            raise StoreUnavailable("The store does not answer (TimeoutError)")
        return reply

    def let_go(self) -> None:
        self._go.set()

    async def run(self) -> Any:
        """What lay in the socket is carried out at last."""
        assert self._send is not None
        return await self._send()


class LateStore(Store):
    """A store some of whose calls are late."""

    def __init__(self, settings: StoreSettings) -> None:
        super().__init__(settings)
        self._held: list[Held] = []

    def hold_reply(self, what: str, key: bytes | None = None) -> Held:
        """The next such call is carried out, and its reply is held back."""
        self._held.append(held := Held(what, key, is_lost=False))
        return held

    def lose(self, what: str, key: bytes | None = None) -> Held:
        """The next such call times out, and may be carried out later."""
        self._held.append(held := Held(what, key, is_lost=True))
        return held

    async def run_once(self, call: Call) -> Any:
        return await self._late(call.script.name, call.keys, lambda: super(LateStore, self).run_once(call))

    async def command(self, *command: Any) -> Any:
        return await self._late(str(command[0]), command, lambda: super(LateStore, self).command(*command))

    async def many(self, commands: Sequence[Sequence[Any]], *, vault: bool = False) -> list[Any]:
        keys = [key for command in commands for key in command[1:2]]
        what = str(commands[0][0]) if commands else ""
        return list(await self._late(what, keys, lambda: super(LateStore, self).many(commands, vault=vault)))

    async def _late(self, what: str, keys: Sequence[object], send: Send) -> Any:
        held = next((held for held in self._held if held.matches(what, keys)), None)
        return await (send() if held is None else held.take(send))
