"""One tenant's subscriptions at Graph: made, renewed, adopted, deleted, and what their notifications say.

    watched users ──► split ──► Standing of each grant ──► next_step ──► Graph
                                   ▲                                       │
                                   └──── created, renewed, gone, refused ◄─┘
    notifications ──► opened ──► Reader.take_announced          polls ──► Watchdog ──► silent, loss

The rules are in `core.subscription`, `core.covering` and `core.watchdog`; here they are carried out. Each subscription is
written down before Graph is asked for it, so that its notifications find their way from the first one on, and so that an
owner that takes over knows whose it is. Nothing here is needed for presence to be right: users who are not covered, for
whatever reason, are read at full speed.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry import metrics

from relay.core.push import subscription as rules
from relay.core.push.coverage import Rates, split, weight
from relay.core.push.subscription import Create, Delete, Held, Renew, Standing, Trouble, Wait
from relay.core.push.watchdog import Watchdog, reconcile_after
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    CredentialRejected,
    HistoryLost,
    LeaseLost,
    RelayError,
    RequestRefused,
    Retryable,
    StoreUnavailable,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionRefused,
    WebhookUnreachable,
)
from relay.graph.errors import GrantRefused
from relay.graph.push import subscriptions as graph
from relay.store.presence.push import PushStatus
from relay.store.presence.subscriptions import Subscription, Subscriptions, new_client_state, new_route
from relay.worker.push.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from relay.core.presence import TenantId, UserId
    from relay.graph.push.settings import PushSettings
    from relay.store.presence.hints import Notified
    from relay.worker.grants.pool import GrantPool
    from relay.worker.partition import OwnedPartition
    from relay.worker.reads.reader import Reader

log = structlog.get_logger(__name__)

_meter = metrics.get_meter("relay.worker")
_steps = _meter.create_counter(
    "relay.worker.subscriptions",
    description="What became of subscriptions: created, adopted, renewed, deleted, silent, …",
)
_users = _meter.create_up_down_counter(
    "relay.worker.users", description="Watched users: pushed, polled, silent (polled because notifications stopped)"
)
_changes = _meter.create_counter(
    "relay.worker.changes", description="Changes of covered users, by whether they were announced"
)

_PLAN_EVERY_S: Final = 30.0
"""How often who is worth covering is thought over, beside when watched users come or go."""
_GOODBYE_S: Final = 10.0
"""What deleting the subscriptions of a tenant that leaves may take; what is left ends within the hour by itself."""
_GLANCE_S: Final = 0.05
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_PRESENCES: Final = "communications/presences"


@dataclass(slots=True)
class _Grant:
    """One grant's subscription.

    Attributes:
        account_id: whose.
        standing: how it stands.
        record: what the store has of the held one, or of the one that was asked for last.
        watchdog: of the held one.
        read: its users who were read since it began: only from then on a change is one that Graph should have announced.
        is_searched: whether what Graph lists of this account is known.
        is_busy: whether Graph is being asked.
        must_read: what Graph announced may have been lost until the next renewal: read all users after it.
        counted: what of the watchdog's counts is in the metrics already.
        doubted_from: when to look for what an earlier owner asked for, if nobody is watched by then.
    """

    account_id: UserId
    standing: Standing = field(default_factory=Standing)
    record: Subscription | None = None
    watchdog: Watchdog = field(default_factory=Watchdog)
    read: set[UserId] = field(default_factory=set)
    is_searched: bool = False
    is_busy: bool = False
    must_read: bool = False
    counted: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    doubted_from: datetime = _LONG_AGO


class Subscriber:
    """Keeps one tenant's subscriptions and takes in what they announce. It is the reader's observer.

    The caller runs `act` for each account that `due` gives, as a task of its own, `sweep` once a second, and `take_in` once
    `notified` says so.
    """

    def __init__(
        self, tenant_id: TenantId, owned: OwnedPartition, pool: GrantPool, reader: Reader, push: PushSettings
    ) -> None:
        self.tenant_id = tenant_id
        self._owned = owned
        self._pool = pool
        self._reader = reader
        self._push = push
        self._settings = owned.worker.settings
        self._policy = self._settings.subscriptions
        self._client = owned.cloud.client
        self._records = Subscriptions(owned.worker.store)
        self._grants: dict[UserId, _Grant] = {}
        self._grant_of: dict[UserId, _Grant] = {}  # covered user -> the grant whose subscription it is in
        self._strays: dict[str, Subscription] = {}  # route -> record of an earlier owner, Graph's answer unknown
        self._rates = Rates()
        self._opening = Opening(push.certificates)
        self._planned_at = float("-inf")
        self._planned_for = -1
        self._answered: set[UserId] = set()  # who was read; before that nobody is subscribed to
        self._has_news = False
        self._status = PushStatus()
        self._is_said = False
        reader.observer = self

    # What is there

    async def load(self) -> None:
        """Take over what an earlier owner had subscribed to; to be called once the pool is loaded."""
        now = _now()
        for record in await self._records.of(self.tenant_id):
            if record.account_id not in self._pool.accounts:
                await self._drop(record)  # nobody can renew it, and its users are polled
                continue
            grant = self._grants.setdefault(record.account_id, _Grant(record.account_id))
            if grant.record is not None and grant.record.route_id == record.route_id:
                continue  # this was begun before, and cut short
            if record.subscription_id and record.expires > now and grant.standing.held is None:
                self._adopt(grant, record)
            else:
                self._strays[record.route_id] = record
                grant.doubted_from = now + self._policy.look_after  # suites may come back, and it is adopted
        self._cover()

    async def write_again(self) -> None:
        """The store lost history, and perhaps what it had of the subscriptions."""
        for grant in self._grants.values():
            if grant.record is not None:
                await self._records.put(self._owned.lease, grant.record)
        self._is_said = False

    def close(self) -> None:
        """Another worker may own the tenant from now on: count its users no longer."""
        self._count(PushStatus())

    async def leave(self) -> None:
        """The tenant is leaving: delete its subscriptions while its tokens are still at hand."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                leaving = (self._leave(grant) for grant in self._grants.values())
                for failed in await asyncio.gather(*leaving, return_exceptions=True):
                    if failed is not None:  # the tenant leaves all the same
                        log.error("subscription_left_behind", tenant_id=self.tenant_id, error=repr(type(failed)))
        except TimeoutError:
            log.warning("subscriptions_left_behind", tenant_id=self.tenant_id)

    async def _leave(self, grant: _Grant) -> None:
        while grant.is_busy:  # what is under way may leave a subscription behind  # noqa: ASYNC110
            await asyncio.sleep(_GLANCE_S)
        try:
            if self._left_by(grant):
                await self._search(grant)
            if (held := grant.standing.held) is not None:
                await graph.delete(self._client, self._pool.of(grant.account_id), held.subscription_id)
        except RelayError as error:
            log.warning("subscription_left_behind", tenant_id=self.tenant_id, error=type(error).__name__)

    # Who is to be covered

    def sweep(self, now: float, watchers: Mapping[UserId, int] | None, users: int) -> None:
        """Once a second: who is to be covered, and does what is covered get announced?

        Args:
            now: by the monotonic clock.
            watchers: user who could be subscribed to -> how many watch; None: it is no time to think of that, see `wants_plan`.
            users: how many are watched in all.
        """
        if watchers is not None:
            self._planned_at, self._planned_for, self._has_news = now, users, False
            self._plan(now, watchers)
        self._push.certificates.reload_if_changed()
        loss = 0.0
        for grant in self._grants.values():
            self._look_after(grant, now)
            loss = max(loss, grant.watchdog.loss(now))
        settings = self._settings
        self._reader.reconcile_s = reconcile_after(
            loss, settings.reconcile_interval.total_seconds(), settings.poll_interval.total_seconds()
        )
        self._cover()

    def wants_plan(self, now: float, users: int) -> bool:
        """Whether it is time to think over who is to be covered; `users`: how many are watched in all."""
        return (
            self._has_news
            or users != self._planned_for
            or now - self._planned_at >= _PLAN_EVERY_S
            or set(self._pool.accounts) != self._grants.keys()
        )

    def covering(self, user: UserId) -> tuple[UserId, datetime] | None:
        """Whose subscription covers the user, and when it ends unless it is renewed; None for a user whom none covers."""
        grant = self._grant_of.get(user)
        held = grant.standing.held if grant is not None else None
        return (grant.account_id, held.expires) if grant is not None and held is not None else None

    def forget(self, users: Iterable[UserId]) -> None:
        """Nobody watches these users any more."""
        gone = set(users)
        self._rates.forget(gone)
        self._answered -= gone

    def _plan(self, now: float, watchers: Mapping[UserId, int]) -> None:
        usable = set(self._pool.accounts)
        for account in self._grants.keys() - usable:
            self._give_up(self._grants.pop(account))
        for account in self._pool.accounts:
            self._grants.setdefault(account, _Grant(account))
        weights = {user: weight(count, self._rates.of(user, now)) for user, count in watchers.items()}
        # Those in trouble last: who is worth most is with a grant that works. Else the emptiest, so that few are made anew.
        grants = sorted(self._grants.values(), key=lambda grant: (grant.standing.refusal is not None, _size(grant)))
        inside = {str(grant.account_id): grant.standing.held.users if grant.standing.held else () for grant in grants}
        chosen = split(weights, inside, self._settings.subscription_size)
        for grant in grants:
            grant.standing = rules.wanting(grant.standing, chosen[str(grant.account_id)], _now())

    def _give_up(self, grant: _Grant) -> None:
        """The grant died: its subscription cannot be renewed, and ends by itself."""
        if grant.record is not None:
            self._strays[grant.record.route_id] = grant.record

    def _look_after(self, grant: _Grant, now: float) -> None:
        for announced, count in grant.watchdog.judged.items():
            _changes.add(count - grant.counted[announced], {"announced": announced})
            grant.counted[announced] = count
        if grant.record is not None and self._push.certificates.of(grant.record.certificate_id) is None:
            self._renew_now(grant)  # nothing that Graph announces can be opened until it knows another certificate
        if grant.standing.held is not None and grant.watchdog.is_silent(now):
            before = grant.standing
            grant.standing = rules.silent(grant.standing, _now(), self._policy)
            if grant.standing.is_suspect and not before.is_suspect:
                _steps.add(1, {"outcome": "silent"})
                log.warning("notifications_silent", tenant_id=self.tenant_id, account_id=grant.account_id)

    def _cover(self) -> None:
        """Tell the reader whose changes are announced."""
        covered = {user: grant for grant in self._grants.values() for user in grant.standing.covered}
        if covered.keys() != self._grant_of.keys():
            self._reader.cover(covered)
        self._grant_of = covered

    # What to do

    def due(self) -> list[UserId]:
        """The accounts with something to do; each is to be given to `act`."""
        now = _now()
        due = [
            grant
            for grant in self._grants.values()
            if not grant.is_busy
            and (
                not isinstance(rules.next_step(grant.standing, now, self._policy), Wait)
                or (self._is_in_doubt(grant) and self._doubted_at(grant) <= now)
            )
        ]
        for grant in due:
            grant.is_busy = True
        return [grant.account_id for grant in due]

    def wait_s(self) -> float:
        """Seconds until `due` may have something."""
        now = _now()
        waits = [float("inf")]
        for grant in self._grants.values():
            step = rules.next_step(grant.standing, now, self._policy)
            if not grant.is_busy and self._is_in_doubt(grant):
                waits.append((self._doubted_at(grant) - now).total_seconds())
            if not grant.is_busy and (not isinstance(step, Wait) or step.until is not None):
                waits.append((step.until - now).total_seconds() if isinstance(step, Wait) and step.until else 0.0)
        return max(0.0, min(waits))

    async def act(self, account_id: UserId) -> None:
        """Do what is to be done for one account.

        Raises:
            LeaseLost, StoreUnavailable, HistoryLost: the store's; whatever Graph says is noted and not raised.
        """
        grant = self._grants.get(account_id)
        if grant is None:
            return
        try:
            await self._act(grant)
        except (LeaseLost, StoreUnavailable, HistoryLost):
            grant.is_searched = False  # what Graph has may not be what is written down
            raise
        except RelayError as error:
            await self._refused(grant, error)
        finally:
            grant.is_busy = False
            self._cover()

    async def _act(self, grant: _Grant) -> None:
        match rules.next_step(grant.standing, _now(), self._policy):
            case Create(users):
                await self._create(grant, users)
            case Renew():
                await self._renew(grant)
            case Delete():
                await self._delete(grant)
            case Wait():
                if self._is_in_doubt(grant):
                    await self._search(grant)

    def _is_in_doubt(self, grant: _Grant) -> bool:
        """Whether a subscription may have been made that nobody waits for any more."""
        standing = grant.standing
        is_idle = standing.held is None and standing.wanted_since is None
        return is_idle and not grant.is_searched and bool(self._left_by(grant))

    @staticmethod
    def _doubted_at(grant: _Grant) -> datetime:
        return max(grant.standing.not_before, grant.doubted_from)

    def _left_by(self, grant: _Grant) -> list[Subscription]:
        """What was asked for with this grant, and whose answer is not known."""
        return [record for record in self._strays.values() if record.account_id == grant.account_id]

    async def _create(self, grant: _Grant, users: tuple[UserId, ...]) -> None:
        if not grant.is_searched:
            await self._search(grant)
            if grant.standing.held is not None:
                return
        now = _now()
        certificate = self._push.certificates.newest
        record = Subscription(
            route_id=new_route(self.tenant_id),
            tenant_id=self.tenant_id,
            account_id=grant.account_id,
            client_state=new_client_state(),
            users=users,
            certificate_id=certificate.certificate_id,
            expires=now + self._policy.life,
            created=now,
        )
        await self._records.put(self._owned.lease, record)
        self._strays[record.route_id] = record
        wanted = graph.SubscriptionRequest(
            users=users,
            notification_url=self._push.url_base + record.route_id,
            client_state=record.client_state,
            certificate=certificate,
            expires=record.expires,
        )
        try:
            # The token's life is how long Graph goes on announcing.
            found = await graph.create(self._client, self._pool.of(grant.account_id, fresh=True), wanted)
        except (RequestRefused, AccessDenied):
            await self._drop(record)
            raise
        except RelayError:
            grant.is_searched = False  # it may have been made: what Graph lists tells
            raise
        await self._keep(grant, replace(record, subscription_id=found.subscription_id, expires=found.expires))
        grant.standing = rules.created(grant.standing, _held(grant.record or record), _now(), self._policy, _chance())
        self._begin(grant)
        _steps.add(1, {"outcome": "created"})
        log.info("subscribed", tenant_id=self.tenant_id, account_id=grant.account_id, users=len(users))

    async def _renew(self, grant: _Grant) -> None:
        held, record = grant.standing.held, grant.record
        assert held is not None
        assert record is not None
        newest = self._push.certificates.newest
        certificate = newest if record.certificate_id != newest.certificate_id else None
        missed = grant.must_read or grant.standing.failures > 0
        source = self._pool.of(grant.account_id, fresh=True)
        wanted = _now() + self._policy.life
        expires = await graph.renew(self._client, source, held.subscription_id, wanted, certificate)
        grant.standing = rules.renewed(grant.standing, expires, _now(), self._policy, _chance())
        grant.must_read = False
        if missed:  # Graph may have announced nothing for a while
            grant.read.clear()
            self._reader.read_now(held.users)
        _steps.add(1, {"outcome": "renewed"})
        await self._keep(grant, replace(record, expires=expires, certificate_id=newest.certificate_id))

    async def _delete(self, grant: _Grant) -> None:
        held = grant.standing.held
        assert held is not None
        try:
            await graph.delete(self._client, self._pool.of(grant.account_id), held.subscription_id)
        except (ConsentRequired, RequestRefused, AccessDenied):
            grant.is_searched = False
        except RelayError:
            if held.expires > _now():
                raise
        _steps.add(1, {"outcome": "deleted"})
        await self._lose(grant)

    async def _lose(self, grant: _Grant) -> None:
        """There is no subscription any more."""
        record, grant.record = grant.record, None
        grant.standing = rules.gone(grant.standing, self._policy)
        self._cover()
        if record is not None:
            await self._drop(record)

    async def _search(self, grant: _Grant) -> None:
        """Adopt what Graph has of this account and nobody knows of any more, or delete it."""
        source = self._pool.of(grant.account_id)
        for found in await graph.list_all(self._client, source):
            if _PRESENCES not in found.resource or not found.notification_url.startswith(self._push.url_base):
                continue  # another program's: to delete it would begin a quarrel
            record = self._strays.get(found.notification_url.removeprefix(self._push.url_base))
            if record is not None and record.account_id == grant.account_id and grant.standing.held is None:
                record = replace(record, subscription_id=found.subscription_id, expires=found.expires)
                await self._records.put(self._owned.lease, record)
                self._adopt(grant, record)
            else:
                await graph.delete(self._client, source, found.subscription_id)
                _steps.add(1, {"outcome": "stray_deleted"})
        for record in self._left_by(grant):
            await self._drop(record)
        grant.is_searched = True

    def _adopt(self, grant: _Grant, record: Subscription) -> None:
        self._strays.pop(record.route_id, None)
        grant.record = record
        grant.standing = rules.adopted(grant.standing, _held(record), _now(), self._policy, _chance())
        self._begin(grant)
        _steps.add(1, {"outcome": "adopted"})
        log.info("subscription_adopted", tenant_id=self.tenant_id, account_id=grant.account_id)

    def _begin(self, grant: _Grant) -> None:
        """What was announced before does not count: all its users are read once, and from then on they are judged."""
        grant.watchdog = Watchdog(self._settings.announced_within.total_seconds())
        grant.counted = {True: 0, False: 0}
        grant.read.clear()
        self._cover()

    async def _keep(self, grant: _Grant, record: Subscription) -> None:
        grant.record = record
        await self._records.put(self._owned.lease, record)
        self._strays.pop(record.route_id, None)

    async def _drop(self, record: Subscription) -> None:
        await self._records.drop(self._owned.lease, self.tenant_id, record.route_id)
        self._strays.pop(record.route_id, None)

    async def _refused(self, grant: _Grant, error: RelayError) -> None:
        if isinstance(error, SubscriptionGone):
            _steps.add(1, {"outcome": "gone"})
            await self._lose(grant)
            return
        if isinstance(error, GrantRefused):
            self._pool.refused_by_graph(grant.account_id, error)
        if isinstance(error, SubscriptionExists):
            grant.is_searched = False
        trouble = _trouble(error)
        _steps.add(1, {"outcome": trouble.name.lower()})
        if trouble is not grant.standing.refusal:
            log.warning(
                "subscription_refused",
                tenant_id=self.tenant_id,
                account_id=grant.account_id,
                trouble=trouble.name,
                error=str(error).replace(self._push.url_base, "…/"),
            )
        retry_after = error.retry_after if isinstance(error, Retryable) else None
        grant.standing = rules.refused(
            grant.standing, trouble, _now(), self._policy, chance=_chance(), retry_after=retry_after
        )

    # What is announced

    def reauthorise(self, route_id: str) -> None:
        """Graph asks for a fresh token of the subscription at this route."""
        grant = self._at(route_id)
        if grant is not None:
            self._renew_now(grant)

    def _renew_now(self, grant: _Grant) -> None:
        grant.must_read = True
        grant.standing = rules.reauthorise(grant.standing, _now())

    def notified(self, hint: Notified) -> bool:
        """Notifications came; returns whether `take_in` is to be started."""
        return self._opening.put(hint)

    async def take_in(self) -> None:
        """Let the reader take in what the notifications that came say, in their order."""
        async with aclosing(self._opening.take()) as said:
            async for route_id, observations, unsaid in said:
                self._heard(route_id, {*unsaid, *(observation.user_id for observation in observations)})
                await self._reader.take_announced(observations, unsaid)

    def _heard(self, route_id: str, users: set[UserId]) -> None:
        grant = self._at(route_id)
        if grant is not None and users:
            grant.watchdog.announced(users, time.monotonic())
            if grant.standing.is_suspect:
                grant.standing = rules.heard(grant.standing)
                log.info("notifications_are_back", tenant_id=self.tenant_id, account_id=grant.account_id)
                self._cover()

    def _at(self, route_id: str) -> _Grant | None:
        known = (grant for grant in self._grants.values() if grant.record is not None)
        return next((grant for grant in known if grant.record and grant.record.route_id == route_id), None)

    # The reader's observer

    def read(self, users: Collection[UserId], moved: Iterable[UserId], announced: Container[UserId]) -> None:
        """A read was accepted: what it found without being told is held against the subscription."""
        now = time.monotonic()
        if not self._answered.issuperset(users):
            self._answered.update(users)
            self._has_news = True
        self._rates.changed(moved, now)
        for user in moved:
            grant = self._judged_by(user)
            if grant is None:
                continue
            if user in announced:
                grant.watchdog.confirmed(1, now)
            elif user in grant.read:
                grant.watchdog.found([user], now)
        for grant in self._grants.values():
            held = grant.standing.held
            if held is not None and len(grant.read) < len(held.users):
                grant.read.update(set(held.users).intersection(users))

    def accepted(self, moved: Iterable[UserId]) -> None:
        """Notifications were accepted as they are."""
        now = time.monotonic()
        self._rates.changed(moved, now)
        for user in moved:
            grant = self._judged_by(user)
            if grant is not None:
                grant.watchdog.confirmed(1, now)

    def _judged_by(self, user: UserId) -> _Grant | None:
        """The grant whose subscription should announce this user, on probation or not."""
        if user in self._grant_of:
            return self._grant_of[user]
        suspects = (grant for grant in self._grants.values() if grant.standing.is_suspect and grant.standing.held)
        return next((grant for grant in suspects if grant.standing.held and user in grant.standing.held.users), None)

    # What is said of it

    async def say(self) -> None:
        """Write down how many users are pushed and why others are not, when that has changed."""
        troubles = [grant.standing.trouble for grant in self._grants.values() if grant.standing.trouble is not None]
        suspects = (grant.standing.held for grant in self._grants.values() if grant.standing.is_suspect)
        status = PushStatus(
            pushed=self._reader.covered,
            polled=self._reader.polled,
            silent=sum(len(held.users) for held in suspects if held is not None),
            reason=troubles[0].value if troubles else "",
        )
        if status == self._status and self._is_said:
            return
        await self._owned.worker.push_statuses.put(self._owned.lease, self.tenant_id, status)
        self._count(status)
        self._is_said = True

    def _count(self, status: PushStatus) -> None:
        before, self._status = self._status, status
        for name in ("pushed", "polled", "silent"):
            _users.add(getattr(status, name) - getattr(before, name), {"users": name})


def _held(record: Subscription) -> Held:
    return Held(
        route_id=record.route_id,
        subscription_id=record.subscription_id,
        users=record.users,
        created=record.created,
        renew_at=record.expires,
        expires=record.expires,
    )


def _size(grant: _Grant) -> int:
    return len(grant.standing.held.users) if grant.standing.held is not None else 0


def _trouble(error: RelayError) -> Trouble:
    match error:
        case SubscriptionExists():
            return Trouble.TAKEN
        case SubscriptionRefused():
            return Trouble.REFUSED
        case WebhookUnreachable():
            return Trouble.WEBHOOK_UNREACHABLE
        case AccessDenied() | ConsentRequired():
            return Trouble.ACCESS_DENIED
        case Retryable() | CredentialRejected():
            return Trouble.UNREACHABLE
    return Trouble.NOT_UNDERSTOOD


def _now() -> datetime:
    return datetime.now(UTC)


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, guards nothing
