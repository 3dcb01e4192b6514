"""One session: an application, its presence subscriptions and its event channel, until something breaks.

The event channel is a long poll. Its answers name who changed; `PresenceFetcher` fetches them. A lost answer loses nothing: the next request has
the same `ack`, and the server sends it again. Sources: https://learn.microsoft.com/skype-sdk/ucwa/eventchanneldetails, /eventsinucwa, /events_ref
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sfb.answers import events_of, subscription_of
from suite.agent.sources.sfb.discovery import application_at, applications_of
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaBusy, UcwaDenied, UcwaError, UcwaGone
from suite.agent.sources.sfb.fetching import AGAIN_S, PresenceFetcher
from suite.agent.sources.sfb.hosts import with_query
from suite.agent.sources.sfb.subscribing import LASTS_MINUTES, Add, Create, End, Extend, Rest, SubscriptionPlan
from suite.agent.sources.statements import TOO_MANY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from suite.agent.settings.groups.sfb import SfbSettings
    from suite.agent.sources.sfb.answers import Application, ChannelEvents
    from suite.agent.sources.sfb.http import UcwaHttp
    from suite.agent.sources.sfb.sightings import Sightings
    from suite.agent.sources.sfb.subscribing import SubscriptionStep

POLL_S: Final = 180
"""The server holds the event channel for so long: the least that it allows, and its default."""
MEDIUM_S: Final = 5
"""Presence is of medium urgency. The server gathers it for so long: the least that it allows, and its default."""
LOW_S: Final = 15
LATE_S: Final = 30.0
"""An answer of the event channel may be so late before it counts as missing."""
LIMIT: Final = "LimitExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPace:
    """The times of a session, in seconds.

    Attributes:
        between_polls: the least time between two requests to the event channel.
        again: the wait after a request that failed and is sent again.
        late: an answer of the event channel may be so late.
        quiet: the wait for the first word of those who were subscribed to, before the server is asked who they are.
    """

    between_polls: float = 0.25
    again: float = AGAIN_S
    late: float = POLL_S + LATE_S
    quiet: float = 60.0


MOST_POLLS: Final = 3
"""Attempts at the event channel, with the same `ack`, before the session counts as broken."""


class UcwaSession:
    """One session.

    Attributes:
        user: SIP address of the user who was signed in; empty before, or when the server does not say.
        has_begun: True when there was an application.
        left_out: colleagues beyond the number that the server lets the user subscribe to.
    """

    def __init__(
        self,
        http: UcwaHttp,
        settings: SfbSettings,
        sightings: Sightings,
        *,
        on_flow: Callable[[str], None],
        pace: SessionPace | None = None,
    ) -> None:
        """Prepare a session.

        Args:
            http: the requests, open.
            settings: where the server is.
            sightings: whom to subscribe to, and where their presence goes.
            on_flow: told "" when everybody is subscribed to and events flow, and why they do not when they do not any more.
            pace: the times; None takes those of this module.
        """
        self.user = ""
        self.has_begun = False
        self.left_out = 0
        self._http = http
        self._settings = settings
        self._sightings = sightings
        self._on_flow = on_flow
        self._pace = pace or SessionPace()
        self._plan = SubscriptionPlan()
        self._fetcher = PresenceFetcher(http, sightings, again_s=self._pace.again)
        self._wake = asyncio.Event()
        self._is_polling = True

    def watch(self) -> None:
        """Take note that other colleagues are to be watched."""
        self._wake.set()

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
            await _first_to_end(self._poll(application), self._subscribe(application), self._fetcher.run())
        finally:
            with contextlib.suppress(UcwaError):
                await self._http.send("DELETE", application.address, limit_s=2.0)

    # The event channel

    async def _poll(self, application: Application) -> None:
        """Ask the event channel, again and again."""
        at = with_query(application.events, low=LOW_S, medium=MEDIUM_S, timeout=POLL_S)
        while True:
            async with _no_sooner(self._pace.between_polls):
                events = await self._poll_at(at)
                # The parameters are remembered by the server, unless it cleaned up: then they are sent again.
                at = (
                    with_query(events.next, low=LOW_S, medium=MEDIUM_S, timeout=POLL_S)
                    if events.is_reset
                    else events.next
                )
                self._take(events)

    async def _poll_at(self, at: str) -> ChannelEvents:
        """Return the events at an address, asking again where that may help."""
        for attempt in range(1, MOST_POLLS + 1):
            try:
                answer = await self._http.get(at, limit_s=self._pace.late)
            except UcwaGone:
                raise
            except UcwaBroken as error:
                if attempt == MOST_POLLS:
                    raise
                self._flows(str(error))
                await asyncio.sleep(
                    max(self._pace.again * attempt, error.wait_s if isinstance(error, UcwaBusy) else 0.0)
                )
            else:
                events = events_of(answer, lambda href: self._http.hosts.known(at, href))
                self._is_polling = True
                self._tell()
                return events
        raise AssertionError("unreachable")

    def _take(self, events: ChannelEvents) -> None:
        now = _now()
        if events.is_reset:
            self._plan.reset()
            self._sightings.begin_anew()
        for address in events.ending:
            self._plan.ending(address, now)
        for address in events.ended:
            self._plan.lost(address, now)
        if events.changed:
            self._fetcher.changed(events.changed)
        if events.is_reset or events.ending or events.ended:
            self._wake.set()

    # Subscriptions

    async def _subscribe(self, application: Application) -> None:
        """Do what the plan says, whenever it says something."""
        while True:
            self._wake.clear()
            self._plan.want(self._sightings.wanted)
            step = self._plan.step(_now())
            if isinstance(step, Rest):
                self._settle()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(step.seconds):
                        await self._wake.wait()
                continue
            try:
                await self._do(step, application)
            except UcwaBusy as error:
                self._plan.pause(_now() + max(error.wait_s, self._pace.again))

    async def _do(self, step: SubscriptionStep, application: Application) -> None:
        match step:
            case Create(uris):
                await self._create(uris, application)
            case Add(subscription, uris):
                try:
                    await self._http.send("POST", subscription.adding, {"contactUris": _sip(uris)})
                except UcwaDenied as error:
                    self._limited(error)
                except UcwaGone:
                    self._plan.lost(subscription.address, _now())
                else:
                    self._plan.added(subscription, uris)
            case Extend(subscription):
                try:
                    await self._http.send("POST", with_query(subscription.address, duration=LASTS_MINUTES))
                except UcwaGone:  # it has ended: Microsoft's page shows 404 with ApplicationNotFound for that
                    self._plan.lost(subscription.address, _now())
                else:
                    self._plan.extended(subscription, _now())
            case End(subscription):
                with contextlib.suppress(UcwaGone):
                    await self._http.send("DELETE", subscription.address)
                self._plan.ended(subscription)

    async def _create(self, uris: tuple[str, ...], application: Application) -> None:
        wanted = {"duration": LASTS_MINUTES, "uris": _sip(uris)}
        try:
            answer = await self._http.send("POST", application.subscriptions, wanted)
        except UcwaDenied as error:
            self._limited(error)
            return
        known = self._http.hosts.known
        made = subscription_of(answer, lambda href: known(application.subscriptions, href))
        self._plan.created(made, uris, _now())

    def _limited(self, error: UcwaDenied) -> None:
        """Take note that the server's limit is reached.

        Raises:
            UcwaDenied: it is something else that the server does not permit.
        """
        if error.subcode != LIMIT:
            raise error
        self._plan.limited(_now())

    # How it goes

    def _settle(self) -> None:
        """Take note that there is nothing to subscribe to at the moment."""
        left_out = self._plan.left_out()
        for uri in left_out:
            self._sightings.say(uri, TOO_MANY)
        self.left_out = len(left_out)
        self._tell()

    def _tell(self) -> None:
        if self._is_polling and self._plan.is_complete():
            self._on_flow("")

    def _flows(self, why: str) -> None:
        self._is_polling = False
        self._on_flow(why)


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


@contextlib.asynccontextmanager
async def _no_sooner(seconds: float) -> AsyncIterator[None]:
    """Let the context last so many seconds at least."""
    began = _now()
    yield
    await asyncio.sleep(max(0.0, began + seconds - _now()))


def _sip(uris: tuple[str, ...]) -> list[str]:
    return [f"sip:{uri}" for uri in uris]


def _now() -> float:
    return asyncio.get_running_loop().time()
