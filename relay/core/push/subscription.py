"""The life of one grant's subscription, as pure steps.

Graph lets an account have one presence subscription of at most 650 users in an application, for at most an hour, and does
not say when it ends or falls silent (https://learn.microsoft.com/graph/changenotifications-for-presence). Its users cannot
be changed: other users mean another subscription.

    none ──Create──► held ──Renew──► held
      ▲                │
      └─────Delete─────┘   no covered user is watched, other users are to be covered, it is silent, or its time has run out

`next_step` returns the next step. The functions below take its result, and each returns the new standing. Users count as
covered only while `covered` contains them. Everything here can be rebuilt from the store's record of a held subscription: a new
owner adopts that record, and starts without any faults noted.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from relay.core.presence import UserId

MAX_USERS: Final = 650
"""Users of a subscription, https://learn.microsoft.com/graph/changenotifications-for-presence."""


class PushFault(enum.StrEnum):
    """The reason why a grant has no subscription although it should; operators read the values."""

    TAKEN = "Microsoft says that there is a subscription already: of another program, or of another account here"
    REFUSED = "Microsoft allows no further subscription"
    NOT_UNDERSTOOD = "Microsoft does not accept the relay's request"
    WEBHOOK_UNREACHABLE = "Microsoft does not reach the webhook"
    ACCESS_DENIED = "Microsoft does not let this account subscribe"
    UNREACHABLE = "Microsoft cannot be asked at present"
    SILENT = "Microsoft's notifications fell silent, and are tried again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPolicy:
    """The times at which a subscription is created, renewed, replaced and tried again.

    Attributes:
        life: what is asked for. Graph allows 60 minutes by its own clock and raises less than 45: 50 stands clocks that differ
            by ten minutes. Graph's answer takes precedence.
        renew_least, renew_most: after so long it is renewed, drawn anew each time. Graph delivers for as long as the access
            token lives that it was last shown, about an hour, and nothing after half of one depends on a single call.
        gather: how long the first users wait for others before a subscription is made.
        remake_soon: age at which it is made anew for a tenth or more of the watched users; each time costs a gap of a second
            and a read of all its users.
        remake_late: the same for fewer.
        retry_least, retry_most: between two attempts after a refusal that only time can cure; doubled each time. The former is
            also the least time between two that were made.
        trouble_least: the same, where Graph could not be asked.
        look_after: how soon an earlier owner's subscription is renewed, which shows whether it still is there.
        silent_pause: between two times that it is made anew because it fell silent.
    """

    life: timedelta = timedelta(minutes=50)
    renew_least: timedelta = timedelta(minutes=25)
    renew_most: timedelta = timedelta(minutes=30)
    gather: timedelta = timedelta(seconds=3)
    remake_soon: timedelta = timedelta(minutes=1)
    remake_late: timedelta = timedelta(minutes=10)
    retry_least: timedelta = timedelta(minutes=1)
    retry_most: timedelta = timedelta(hours=1)
    trouble_least: timedelta = timedelta(seconds=2)
    look_after: timedelta = timedelta(minutes=1)
    silent_pause: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSubscription:
    """A subscription that Graph is believed to have.

    Attributes:
        route_id: where its notifications arrive.
        subscription_id: Graph's name for it.
        users: who is in it.
        created: when it was made.
        renew_at: when to renew it.
        expires: when Graph ends it.
    """

    route_id: str
    subscription_id: str
    users: tuple[UserId, ...]
    created: datetime
    renew_at: datetime
    expires: datetime


_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStanding:
    """One grant's subscription in its life.

    Attributes:
        held: the subscription; None when there is none.
        wanted: who is to be in it.
        wanted_since: since when some of them have not been; None when all are.
        not_before: Graph is not to be asked anything before.
        failures: refusals in a row.
        refusal: the last of them; None when all is well.
        is_silent: the held one is to be deleted because it fell silent.
        is_suspect: the last one fell silent, and nothing has been announced since.
        silenced: when one was last deleted for that.
    """

    held: HeldSubscription | None = None
    wanted: tuple[UserId, ...] = ()
    wanted_since: datetime | None = None
    not_before: datetime = _LONG_AGO
    failures: int = 0
    refusal: PushFault | None = None
    is_silent: bool = False
    is_suspect: bool = False
    silenced: datetime = _LONG_AGO

    @property
    def covered(self) -> tuple[UserId, ...]:
        """The users whose changes Graph is trusted to announce."""
        return self.held.users if self.held is not None and not self.is_suspect else ()

    @property
    def trouble(self) -> PushFault | None:
        """The reason why users who should be covered are not; None when all is well."""
        return self.refusal or (PushFault.SILENT if self.is_suspect else None)


@dataclass(frozen=True, slots=True)
class Create:
    """Ask for a subscription of these users."""

    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the held one, with an access token that is fresh."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the held one."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until then; None: until something happens."""

    until: datetime | None


Step: TypeAlias = Create | Renew | Delete | Wait


def next_step(standing: SubscriptionStanding, now: datetime, policy: SubscriptionPolicy) -> Step:
    """Return the next thing to do with a grant's subscription."""
    held = standing.held
    if held is None:
        if standing.wanted_since is None:
            return Wait(None)
        return _at(max(standing.wanted_since + policy.gather, standing.not_before), now, Create(standing.wanted))
    if not standing.wanted or standing.is_silent:
        return _at(standing.not_before, now, Delete())
    end, renewal = min(_remake_at(standing, held, policy), held.expires), held.renew_at
    # Its end is no later for a renewal that would come first, unless that is the time's end.
    step = Delete() if end <= now or end < renewal else Renew()
    return _at(max(min(end, renewal), standing.not_before), now, step)


def wanting(standing: SubscriptionStanding, users: Iterable[UserId], now: datetime) -> SubscriptionStanding:
    """Return the standing once these users are to be in the subscription. One from which users are merely gone is as good as before."""
    wanted = tuple(users)
    inside = standing.held.users if standing.held is not None else ()
    since = (standing.wanted_since or now) if set(wanted).difference(inside) else None
    return replace(standing, wanted=wanted, wanted_since=since)


def created(
    standing: SubscriptionStanding, held: HeldSubscription, now: datetime, policy: SubscriptionPolicy, chance: float
) -> SubscriptionStanding:
    """Return the standing once Graph has created the subscription.

    Args:
        standing: before.
        held: it; when to renew it is decided here.
        now: the present.
        policy: the rules.
        chance: 0 to 1, where between the two ends its renewal falls.
    """
    held = replace(held, renew_at=_renew_at(held.expires, now, policy, chance))
    standing = replace(
        standing, held=held, failures=0, refusal=None, not_before=_LONG_AGO, is_silent=False, wanted_since=None
    )
    return wanting(standing, standing.wanted, now)


def adopted(
    standing: SubscriptionStanding,
    held: HeldSubscription,
    now: datetime,
    policy: SubscriptionPolicy,
    chance: float,
    renewal: timedelta | None = None,
) -> SubscriptionStanding:
    """Return the standing once a subscription of an earlier owner or attempt is adopted.

    Args:
        standing: before.
        held: it.
        now: the present.
        policy: the rules.
        chance: 0 to 1, see `created`.
        renewal: in how long an owner that ended in order would have renewed it; None: it is renewed soon, to see that it still is there.
    """
    standing = created(standing, held, now, policy, chance)
    wait = policy.look_after * chance if renewal is None else renewal
    soon = min(standing.held.renew_at if standing.held else now, now + wait)
    return replace(standing, held=replace(held, renew_at=soon))


def is_sound(standing: SubscriptionStanding) -> bool:
    """Return whether the held subscription is as it should be, for all that is known."""
    return standing.held is not None and not (standing.failures or standing.is_suspect or standing.is_silent)


def renewed(
    standing: SubscriptionStanding, expires: datetime, now: datetime, policy: SubscriptionPolicy, chance: float
) -> SubscriptionStanding:
    """Return the standing once Graph has renewed the subscription until `expires`."""
    if standing.held is None:
        return standing
    held = replace(standing.held, expires=expires, renew_at=_renew_at(expires, now, policy, chance))
    return replace(standing, held=held, failures=0, refusal=None, not_before=_LONG_AGO)


def reauthorise(standing: SubscriptionStanding, now: datetime) -> SubscriptionStanding:
    """Return the standing once Graph asks for a fresh access token, without which it stops announcing: renew at once."""
    if standing.held is None:
        return standing
    return replace(standing, held=replace(standing.held, renew_at=min(standing.held.renew_at, now)))


def gone(standing: SubscriptionStanding, policy: SubscriptionPolicy) -> SubscriptionStanding:
    """Return the standing once there is no subscription any more: it was deleted, has expired, or Graph does not know it."""
    if standing.held is None:
        return standing
    not_before = max(standing.not_before, standing.held.created + policy.retry_least)
    # Those who were in it need not wait for others to be gathered.
    since = _LONG_AGO if standing.wanted else None
    return replace(standing, held=None, is_silent=False, wanted_since=since, not_before=not_before, failures=0)


def refused(
    standing: SubscriptionStanding,
    trouble: PushFault,
    now: datetime,
    policy: SubscriptionPolicy,
    *,
    chance: float,
    retry_after: timedelta | None = None,
) -> SubscriptionStanding:
    """Return the standing once Graph has refused.

    Args:
        standing: before.
        trouble: what was said.
        now: the present.
        policy: the rules.
        chance: 0 to 1: a pause is up to a quarter longer, so that many tenants do not come back together.
        retry_after: what Graph asked for.
    """
    least = policy.trouble_least if trouble is PushFault.UNREACHABLE else policy.retry_least
    pause = min(least * 2 ** min(standing.failures, 20), policy.retry_most) * (1 + chance / 4)
    pause = max(pause, retry_after or timedelta())
    return replace(standing, failures=standing.failures + 1, not_before=now + pause, refusal=trouble)


def silent(standing: SubscriptionStanding, now: datetime, policy: SubscriptionPolicy) -> SubscriptionStanding:
    """Return the standing once the subscription announces nothing: none of its users is covered; it is replaced, once in `silent_pause`."""
    if standing.held is None or standing.is_silent:
        return standing
    if standing.silenced > _LONG_AGO and standing.silenced + policy.silent_pause > now:
        return replace(standing, is_suspect=True)
    return replace(standing, is_suspect=True, is_silent=True, silenced=now)


def heard(standing: SubscriptionStanding) -> SubscriptionStanding:
    """Return the standing once something was announced: a suspect subscription has proven itself."""
    return replace(standing, is_suspect=False, is_silent=False) if standing.is_suspect else standing


def _at(time: datetime, now: datetime, step: Step) -> Step:
    return step if time <= now else Wait(time)


def _remake_at(standing: SubscriptionStanding, held: HeldSubscription, policy: SubscriptionPolicy) -> datetime:
    if standing.wanted_since is None:
        return _NEVER
    new = len(set(standing.wanted).difference(held.users))
    patience = policy.remake_soon if new * 10 >= len(standing.wanted) else policy.remake_late
    return max(held.created, standing.wanted_since) + patience


def _renew_at(expires: datetime, now: datetime, policy: SubscriptionPolicy, chance: float) -> datetime:
    usual = policy.renew_least + (policy.renew_most - policy.renew_least) * chance
    # A shorter life than was asked for is renewed with a third of it left.
    return min(now + usual, now + max(expires - now, timedelta()) * 2 / 3)


_NEVER: Final = datetime.max.replace(tzinfo=UTC)
