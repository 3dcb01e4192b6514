"""One session: an application, its presence subscriptions and its event channel, until something breaks.

The event channel is a long poll. Its answers name who changed; `PresenceFetcher` fetches them. A lost answer loses nothing: the next request has
the same `ack`, and the server sends it again. Sources: https://learn.microsoft.com/skype-sdk/ucwa/eventchanneldetails, /eventsinucwa, /events_ref
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
"""An agent that stops waits so long for the server. An application that is left behind expires there."""

HELD_S: Final = 20.0
"""An answer of a proxy that came so late was a poll that it held: 30 seconds are a usual limit."""


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
            settings: where the server is.
            sightings: whom to subscribe to, and where their presence goes.
            on_flow: told "" when everybody is subscribed to and events flow, and why they do not when they do not any more.
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
        self._subscriber = PresenceSubscriber(http, sightings, self._fetcher, self._pace, self._tell)
        self._is_polling = True

    @property
    def left_out(self) -> int:
        """Return the number of colleagues beyond those whom the server lets the user subscribe to."""
        return self._subscriber.left_out

    def watch(self) -> None:
        """Take note that other colleagues are to be watched."""
        self._subscriber.watch()

    async def run(self, endpoint_id: str) -> None:
        """Run until something breaks, and sign the application out at the end.

        Raises:
            UcwaError: the reason for which it broke.
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
        """Ask the event channel, again and again."""
        at, resets = _with_times(events_at), 0
        while True:
            began = _now()
            events = await self._poll_at(at)
            self._take(events, at)
            resets = resets + 1 if events.is_reset else 0
            if resets > MOST_TRIES:
                raise UcwaBroken("The event channel begins again and again.")
            # The server remembers the times, unless it cleaned up.
            at = _with_times(events.next) if events.is_reset else events.next
            await asyncio.sleep(max(0.0, began + self._pace.between_polls - _now()))

    async def _poll_at(self, at: str) -> ChannelEvents:
        """Return the events at an address, asking again where that may help."""
        attempt = 0
        while True:
            began = _now()
            try:
                answer = await self._http.get(at, limit_s=self._pace.late)
                events = events_of(answer, lambda href: self._http.hosts.known(at, href))
            except UcwaCut as error:
                # A proxy that holds a request for less time than the server cuts it, again and again, when nobody changes.
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
                self._tell()
                return events

    def _take(self, events: ChannelEvents, at: str) -> None:
        if events.is_reset:
            self._sightings.begin_anew()
        self._subscriber.take(events)
        self._fetcher.changed(events.changed, at)

    def _tell(self) -> None:
        if self._is_polling and self._subscriber.is_complete:
            self._on_flow("")


def _with_times(at: str) -> str:
    return with_query(at, low=LOW_S, medium=MEDIUM_S, timeout=POLL_S)


async def _first_to_end(*running: Coroutine[None, None, None]) -> None:
    """Run these until one ends, and raise what ended it."""
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
