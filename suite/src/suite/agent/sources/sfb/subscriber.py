"""Subscribe to colleagues by the plan, and detect contacts whose presence the server does not send.

After a subscription began, the server names each of its contacts on the event channel. If contacts are missing after a minute, the agent
requests the members of their subscriptions, and fetches them; contacts that are still missing then are `not_reported`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sfb.answers import members_of, subscription_of
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaBusy, UcwaDenied, UcwaGone, UcwaUnfit
from suite.agent.sources.sfb.fetching import NOT_FOUND, NOT_REPORTED
from suite.agent.sources.sfb.hosts import with_query
from suite.agent.sources.sfb.pace import MOST_TRIES
from suite.agent.sources.sfb.subscribing import LASTS_MINUTES, Add, Create, End, Extend, Rest, SubscriptionPlan
from suite.agent.sources.statements import TOO_MANY

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.sources.sfb.answers import ChannelEvents
    from suite.agent.sources.sfb.fetching import PresenceFetcher
    from suite.agent.sources.sfb.http import UcwaHttp
    from suite.agent.sources.sfb.pace import SessionPace
    from suite.agent.sources.sfb.sightings import Sightings
    from suite.agent.sources.sfb.subscribing import SubscriptionStep

LIMIT: Final = "LimitExceeded"
PAGES_A_POLL: Final = 10
"""Most subscription requests between two answers of the event channel, which name every contact: 1,000 are about 700 kB."""


class PresenceSubscriber:
    """The presence subscriptions of one application.

    Attributes:
        left_out: number of colleagues beyond those whom the server lets the user subscribe to.
    """

    def __init__(
        self,
        http: UcwaHttp,
        sightings: Sightings,
        fetcher: PresenceFetcher,
        pace: SessionPace,
        on_settled: Callable[[], None],
    ) -> None:
        self.left_out = 0
        self._http = http
        self._sightings = sightings
        self._fetcher = fetcher
        self._pace = pace
        self._on_settled = on_settled
        self._plan = SubscriptionPlan()
        self._wake = asyncio.Event()
        self._polled = asyncio.Event()
        self._begun = 0
        """Requests to subscribe since the last answer of the event channel."""
        self._was_accepted = False
        self._silence_ends = 0.0
        self._asked_for_members = True
        self._awaits_presence = False

    @property
    def is_complete(self) -> bool:
        """Return True when all colleagues are subscribed to, up to the server's limit."""
        return self._plan.is_complete()

    def watch(self) -> None:
        """Note that the colleagues to watch have changed."""
        self._wake.set()

    def take(self, events: ChannelEvents) -> None:
        """Apply the event channel's events about subscriptions."""
        now, self._begun = _now(), 0
        self._polled.set()
        if events.is_reset:
            self._plan.reset()
        for address in events.ending:
            self._plan.ending(address, now)
        for address in events.ended:
            self._plan.lost(address, now)
        if events.is_reset or events.ending or events.ended:
            self._wake.set()

    async def run(self, at: str) -> None:
        """Carry out the steps of the plan, until an error.

        Args:
            at: whole address at which subscriptions are created.

        Raises:
            UcwaError: the server refuses, or retries failed.
        """
        attempts = 0
        while True:
            self._wake.clear()
            if returned := self._plan.want(self._sightings.wanted):
                self._fetcher.look_up(returned)
                self._await_presence()
            step = self._plan.step(_now())
            if isinstance(step, Rest):
                self._settle()
                await self._rest(step.seconds)
                continue
            try:
                await self._do(step, at)
                attempts = 0
            except UcwaBusy as error:
                attempts += 1
                await asyncio.sleep(self._pace.wait(attempts, error.wait_s))
            except UcwaBroken as error:
                attempts += 1
                if attempts >= MOST_TRIES or isinstance(error, UcwaGone | UcwaUnfit):
                    raise
                await asyncio.sleep(self._pace.wait(attempts))

    async def _do(self, step: SubscriptionStep, at: str) -> None:
        match step:
            case Create(uris):
                await self._begin(step, at, {"duration": LASTS_MINUTES, "uris": _sip(uris)})
            case Add(subscription, uris):
                await self._begin(step, subscription.adding, {"contactUris": _sip(uris)})
            case Extend(subscription):
                try:
                    await self._http.send("POST", with_query(subscription.address, duration=LASTS_MINUTES))
                except (
                    UcwaGone,
                    UcwaUnfit,
                ):  # Microsoft's page shows 404 with ApplicationNotFound for one that has ended
                    self._plan.lost(subscription.address, _now())
                else:
                    self._plan.extended(subscription, _now())
            case End(subscription):
                with contextlib.suppress(UcwaGone, UcwaUnfit):
                    await self._http.send("DELETE", subscription.address)
                self._plan.ended(subscription)

    async def _begin(self, step: Create | Add, at: str, wanted: dict[str, object]) -> None:
        """Subscribe to the contacts of a step."""
        if self._begun >= PAGES_A_POLL:
            self._polled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.quiet):
                    await self._polled.wait()
        self._begun += 1
        try:
            answer = await self._http.send("POST", at, wanted)
        except UcwaDenied as error:
            if error.subcode != LIMIT:
                raise
            self._plan.limited(_now())
        except UcwaUnfit:
            self._plan.rejected(step.uris)
            if not self._was_accepted and len(self._plan.unfit()) >= MOST_TRIES:
                raise  # the server rejects the request itself, not the addresses
        except UcwaGone:
            if isinstance(step, Create):
                raise
            self._plan.lost(step.subscription.address, _now())
        else:
            if isinstance(step, Create):
                made = subscription_of(answer, lambda href: self._http.hosts.known(at, href))
                self._plan.created(made, step.uris, _now())
            else:
                self._plan.added(step.subscription, step.uris)
            self._was_accepted = True
            self._await_presence()

    # Contacts whose presence the server does not send

    def _await_presence(self) -> None:
        self._asked_for_members, self._awaits_presence = False, True
        self._silence_ends = _now() + self._pace.quiet

    async def _rest(self, seconds: float) -> None:
        """Wait until there is something to do."""
        if self._awaits_presence:
            seconds = min(seconds, max(0.0, self._silence_ends - _now()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        if self._awaits_presence and _now() >= self._silence_ends:
            await self._check_silent()

    async def _check_silent(self) -> None:
        """Fetch the silent contacts once; mark those that stay silent as not reported."""
        self._silence_ends = _now() + self._pace.quiet
        if not self._fetcher.is_idle:
            return
        silent = self._sightings.silent(self._plan.subscribed)
        if not self._asked_for_members and silent:
            self._asked_for_members = True
            for subscription in self._plan.subscriptions_of(silent):
                await self._fetch_members(subscription.members)
            return
        for uri in silent:
            self._sightings.say(uri, NOT_REPORTED)
        self._awaits_presence = False

    async def _fetch_members(self, members: str) -> None:
        if not members:
            return
        try:
            answer = await self._http.get(members)
        except UcwaBroken:
            return  # contacts that stay silent are marked at the next check
        self._fetcher.changed(dict.fromkeys(members_of(answer), ""), members)

    def _settle(self) -> None:
        """Mark the contacts that cannot be subscribed to, while the plan has no step."""
        for uri in self._plan.unfit():
            self._sightings.say(uri, NOT_FOUND)
        left_out = self._plan.left_out()
        for uri in left_out:
            self._sightings.say(uri, TOO_MANY)
        self.left_out = len(left_out)
        self._on_settled()


def _sip(uris: tuple[str, ...]) -> list[str]:
    return [f"sip:{uri}" for uri in uris]


def _now() -> float:
    return asyncio.get_running_loop().time()
