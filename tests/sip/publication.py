"""A phone or server of others that publishes one state, and keeps it alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from suite.sip.errors import SipDenied, SipError, SipRefusal
from suite.sip.publisher import PublishedDocument
from suite.sip.servers import SipServer
from suite.sip.user_agent import UserAgent

_TRY_AGAIN_S: Final = (5.0, 300.0)
"""Shortest and longest pause after a failure."""
_SHARE: Final = 0.85
_SHORTEST_S: Final = 5.0


class Publication:
    """One state at one server, kept alive. `update` gives it; the newest counts, and those between may never be sent.

    Failures are told to `trouble`, a success after them as None. A login that is not taken ends it.
    """

    def __init__(
        self,
        agent: UserAgent,
        server: SipServer,
        uri: str,
        *,
        event: str = "presence",
        content_type: str = "application/pidf+xml",
        expires_s: int = 3600,
        trouble: Callable[[SipError | None], None] = lambda _: None,
    ) -> None:
        self._state = PublishedDocument(agent, server, uri, event=event, content_type=content_type, expires_s=expires_s)
        self._trouble = trouble
        self._wakes = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._pause_s = _TRY_AGAIN_S[0]
        self._troubled = False
        self._task: asyncio.Task[None] | None = None

    @property
    def tag(self) -> str | None:
        """The entity tag of what the server has; None if it has nothing of ours."""
        return self._state.tag

    def update(self, body: bytes) -> None:
        """Publish a state."""
        self._state.wanted = body
        self._wakes.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"sip publication {self._state.event}")

    async def withdraw(self) -> None:
        """Take the state back, once, and end."""
        async with self._publishing:  # else the tag of a request under way would not be known
            await self.drop()
            with suppress(SipError):
                await self._state.withdraw()

    async def drop(self) -> None:
        """End, and leave the state at the server until its time is over."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        due: float | None = 0.0
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wakes.wait()
            self._wakes.clear()
            try:
                async with self._publishing:
                    published = await self._state.publish()
            except SipDenied as error:
                self._trouble(error)
                return
            except SipError as error:
                self._trouble(error)
                self._troubled = True
                asked = error.retry_after_s if isinstance(error, SipRefusal) else None
                await asyncio.sleep(min(asked or self._pause_s, _TRY_AGAIN_S[1]))
                self._pause_s = min(2 * self._pause_s, _TRY_AGAIN_S[1])
                due = 0.0
            else:
                self._pause_s = _TRY_AGAIN_S[0]
                if self._troubled:
                    self._trouble(None)
                self._troubled = False
                due = loop.time() + max(published.lasts_s * _SHARE, _SHORTEST_S)
