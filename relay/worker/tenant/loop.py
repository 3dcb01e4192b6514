"""One tenant in its owner's hands: what suites want, what is known, and the loop that closes the gap.

    inbox ──► hint() ──► Wanted ──► Names (resolver) ──► PollPlan ──► reads ──► Answers ──► `changes`
                │                                            ▲                     │
                └──────► Subscriber ──► what is announced ───┴── done, failed ─────┘

The loop wakes when something came or is due, starts what the plan and the budget allow, and sleeps. Calls of Graph run as
tasks of their own, each of which catches what goes wrong at its top, so that a tenant in trouble costs no other anything.

Unknown is honest: a user who cannot be read has a status with its reason, first when nothing is known of the user, later
when nothing was confirmed for three intervals (STALE).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import structlog

from relay.core.consent.tenant import TenantEvent, TenantState, after, is_read, status_of
from relay.core.pausing import pause_s
from relay.core.presence import Presence, Status, UserId
from relay.core.watching.limits import LINGER_FACTOR, most_names
from relay.core.watching.permission import permission
from relay.core.watching.readings import Change, Readings
from relay.core.watching.wanted import Wanted
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    CredentialRejected,
    LeaseLost,
    RelayError,
    Retryable,
    SourceThrottled,
    StoreUnavailable,
)
from relay.graph.errors import GrantRefused
from relay.store.presence import hints
from relay.store.presence.enforcement import Enforcement
from relay.store.presence.entries import TenantContact
from relay.store.presence.explanations import Explanations, OwnerSays
from relay.store.presence.push import PushStatus
from relay.worker.push.subscriber import Subscriber
from relay.worker.reads.answers import Answers, passing
from relay.worker.reads.reader import FIRST_PAUSE_S, Reader, Turn
from relay.worker.tasks import start
from relay.worker.tenant.names import Names
from relay.worker.tenant.permits import Permits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping

    from relay.core.consent.microsoft_error import Trouble
    from relay.core.presence import Name
    from relay.store.custody.tenants import Tenant
    from relay.store.presence.leases import Lease
    from relay.store.presence.presences import DirectoryEntry
    from relay.worker.grants.pool import GrantPool
    from relay.worker.partition import OwnedPartition

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_RESOLVES_AT_ONCE: Final = 2
"""So that a small request is not behind a large one that is under way."""
_STORE_PAUSE_S: Final = 0.5
_READ_PAUSE: Final = 4
"""Between two reads of an edge's names, so many times what one took: the tenant's share of the process is a fifth."""
_MOST_READ_PAUSE_S: Final = 5.0
_SLICE: Final = 2000
"""Names or users dealt with in one step."""
_STALE_GRACE_S: Final = 2.0
"""After the intervals that make a tenant stale; edges wait as long (`EdgeSettings.stale_grace`)."""
_NOBODY_TO_SUBSCRIBE_TO: Final = (None, Status.NOT_REPORTED, Status.ACCESS_DENIED)
"""Answers of users of whom Microsoft has not said that there is any presence."""
_MOST_TROUBLE_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class _Happened:
    """A change of the tenant's state that its record does not show yet."""

    event: TenantEvent
    trouble: Trouble | None


class TenantWorker:
    """Reads one tenant as long as its partition is owned. `run` ends by being cancelled, or with LeaseLost."""

    def __init__(self, tenant: Tenant, owned: OwnedPartition, pool: GrantPool) -> None:
        settings = owned.worker.settings
        self.tenant_id = tenant.tenant_id
        self.tenant = tenant
        self._owned = owned
        self._settings = settings
        self._cloud = owned.cloud
        self._presences = owned.worker.presences
        self._pool = pool
        self._names = Names(settings)
        self._wanted = Wanted(
            settings.watch_linger.total_seconds(),
            most=self._most_names(tenant),
            brief_s=settings.unknown_linger.total_seconds(),
            is_nobody=lambda name: self._names.user(name) is None,
        )
        self._answers = Answers(self.tenant_id, self._presences, settings.lag.total_seconds())
        self._answers.passing = passing(tenant.settings)
        self._answers.called = self._names.called
        self._names.asks_called = self._answers.passing.called
        self._permits = Permits(self._names, self._answers)
        self._permits.rule = permission(tenant.settings)
        self._enforcement = Enforcement(owned.worker.store)
        self._explanations = Explanations(owned.worker.store)
        self._reloading = asyncio.Lock()
        self._reader = Reader(
            self.tenant_id, owned, self._answers, self._names.upns, pool, self._judge, self._confirmed, self._ask_anew
        )
        push = settings.push
        self._subscriber = None if push is None else Subscriber(self.tenant_id, owned, pool, self._reader, push)
        self._resolves = 0
        self._status = status_of(tenant.state)
        self._resolve_not_before = 0.0
        self._names_failures = 0  # requests for names that failed in a row
        self._denied_names: set[str] = set()  # accounts that Graph did not let ask for names lately
        self._refreshing = False
        self._is_leaving = False
        self._unwritten: _Happened | None = None  # is to be written to the tenant's record
        self._store_back_at = 0.0
        self._doubted: Lease | None = None  # a write under it, or a look at the store, failed: look at everything anew
        self._naming = asyncio.Lock()
        self._trouble = ""
        self._refusal = ""  # what Graph or Entra said last, until it answers again
        self._swept = 0.0
        self._sweep_s = settings.sweep.total_seconds()
        self._beat = 0.0
        self._contact: tuple[float | None, int] = (None, 0)  # the oldest confirmation, and when that was: said last
        self._inherited_interval_s = 0.0
        self._said = self._status
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._early: list[hints.Hint] = []  # came while everything was read
        self._readings = Readings()

    def _most_names(self, tenant: Tenant) -> int:
        """How many names are kept here, at most: those that are watched, and as many that linger."""
        return LINGER_FACTOR * most_names(tenant.settings, self._settings.tenant_names)

    # Life

    async def run(self) -> None:
        """Read the tenant until cancelled."""
        try:
            await self._take_over()
            async with asyncio.TaskGroup() as self._tasks:
                for hint in self._early:
                    self.hint(hint)
                self._start("enforce", self._reload_if_marked)
                while True:
                    self._wake.clear()
                    await self._step(time.monotonic())
                    await self._rest()
        finally:
            if self._subscriber is not None:
                self._subscriber.close()
            self._pool.close()

    async def leave(self) -> None:
        """The tenant is leaving the relay: end what Microsoft keeps for it. `run` is cancelled after that."""
        self._is_leaving = True
        if self._subscriber is not None:
            await self._subscriber.leave()

    def hint(self, hint: hints.Hint) -> None:
        """Take in what the inbox says of this tenant."""
        if self._tasks is None:
            self._early.append(hint)
        elif isinstance(hint, hints.InterestChanged):
            self._take_in_interest(hint)
        elif isinstance(hint, hints.Explain):
            self._start("explain", self._explain, hint)
        elif isinstance(hint, hints.GrantChanged | hints.TenantChanged):
            self._start("reload", self._reload)
        elif self._subscriber is not None and isinstance(hint, hints.Reauthorize):
            self._subscriber.reauthorise(hint.route_id)
        elif self._subscriber is not None and isinstance(hint, hints.Notified) and self._subscriber.notified(hint):
            self._start("notified", self._subscriber.take_in)
        self._wake.set()

    def _take_in_interest(self, hint: hints.InterestChanged) -> None:
        change = Change(hint.added, hint.removed)
        if not hint.added and not hint.removed:
            self._start("interest", self._read_interest, {hint.edge})
        elif not self._readings.hold(hint.edge, change):
            self._take_in(hint.edge, change)

    def look_anew(self) -> None:
        """Hints were lost: read all interest, and every user."""
        self._reader.confirm_all()
        self._start("interest", self._read_all_interest)

    def history_lost(self) -> None:
        """The stored answers are gone, and perhaps some names: tell everything again."""
        self._answers.clear()
        self._reader.read_all_now()
        self._start("history", self._tell_history)
        self._wake.set()

    async def _tell_history(self) -> None:
        self._learn_upns(self._known_users())
        await self._tell_again()
        await self._read_all_interest()

    async def _tell_again(self) -> None:
        """What the store has may be another thing than it was told."""
        await self._write_names(self._names.directory)
        if self._subscriber is not None:
            await self._subscriber.write_again()
        await self._enforce(self._known_users())
        if not is_read(self.tenant.state):
            await self._tell_unread()

    async def _recover(self, doubted: Lease) -> None:
        """After a call of the store failed: believe what is stored, and look at everything anew.

        What was sent is not carried out later, and what was to be done after the call is found again.
        """
        await self._owned.fence(doubted)
        stored = await self._answers.load()
        self._reader.read_all_now()
        known = set(self._known_users())
        await self._reader.forget({*stored, *self._reader.users} - known)
        await self._tell_again()
        await self._reload()
        self._start("interest", self._read_all_interest)
        if self._doubted is doubted:
            self._doubted = None

    async def _take_over(self) -> None:
        while True:
            lease = self._owned.lease
            try:
                if self._doubted is not None:
                    await self._owned.fence(self._doubted)
                await self._load()
            except (StoreUnavailable, LeaseLost) as error:
                self._doubt(lease, error)
                await asyncio.sleep(_STORE_PAUSE_S)
            else:
                self._doubted = None
                return

    def _doubt(self, began: Lease, error: StoreUnavailable | LeaseLost) -> None:
        """Some work failed; `began` is the lease from when it began.

        Raises:
            LeaseLost: the partition is lost. LEASELOST of a lease that was replaced says only that nothing was written.
        """
        if isinstance(error, StoreUnavailable):
            self._doubted = self._owned.lease
        elif self._owned.is_over(began):
            raise error
        else:
            self._doubted = self._doubted or began

    async def _load(self) -> None:
        now = time.monotonic()
        # One round trip for all four; whoever fails, the others have ended before it is tried again.
        found = await asyncio.gather(
            self._answers.load(),
            self._presences.load_directory(self.tenant_id),
            self._pool.load(),
            self._owned.worker.interest.read(self.tenant_id),
            return_exceptions=True,
        )
        for failure in found:
            if isinstance(failure, BaseException):
                raise failure
        stored, directory, _, interest = cast("tuple[set[UserId], Any, None, Any]", found)
        self._names.load(directory)
        for edge, names in interest.items():
            await self._replace(edge, names)
        # What an earlier owner left lingers from now on.
        self._wanted.linger(self._names.directory, now)
        known = {user for name in self._names.directory if (user := self._names.user(name)) is not None}
        await self._reader.forget(stored - known)
        self._learn_upns(known)
        await self._enforce(known)
        await self._inherit(known)
        if self._subscriber is not None:
            await self._subscriber.load()
        else:
            await self._owned.worker.push_statuses.put(self._owned.lease, self.tenant_id, PushStatus(is_off=True))
        await self._check_grants()

    # The loop

    async def _step(self, now: float) -> None:
        if now < self._store_back_at:
            return
        if self._doubted is not None:
            await self._guarded(self._recover(self._doubted))
            if self._doubted is not None:
                return
        if now - self._swept >= self._sweep_s:
            self._swept = now
            await self._guarded(self._sweep(now))
        elif self._wanted.is_over:
            await self._guarded(self._forget_due(now))
        if self._subscriber is not None and not self._is_leaving:
            for account in self._subscriber.due():
                self._start("subscribe", self._subscriber.act, account)
        if not is_read(self.tenant.state):
            if self._names.has_work():
                await self._guarded(self._tell_unread())
        else:
            self._start_resolves(now)
            for read in self._reader.due(now):
                self._start("read", self._reader.read, read)

    async def _rest(self) -> None:
        now = time.monotonic()
        wait = self._swept + self._sweep_s - now
        if is_read(self.tenant.state):
            wait = min(wait, self._reader.wait(now))
        if self._subscriber is not None:
            wait = min(wait, self._subscriber.wait_s())
        wait = max(wait, self._store_back_at - now)
        if wait <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start_resolves(self, now: float) -> None:
        while self._resolves < _RESOLVES_AT_ONCE and now >= self._resolve_not_before and self._names.has_work():
            names = self._names.take()
            if not names:
                return
            self._resolves += 1
            self._start("resolve", self._resolve, names)

    def _start(
        self, what: str, work: Callable[P, Coroutine[None, None, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Run `work` beside the loop. Before the take-over, which reads everything anyway, and after the lease nothing is."""
        # Called inside its task: a coroutine made here would be left over when the task is cancelled before it begins.
        if self._tasks is not None:
            start(self._tasks, self._wake_after(partial(work, *args, **kwargs)), f"{what}:{self.tenant_id}")

    async def _wake_after(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        await self._guarded(work())
        self._wake.set()

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """The top of each unit of work: nothing but a lost lease goes further."""
        lease = self._owned.lease
        try:
            await work
        except (StoreUnavailable, LeaseLost) as error:
            self._doubt(lease, error)
            self._store_back_at = time.monotonic() + _STORE_PAUSE_S
            self._note_trouble(str(error))
        except Retryable as error:
            self._note_trouble(str(error))
        except Exception:
            log.exception("tenant_work_failed", tenant_id=self.tenant_id)

    def _note_trouble(self, trouble: str) -> None:
        """Log once when something goes, and once (empty) when it is back."""
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                log.warning("tenant_in_trouble", tenant_id=self.tenant_id, error=trouble)
            else:
                log.info("tenant_well_again", tenant_id=self.tenant_id)

    # Interest

    def _want(self, new: Iterable[Name]) -> None:
        self._names.want([name for name in new if self._names.is_unknown(name, datetime.now(UTC))])
        self._wake.set()

    async def _read_interest(self, edges: set[str]) -> None:
        for edge in edges:
            if not self._readings.begin(edge):
                continue
            began = time.monotonic()
            try:
                await self._replace(edge, await self._owned.worker.interest.read_edge(self.tenant_id, edge))
                if self._readings.heard(
                    edge
                ):  # and more is to come: an edge that changes all the time is not read all the time
                    await asyncio.sleep(min(_MOST_READ_PAUSE_S, _READ_PAUSE * (time.monotonic() - began)))
            finally:
                held = self._readings.end(edge)
            for change in held.changes:
                self._take_in(edge, change)
            if held.again:
                self._start("interest", self._read_interest, {edge})

    def _take_in(self, edge: str, change: Change) -> None:
        self._want(self._wanted.add(edge, change.added))
        self._wanted.remove(edge, change.removed, time.monotonic())

    async def _replace(self, edge: str, names: set[Name]) -> None:
        """The edge watches exactly these names; others have their turn in between."""
        for gone in _slices(self._wanted.names_of(edge) - names):
            self._wanted.remove(edge, gone, time.monotonic())
            await asyncio.sleep(0)
        for some in _slices(names):
            self._want(self._wanted.add(edge, some))
            await asyncio.sleep(0)

    async def _read_all_interest(self) -> None:
        edges = await self._owned.worker.interest.read_edges(self.tenant_id)
        await self._read_interest(edges | self._wanted.edges)

    async def _drop_expired_edges(self) -> None:
        """An edge that was killed renews nothing: its interest has expired in the store."""
        live = await self._owned.worker.interest.read_edges(self.tenant_id)
        gone = self._wanted.edges - live
        if gone:
            await self._read_interest(gone)

    async def _forget_due(self, now: float) -> None:
        while names := self._wanted.forget_due(now, _SLICE):
            users = self._names.forget(names)
            if self._subscriber is not None:
                self._subscriber.forget(users)
            async with self._naming:
                gone = [name for name in names if name not in self._names.directory]
                await self._presences.forget_names(self._owned.lease, self.tenant_id, gone)
            await self._reader.forget(users)

    # Names

    def _ask_anew(self, users: Iterable[UserId]) -> None:
        """Ask at once whom the names of these users stand for now."""
        self._names.want([name for user in users for name in self._names.of(user) if name in self._wanted])
        self._wake.set()

    def _learn_upns(self, users: Iterable[UserId]) -> None:
        """Take over what suites were told, and ask for the rest: a presence without its name is no use to some suites."""
        self._ask_anew(self._names.told({user: self._answers.of(user) for user in users}))

    async def _resolve(self, names: list[Name]) -> None:
        token = self._pool.for_call(self._denied_names)
        try:
            resolution = await self._names.ask(self._cloud.client, token, names, self._reader.pay_for_names)
        except LeaseLost:
            raise
        except RelayError as error:
            await self._resolve_failed(names, error, token.account)
            return
        finally:
            self._resolves -= 1
        self._names_failures = 0 if not resolution.unresolved else self._names_failures + 1
        learned, orphans = self._names.learn(resolution, [name for name in names if name in self._wanted])
        await self._write_names(learned)
        users = {user for name in learned if (user := self._names.user(name)) is not None}
        await self._enforce(users)
        self._reader.read_now(user for user in users if self._is_told_otherwise(user))
        await self._reader.forget(orphans)
        if resolution.unresolved:
            status = Status.THROTTLED if resolution.is_throttled else Status.SOURCE_UNREACHABLE
            await self._postpone_names(resolution.unresolved, status, resolution.retry_after)
        self._confirmed()

    def _is_told_otherwise(self, user: UserId) -> bool:
        """Whether suites have no presence of a user, or one under another canonical name or with other names for people."""
        answer = self._answers.of(user)
        if not isinstance(answer, Presence):
            return answer is None
        called = self._names.called.get(user, answer.called)
        return (answer.upn, answer.called) != (self._names.upns.get(user, answer.upn), called)

    async def _resolve_failed(self, names: list[Name], error: RelayError, account: str) -> None:
        """Names could not be asked for. The directory's limits and permissions are its own: reads of presence go on as they are."""
        self._names_failures += 1
        status = await self._judge_names(error, account)
        if status is Status.NONE:
            self._names.want(name for name in names if name in self._wanted)
            return
        wait = error.retry_after if isinstance(error, Retryable) else None
        await self._postpone_names(names, status, wait)

    async def _judge_names(self, error: RelayError, account: str) -> Status:
        """What an error means for names that were asked for; NONE when another grant than `account`'s asks at once."""
        if isinstance(error, ConsentRequired | CredentialRejected):
            return await self._judge(error, account)
        self._refusal = str(error)
        if isinstance(error, AccessDenied):
            self._denied_names.add(account)
            if not self._denied_names.issuperset(self._pool.accounts):
                return Status.NONE
            self._denied_names.clear()
            status = Status.ACCESS_DENIED
        else:
            status = Status.THROTTLED if isinstance(error, SourceThrottled) else Status.SOURCE_UNREACHABLE
        if not self._reader.covered + self._reader.polled:
            self._say(status)
        return status

    async def _postpone_names(self, names: Iterable[Name], status: Status, wait: timedelta | None) -> None:
        asked = [name for name in names if name in self._wanted]
        marked = self._names.mark(self._names.unanswered(asked), status)
        now = time.monotonic()
        pause = pause_s(self._names_failures, None if wait is None else wait.total_seconds(), first_s=FIRST_PAUSE_S)
        # Where Graph asks for no wait, names are tried again as soon as users are who cannot be read.
        self._resolve_not_before = now + (pause if wait is not None else min(pause, self._reader.interval(now)))
        self._names.want(asked)
        await self._write_names(marked)

    async def _write_names(self, entries: Mapping[Name, DirectoryEntry]) -> None:
        """Store what names stand for, as far as it is still believed.

        One write at a time: of two that are under way together the store may take the older one last.
        """
        async with self._naming:
            directory = self._names.directory
            believed = {name: entry for name, entry in entries.items() if directory.get(name) is entry}
            await self._presences.name(self._owned.lease, self.tenant_id, believed)

    async def _judge(self, error: RelayError, account: str) -> Status:
        """What an error of Graph's or Entra's means for the tenant; NONE when another grant than `account`'s goes on at once."""
        self._refusal = str(error)
        if isinstance(error, GrantRefused):
            self._pool.dropped(error, account)
        if isinstance(error, ConsentRequired):
            return Status.CONSENT_REQUIRED if await self._check_grants() else Status.NONE
        self._reader.failures += 1
        if isinstance(error, AccessDenied):
            if self._pool.denied(account, error):
                return Status.NONE
            if self._pool.is_denied:
                self._say(Status.ACCESS_DENIED)
            return Status.ACCESS_DENIED
        if isinstance(error, SourceThrottled):
            wait = error.retry_after.total_seconds() if error.retry_after is not None else None
            self._reader.throttled(wait)
            self._say(Status.THROTTLED)
            return Status.THROTTLED
        if isinstance(error, CredentialRejected):
            log.error("relay_credential_rejected", tenant_id=self.tenant_id, error=str(error))
        self._say(Status.SOURCE_UNREACHABLE)
        return Status.SOURCE_UNREACHABLE

    async def _sweep(self, now: float) -> None:
        await self._forget_due(now)
        if int(now) % 10 == 0:
            await self._drop_expired_edges()
            self._start("enforce", self._reload_if_marked)
        if int(now) % 5 == 0 and is_read(self.tenant.state):
            self._names.want_expired(datetime.now(UTC))
        await self._reader.sweep(now)
        if is_read(self.tenant.state):
            await self._reader.tell_stale(now)
        if self._subscriber is not None:
            await self._sweep_subscriptions(self._subscriber, now)
        if now - self._beat >= self._settings.heartbeat.total_seconds():
            self._beat = now
            if self._is_idle and self._reader.failures == 0:
                self._confirmed()
            else:
                self._say(self._status)
        if self._pool.may_open:
            self._start("reload", self._reload)
        if not self._refreshing:
            self._refresh_grants()
        await self._write()

    async def _write(self) -> None:
        """What has happened to the grants and to the tenant goes into their records; the next sweep repeats what failed."""
        # Looked at first: what happens while the grants are written is not in their records yet, and they come first.
        happened = self._unwritten
        await self._pool.keep()
        if happened is not None:
            await self._owned.worker.tenants.happened(self.tenant_id, happened.event, trouble=happened.trouble)
            self._owned.worker.alerts.wake()
            if self._unwritten is happened:
                self._unwritten = None

    async def _sweep_subscriptions(self, subscriber: Subscriber, now: float) -> None:
        users = self._reader.covered + self._reader.polled if is_read(self.tenant.state) else 0
        subscriber.sweep(now, await self._watchers() if subscriber.wants_plan(now, users) else None, users)
        await subscriber.say()

    async def _watchers(self) -> dict[UserId, int]:
        """User who has a presence at Microsoft -> how many edges watch; nobody when the tenant is not read."""
        found: dict[UserId, int] = {}
        for some in _slices(self._known_users() if is_read(self.tenant.state) else ()):
            for user in some:
                if self._answers.of(user) not in _NOBODY_TO_SUBSCRIBE_TO and user not in self._answers.barred:
                    found[user] = sum(self._wanted.watchers(name) for name in self._names.of(user))
            await asyncio.sleep(0)
        return found

    # Grants and the tenant's state

    def _refresh_grants(self) -> None:
        due = self._pool.due_for_refresh(self._settings.grant_refresh)
        if due:
            self._refreshing = True
            self._start("refresh-grants", self._refresh, due)

    async def _refresh(self, accounts: list[UserId]) -> None:
        try:
            for account in accounts:
                await self._pool.refresh(account)
            await self._check_grants()
        finally:
            self._refreshing = False

    async def _reload(self) -> None:
        """The tenant's record or one of its grants changed. One at a time, so that what was read first is not applied last."""
        async with self._reloading:
            mark = await self._enforcement.pending(self.tenant_id)
            await self._reload_record()
            if mark is not None:
                await self._enforcement.done(self._owned.lease, self.tenant_id, mark)

    async def _reload_if_marked(self) -> None:
        """Whom suites may watch was changed, and whoever did so could not say it."""
        if await self._enforcement.pending(self.tenant_id) is not None:
            await self._reload()

    async def _reload_record(self) -> None:
        before = self.tenant
        tenant = await self._owned.worker.tenants.load(self.tenant_id)
        if tenant is None:
            return  # it left, and its grants are kept in mind until its subscriptions are deleted
        await self._pool.load()
        self._owned.worker.alerts.wake()  # a consent that was just given may be news
        was_read = is_read(self.tenant.state)
        await self._apply_settings(tenant)
        # A state that was entered meanwhile, or is not written yet, is newer than the record's.
        is_newer = self._unwritten is not None or self.tenant is not before
        self.tenant = replace(tenant, state=self.tenant.state) if is_newer else tenant
        await self._check_grants()
        if is_read(self.tenant.state) and was_read:
            return  # how its reads fare is not news of the record's
        self._say(status_of(self.tenant.state))
        if is_read(self.tenant.state):
            self._read_again()

    async def _apply_settings(self, tenant: Tenant) -> None:
        """With other settings the same observation is another answer: forget what is stored, and read everybody anew.

        What is stored cannot just be replaced, because its sequence number is as new as what will be read.
        """
        self._wanted.most = self._most_names(tenant)
        wanted, rule = passing(tenant.settings), permission(tenant.settings)
        passes_otherwise = wanted != self._answers.passing
        if not passes_otherwise and rule == self._permits.rule:
            return
        self._permits.rule = rule
        # First of all: who may not be watched any more must not be shown while the rest is put right.
        await self._enforce(self._known_users())
        if passes_otherwise:
            others = [user for user in self._known_users() if user not in self._answers.barred]
            before, self._answers.passing = self._answers.passing, wanted
            try:
                await self._answers.forget(self._owned.lease, others)
            except BaseException:
                self._answers.passing = before  # the next look at the record begins again
                raise
            self._ask_called(began=wanted.called and not before.called)
            self._reader.read_all_now()

    def _ask_called(self, *, began: bool) -> None:
        """Have Graph asked what people call the users, or not any more, as the tenant passes it on."""
        self._names.asks_called = self._answers.passing.called
        if began:
            self._names.want([name for name in self._names.directory if self._names.user(name) is not None])
        elif not self._names.asks_called:
            self._names.called.clear()

    async def _enforce(self, users: Iterable[UserId]) -> None:
        """Read those of the users who may be watched, and replace whatever the others have."""
        for some in _slices(users):
            permitted, barred = self._permits.judge(some)
            self._reader.add(permitted)
            if barred:
                # Whose name is not known for sure is asked for: until then nothing can be decided.
                undecided = [user for user, status in barred.items() if status is Status.PENDING]
                self._names.want([name for user in undecided for name in self._names.of(user)])
                await self._reader.bar(barred)
            await asyncio.sleep(0)

    async def _check_grants(self) -> bool:
        """Whether the tenant needs consent; moves it from one state to the other, and says so."""
        dead = self._pool.is_dead
        if dead and self.tenant.state is TenantState.ACTIVE:
            self._move(TenantEvent.LAST_GRANT_DIED)
        elif not dead and self.tenant.state is TenantState.CONSENT_REQUIRED:
            self._move(TenantEvent.HEALED)
            self._read_again()
        if not is_read(self.tenant.state):
            await self._tell_unread()
        return dead

    def _move(self, event: TenantEvent) -> None:
        """Suites are told at once; the durable write waits for the next sweep, and for a store that is away."""
        self.tenant = replace(self.tenant, state=after(self.tenant.state, event))
        self._unwritten = _Happened(event, self._pool.trouble)
        state = self.tenant.state.value
        log.warning("tenant_state_changed", tenant_id=self.tenant_id, state=state, code=self._pool.reason)
        self._say(status_of(self.tenant.state))

    async def _tell_unread(self) -> None:
        """Every user and every name that stands for nobody yet has the tenant's state as its reason."""
        status = status_of(self.tenant.state)
        barred = self._answers.barred
        told = [user for user in self._known_users() if barred.get(user) is not Status.NOT_PERMITTED]
        await self._reader.tell(self._answers.statuses(told, status))
        unknown = [*self._names.directory, *self._names.pending()]
        self._names.drop_pending()
        marked = self._names.mark((name for name in unknown if self._names.user(name) is None), status)
        await self._write_names(marked)

    def _read_again(self) -> None:
        self._names.want(name for name in self._names.directory if self._names.user(name) is None)
        self._reader.read_now(self._known_users())

    def _known_users(self) -> list[UserId]:
        return [user for name in self._names.directory if (user := self._names.user(name)) is not None]

    # For people who want to know

    async def _explain(self, asked: hints.Explain) -> None:
        """Say what only this process knows of a user."""
        user = asked.user_id or self._names.meant(asked.names)
        names = set(self._names.of(user)) if user is not None else set(asked.names)
        turn = self._reader.turn(user, time.monotonic()) if user is not None else Turn()
        covering = self._subscriber.covering(user) if self._subscriber is not None and user is not None else None
        said = OwnerSays(
            worker_id=self._owned.worker.worker_id,
            user_id=user or "",
            names=tuple(sorted(names)[: hints.MAX_NAMES]),
            edges=tuple(sorted(self._wanted.edges_of(names))),
            is_read=is_read(self.tenant.state) and turn.next_read_s is not None,
            is_covered=turn.is_covered,
            next_read_s=turn.next_read_s,
            confirmed_s=turn.confirmed_s,
            interval_s=turn.interval_s,
            set_aside_s=turn.set_aside_s,
            reading_account=self._pool.reading or "",
            covering_account=covering[0] if covering is not None else "",
            covered_until_ms=int(covering[1].timestamp() * 1000) if covering is not None else 0,
            trouble=(self._refusal or self._trouble)[:_MOST_TROUBLE_CHARS],
        )
        await self._explanations.owner_says(self._owned.lease, self.tenant_id, asked.request_id, said)

    # Contact

    def _confirmed(self, account: str = "") -> None:
        """Graph has answered: note since when everything that is held is confirmed."""
        self._note_trouble("")
        self._refusal = ""
        self._pool.confirmed(account)
        if is_read(self.tenant.state):
            self._say(self._reader.trouble)

    def _say(self, status: Status) -> None:
        """Tell suites how the tenant fares."""
        self._status = status
        said = Status.STALE if status is Status.NONE and self._holds_old_presence() else status
        urgent, self._said = said is not self._said, said
        interval_ms = int(self._reader.interval(time.monotonic()) * 1000)
        beat_ms = int(self._settings.heartbeat.total_seconds() * 1000)
        contact = TenantContact(self.tenant_id, self._contact_ms(status), interval_ms, said, beat_ms)
        self._owned.say(contact, urgent=urgent)

    async def _inherit(self, known: Iterable[UserId]) -> None:
        """What was taken over is as old as the earlier owner's contact, until Graph confirms it again."""
        contact = await self._presences.contact_of(self.tenant_id)
        contact_ms = contact.contact_ms if contact is not None else 0
        at = time.monotonic() - max(0.0, time.time() - contact_ms / 1000) if contact_ms else float("-inf")
        self._contact = (at, contact_ms)
        self._inherited_interval_s = contact.interval_ms / 1000 if contact is not None else 0.0
        self._reader.inherit((user for user in known if isinstance(self._answers.of(user), Presence)), at)

    def _holds_old_presence(self) -> bool:
        """Whether presence of an earlier owner is shown that is stale by now, and Graph has not confirmed it to this one."""
        now, inherited_at = time.monotonic(), self._reader.inherited_at
        interval_s = max(self._inherited_interval_s, self._reader.interval(now))
        limit_s = self._settings.stale_after_intervals * interval_s + _STALE_GRACE_S
        return inherited_at is not None and now - inherited_at > limit_s

    @property
    def _is_idle(self) -> bool:
        """Whether nobody is read and nothing asked for: then nothing needs to be confirmed."""
        return not (self._reader.covered + self._reader.polled or self._names.has_work() or self._resolves)

    def _contact_ms(self, status: Status) -> int:
        """Since when all that is held is confirmed by Graph, as ms since 1970; 0 when it never was."""
        oldest = self._reader.oldest_confirmation
        if oldest is None and self._is_idle:
            # A tenant in trouble has no contact either.
            return self._wall_ms(None) if status is Status.NONE else 0
        return self._contact[1] if oldest is None else self._wall_ms(oldest)

    def _wall_ms(self, at: float | None) -> int:
        """An instant of the monotonic clock as ms since 1970; None: now.

        The same instant is the same whenever it is asked for, because contact that has not moved must not seem to.
        """
        if at is None or self._contact[0] != at:
            ago_s = 0.0 if at is None else time.monotonic() - at
            self._contact = (at, max(0, int((time.time() - min(ago_s, time.time())) * 1000)))
        return self._contact[1]


def _slices(of: Iterable[T]) -> Iterator[list[T]]:
    """Parts of what a tenant may have much of: each some 5 ms of work, with the other tenants' turn in between."""
    them = iter(of)
    while some := list(islice(them, _SLICE)):
        yield some
