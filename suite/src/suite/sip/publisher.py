"""Publishes an event state to a server (RFC 3903 4), refreshes it, publishes it again when the server has lost it, and removes it."""

from __future__ import annotations

from dataclasses import dataclass

from suite.sip.dialogs import Dialog
from suite.sip.errors import SipRefusal
from suite.sip.message import SipRequest, SipResponse
from suite.sip.replies import delta_s, refusal_of
from suite.sip.servers import SipServer
from suite.sip.user_agent import UserAgent


@dataclass(frozen=True, slots=True)
class PublishedFor:
    """An accepted publication.

    Attributes:
        lasts_s: seconds for which the server keeps it.
        was_forgotten: True when the server had lost an earlier publication, and perhaps others too.
    """

    lasts_s: float
    was_forgotten: bool


class PublishedDocument:
    """One published document at one server. Calls must not overlap.

    Attributes:
        uri: the URI of the user whose state it is.
        wanted: the newest document.
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
    ) -> None:
        self.uri = uri
        self.event = event
        self.wanted = b""
        self._agent = agent
        self._server = server
        self._content_type = content_type
        self._expires_s = expires_s
        self._tag: str | None = None
        self._sent = b""
        self._was_forgotten = False

    @property
    def tag(self) -> str | None:
        """The entity tag of the published state; None if the server has none of ours."""
        return self._tag

    async def publish(self) -> PublishedFor:
        """Publish `wanted`, or refresh it if the server has it already.

        Raises:
            SipDenied: the server refuses the login.
            SipError: it failed. The server may still have the former state.
        """
        body = self.wanted
        refreshes = self._tag is not None and body == self._sent
        try:
            response = await self._publish(b"" if refreshes else body, self._expires_s)
        except SipRefusal as error:
            if error.status == 423 and (error.min_expires or 0) > self._expires_s:
                self._expires_s = min(error.min_expires or 0, 24 * 3600)
            elif error.status == 412 and self._tag is not None:
                self._tag, self._was_forgotten = None, True
            else:
                raise
            response = await self._publish(b"" if refreshes and self._tag is not None else body, self._expires_s)
        self._tag = response.headers.first("sip-etag")
        self._sent = body
        granted = delta_s(response.headers.first("expires"))
        was_forgotten, self._was_forgotten = self._was_forgotten, False
        # A longer time than requested is not relied on: an early refresh is only one request.
        lasts_s = self._expires_s if granted is None else min(granted, self._expires_s)
        return PublishedFor(lasts_s, was_forgotten)

    async def withdraw(self) -> None:
        """Remove the state. Success if the server has lost it already.

        Raises:
            SipError: it failed.
        """
        if self._tag is not None:
            try:
                await self._publish(b"", 0)
            except SipRefusal as error:
                if error.status != 412:
                    raise
            self._tag = None

    async def _publish(self, body: bytes, expires_s: int) -> SipResponse:
        dialog = Dialog.starting(self.uri, self.uri)

        def made() -> SipRequest:
            fields = [("Event", self.event), ("Expires", str(expires_s))]
            fields += [("SIP-If-Match", self._tag)] if self._tag is not None else []
            fields += [("Content-Type", self._content_type)] if body else []
            return dialog.request("PUBLISH", *fields, body=body)

        response, _ = await self._agent.request(made, self._server)
        if response.status >= 300:
            raise refusal_of(response)
        return response
