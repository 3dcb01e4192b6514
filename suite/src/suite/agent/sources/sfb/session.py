"""One session: an application, its presence subscriptions and its event channel, until something breaks.

The event channel is a long poll. Its answers name the contacts that changed; `PresenceFetcher` fetches them. After a lost answer the next
request has the same `ack`, and the server sends the answer again. Sources:
https://learn.microsoft.com/skype-sdk/ucwa/eventchanneldetails, /eventsinucwa, /events_ref
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sfb.answers import events_of
from suite.agent.sources.sfb.discovery import application_at, applications_of
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaBusy, UcwaCut, UcwaError, UcwaGone
from suite.agent.sources.sfb.fetching import PresenceFetcher
from suite.agent.sources.sfb.hosts import with_query
from suite.agent.sources.sfb.pace import LOW_S, MEDIUM_S, MOST_TRIES, POLL_S
from suite.agent.sources.sfb.subscriber import PresenceSubscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from suite.agent.settings.groups.sfb import SfbSettings
    from suite.agent.sources.sfb.answers import ChannelEvents
    from suite.agent.sources.sfb.http import UcwaHttp
    from suite.agent.sources.sfb.pace import SessionPace
    from suite.agent.sources.sfb.sightings import Sightings

SIGN_OUT_S: Final = 2.0
"""Seconds that a stopping agent waits for the server. An application that is left behind expires there."""

HELD_S: Final = 20.0
"""A proxy's error after so many seconds is its timeout of a held poll, and no failure: 30 seconds are a usual limit."""


class UcwaSession:
    """One session.

    Attributes:
        user: SIP address of the user who was signed in; empty before, or when the server does not say.
        has_begun: True when there was an application.
    """

    def __init__(
        self,
        http: UcwaHttp,
        settings: SfbSettings,
        sightings: Sightings,
        *,
        on_flow: Callable[[str], None],
        pace: SessionPace,
    ) -> None:
        """Prepare a session.

        Args:
            http: the requests, open.
            settings: the address of the server, and the account.
            sightings: the colleagues to subscribe to, which take the presence.
            on_flow: called with "" when all colleagues are subscribed to and events arrive, and with the reason when events stop.
            pace: the times.
        """
        self.user = ""
        self.has_begun = False
        self._http = http
        self._settings = settings
        self._sightings = sightings
        self._on_flow = on_flow
        self._pace = pace
        self._fetcher = PresenceFetcher(http, sightings, self._pace)
        self._subscriber = PresenceSubscriber(http, sightings, self._fetcher, self._pace, self._report_flow)
        self._is_polling = True

    @property
    def left_out(self) -> int:
        """Return the number of colleagues beyond those whom the server lets the user subscribe to."""
        return self._subscriber.left_out

    def watch(self) -> None:
        """Note that the colleagues to watch have changed."""
        self._subscriber.watch()

    async def run(self, endpoint_id: str) -> None:
        """Run until something breaks, and sign the application out at the end.

        Raises:
            UcwaError: the error that ended the session.
        """
        applications = await applications_of(self._http, self._settings)
        application = await application_at(self._http, applications, endpoint_id)
        self.user, self.has_begun = application.user, True
        try:
            self._sightings.begin_anew()
            await _first_to_end(
                self._poll(application.events), self._subscriber.run(application.subscriptions), self._fetcher.run()
            )
        finally:
            with contextlib.suppress(UcwaError, TimeoutError):
                async with asyncio.timeout(SIGN_OUT_S):
                    await self._http.send("DELETE", application.address)

    async def _poll(self, events_at: str) -> None:
        """Poll the event channel until an error."""
        at, resets = _with_times(events_at), 0
        while True:
            began = _now()
            events = await self._poll_at(at)
            self._take(events, at)
            resets = resets + 1 if events.is_reset else 0
            if resets > MOST_TRIES:
                raise UcwaBroken("The event channel resets again and again.")
            # The server keeps the times, unless it reset the channel.
            at = _with_times(events.next) if events.is_reset else events.next
            await asyncio.sleep(max(0.0, began + self._pace.between_polls - _now()))

    async def _poll_at(self, at: str) -> ChannelEvents:
        """Return the events at an address, with retries where they may help."""
        attempt = 0
        while True:
            began = _now()
            try:
                answer = await self._http.get(at, limit_s=self._pace.late)
                events = events_of(answer, lambda href: self._http.hosts.known(at, href))
            except UcwaCut as error:
                # A proxy with a shorter timeout than the server's ends every poll in which no presence changes.
                attempt = 0 if _now() - began >= HELD_S else attempt + 1
                if attempt >= MOST_TRIES:
                    raise UcwaBroken(str(error)) from None
                await asyncio.sleep(self._pace.wait(max(attempt, 1)))
            except UcwaBroken as error:
                attempt += 1
                if attempt >= MOST_TRIES or isinstance(error, UcwaGone):
                    raise
                self._is_polling = False
                self._on_flow(str(error))
                await asyncio.sleep(self._pace.wait(attempt, error.wait_s if isinstance(error, UcwaBusy) else 0.0))
            else:
                self._is_polling = True
                self._report_flow()
                return events

    def _take(self, events: ChannelEvents, at: str) -> None:
        if events.is_reset:
            self._sightings.begin_anew()
        self._subscriber.take(events)
        self._fetcher.changed(events.changed, at)

    def _report_flow(self) -> None:
        if self._is_polling and self._subscriber.is_complete:
            self._on_flow("")


def _with_times(at: str) -> str:
    return with_query(at, low=LOW_S, medium=MEDIUM_S, timeout=POLL_S)


async def _first_to_end(*running: Coroutine[None, None, None]) -> None:
    """Run these until one ends, and raise its exception."""
    tasks = [asyncio.create_task(each) for each in running]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def _now() -> float:
    return asyncio.get_running_loop().time()
