"""States that we publish to a server (RFC 3903 4), kept alive: a refresh in time, and anew when the server forgot it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from suite.sip.dialogs import Dialog
from suite.sip.errors import SipDenied, SipError, SipRefusal
from suite.sip.message import SipRequest, SipResponse
from suite.sip.replies import delta_s, refusal_of
from suite.sip.servers import SipServer
from suite.sip.user_agent import UserAgent

_TRY_AGAIN_S: Final = (5.0, 300.0)
"""Shortest and longest pause after a failure."""
_SHARE: Final = 0.85
_SHORTEST_S: Final = 5.0


class Publication:
    """One state at one server. `update` gives it; the newest counts, and those between may never be sent.

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
        self._agent = agent
        self._server = server
        self._uri = uri
        self._event = event
        self._content_type = content_type
        self._expires_s = expires_s
        self._trouble = trouble
        self._tag: str | None = None
        self._wanted = b""
        self._sent = b""
        self._wakes = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._pause_s = _TRY_AGAIN_S[0]
        self._troubled = False
        self._task: asyncio.Task[None] | None = None

    @property
    def tag(self) -> str | None:
        """The entity tag of what the server has; None if it has nothing of ours."""
        return self._tag

    def update(self, body: bytes) -> None:
        """Publish a state."""
        self._wanted = body
        self._wakes.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"sip publication {self._event}")

    async def withdraw(self) -> None:
        """Take the state back, once, and end."""
        async with self._publishing:  # else the tag of a request under way would not be known
            await self.drop()
            if self._tag is not None:
                with suppress(SipError):
                    await self._publish(b"", 0)
                self._tag = None

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
                    lasts_s = await self._publish_newest()
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
                due = loop.time() + max(lasts_s * _SHARE, _SHORTEST_S)

    async def _publish_newest(self) -> float:
        """Publish what is wanted, or refresh it if the server has it; return for how many seconds the server keeps it."""
        body = self._wanted
        refreshes = self._tag is not None and body == self._sent
        try:
            response = await self._publish(b"" if refreshes else body, self._expires_s)
        except SipRefusal as error:
            if error.status == 423 and (error.min_expires or 0) > self._expires_s:
                self._expires_s = min(error.min_expires or 0, 24 * 3600)
            elif error.status == 412 and self._tag is not None:
                self._tag = None  # it forgot ours
            else:
                raise
            response = await self._publish(b"" if refreshes and self._tag is not None else body, self._expires_s)
        self._tag = response.headers.first("sip-etag")
        self._sent = body
        granted = delta_s(response.headers.first("expires"))
        return self._expires_s if granted is None else granted

    async def _publish(self, body: bytes, expires_s: int) -> SipResponse:
        dialog = Dialog.starting(self._uri, self._uri)

        def made() -> SipRequest:
            fields = [("Event", self._event), ("Expires", str(expires_s))]
            fields += [("SIP-If-Match", self._tag)] if self._tag is not None else []
            fields += [("Content-Type", self._content_type)] if body else []
            return dialog.request("PUBLISH", *fields, body=body)

        response, _ = await self._agent.request(made, self._server)
        if response.status >= 300:
            raise refusal_of(response)
        return response
