"""The life of one grant's subscription, as pure steps.

Graph lets an account have one presence subscription of at most 650 users in an application, for at most an hour, and
does not report when it ends or stops announcing (https://learn.microsoft.com/graph/changenotifications-for-presence).
Its users cannot be changed: other users need another subscription.

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
    """The reason why a grant has no subscription although it should have one; the values are shown to operators."""

    TAKEN = "Microsoft already has a subscription: of another program, or of another account in this relay"
    REFUSED = "Microsoft allows no further subscription"
    NOT_UNDERSTOOD = "Microsoft does not accept the relay's request"
    WEBHOOK_UNREACHABLE = "Microsoft does not reach the webhook"
    ACCESS_DENIED = "Microsoft does not let this account subscribe"
    UNREACHABLE = "Microsoft cannot be reached at present"
    SILENT = "Microsoft's notifications have stopped; the relay will try again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPolicy:
    """The times at which a subscription is created, renewed, replaced and tried again.

    Attributes:
        life: lifetime that is requested. Graph allows 60 minutes by its own clock and raises less than 45: 50 tolerates
            clocks that differ by ten minutes. Graph's answer takes precedence.
        renew_least, renew_most: a subscription is renewed after a random time between the two. Graph delivers for as
            long as the last access token that it got is valid, about an hour, so the renewal at half of that can fail
            once without harm.
        gather: time that the first users wait for others before a subscription is created.
        remake_soon: age at which it is replaced for a tenth or more of the watched users. Each time costs a gap of a
            second and a read of all its users.
        remake_late: the same for fewer users.
        retry_least, retry_most: time between two attempts after a refusal that only time can cure; doubled each time.
            The former is also the least time between the creation of two subscriptions.
        trouble_least: the same, when Graph could not be reached.
        look_after: time after which an earlier owner's subscription is renewed, which shows whether it still exists.
        silent_pause: time between two replacements because of silence.
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
        route_id: the webhook route of its notifications.
        subscription_id: Graph's id for it.
        users: the users in it.
        created: time of its creation.
        renew_at: time at which to renew it.
        expires: time at which Graph ends it.
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
    """The state of one grant's subscription.

    Attributes:
        held: the subscription; None when there is none.
        wanted: the users who should be in it.
        wanted_since: time since which some of them have been missing; None when all are in it.
        not_before: earliest time of the next request to Graph.
        failures: refusals in a row.
        refusal: the last refusal; None when there is no trouble.
        is_silent: whether the held one must be deleted because it is silent.
        is_suspect: whether the last one was silent, and nothing has been announced since.
        silenced: time at which one was last deleted for silence.
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
        """The users whose changes Graph announces, as far as known."""
        return self.held.users if self.held is not None and not self.is_suspect else ()

    @property
    def trouble(self) -> PushFault | None:
        """The reason why users who should be covered are not; None without trouble."""
        return self.refusal or (PushFault.SILENT if self.is_suspect else None)


@dataclass(frozen=True, slots=True)
class Create:
    """Create a subscription of these users."""

    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the held subscription, with a fresh access token."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the held subscription."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until then; None: until something happens."""

    until: datetime | None


Step: TypeAlias = Create | Renew | Delete | Wait


def next_step(standing: SubscriptionStanding, now: datetime, policy: SubscriptionPolicy) -> Step:
    """Return the next step for a grant's subscription."""
    held = standing.held
    if held is None:
        if standing.wanted_since is None:
            return Wait(None)
        return _at(max(standing.wanted_since + policy.gather, standing.not_before), now, Create(standing.wanted))
    if not standing.wanted or standing.is_silent:
        return _at(standing.not_before, now, Delete())
    end, renewal = min(_remake_at(standing, held, policy), held.expires), held.renew_at
    # A renewal that would come first does not postpone the end, unless the end is that of the lifetime.
    step = Delete() if end <= now or end < renewal else Renew()
    return _at(max(min(end, renewal), standing.not_before), now, step)


def wanting(standing: SubscriptionStanding, users: Iterable[UserId], now: datetime) -> SubscriptionStanding:
    """Return the standing once these users should be in the subscription. Users who merely left it need no new one."""
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
        held: the new subscription; its time of renewal is decided here.
        now: the present.
        policy: the rules.
        chance: 0 to 1, the place of the renewal between `renew_least` and `renew_most`.
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
        held: the adopted subscription.
        now: the present.
        policy: the rules.
        chance: 0 to 1, see `created`.
        renewal: time until the renewal that an earlier owner planned, if that one stopped cleanly; None: renew soon, to
            check that the subscription still exists.
    """
    standing = created(standing, held, now, policy, chance)
    wait = policy.look_after * chance if renewal is None else renewal
    soon = min(standing.held.renew_at if standing.held else now, now + wait)
    return replace(standing, held=replace(held, renew_at=soon))


def is_sound(standing: SubscriptionStanding) -> bool:
    """Return whether the held subscription has no known fault."""
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
    """Return the standing once Graph requires a fresh access token, without which it stops announcing: renew immediately."""
    if standing.held is None:
        return standing
    return replace(standing, held=replace(standing.held, renew_at=min(standing.held.renew_at, now)))


def gone(standing: SubscriptionStanding, policy: SubscriptionPolicy) -> SubscriptionStanding:
    """Return the standing once the subscription no longer exists: it was deleted, has expired, or is unknown to Graph."""
    if standing.held is None:
        return standing
    not_before = max(standing.not_before, standing.held.created + policy.retry_least)
    # Users who were in it need not wait for others.
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
        trouble: the kind of refusal.
        now: the present.
        policy: the rules.
        chance: 0 to 1: a pause is up to a quarter longer, so that many tenants do not retry together.
        retry_after: the pause that Graph requested, if any.
    """
    least = policy.trouble_least if trouble is PushFault.UNREACHABLE else policy.retry_least
    pause = min(least * 2 ** min(standing.failures, 20), policy.retry_most) * (1 + chance / 4)
    pause = max(pause, retry_after or timedelta())
    return replace(standing, failures=standing.failures + 1, not_before=now + pause, refusal=trouble)


def silent(standing: SubscriptionStanding, now: datetime, policy: SubscriptionPolicy) -> SubscriptionStanding:
    """Return the standing once the subscription is silent: it covers no user, and is replaced once in `silent_pause` at most."""
    if standing.held is None or standing.is_silent:
        return standing
    if standing.silenced > _LONG_AGO and standing.silenced + policy.silent_pause > now:
        return replace(standing, is_suspect=True)
    return replace(standing, is_suspect=True, is_silent=True, silenced=now)


def heard(standing: SubscriptionStanding) -> SubscriptionStanding:
    """Return the standing once something was announced: the subscription is no longer suspect."""
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
    # If Graph grants a shorter life than requested, renew when a third of it is left.
    return min(now + usual, now + max(expires - now, timedelta()) * 2 / 3)


_NEVER: Final = datetime.max.replace(tzinfo=UTC)
