"""Resolves names to users in Graph's directory, and stores the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from relay.core.pausing import pause_s
from relay.core.presence import Presence, Status
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    CredentialRejected,
    LeaseLost,
    RelayError,
    Retryable,
    SourceThrottled,
    SourceUnreachable,
)
from relay.graph.presence.directory import Resolution, resolve
from relay.worker.reads.reader import FIRST_PAUSE_S

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterable, Iterator
    from datetime import timedelta

    from relay.core.presence import Name, UserId
    from relay.worker.context import Resources
    from relay.worker.grants.pool import GrantPool
    from relay.worker.ownership import Ownership
    from relay.worker.reads.schedule import Scheduler
    from relay.worker.tenant.books import Books
    from relay.worker.tenant.contact import Contact
    from relay.worker.tenant.directory import DirectoryWriter
    from relay.worker.tenant.standing import TenantStanding
    from relay.worker.tenant.trouble import TroubleLog

_AT_ONCE: Final = 2
"""Requests under way at a time, so that a small one does not wait for a large one."""
_PASSING: Final = 2
"""Failures in a row that count as faults of Graph; after them a name may be the cause."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The outcome of one request that Graph answered.

    Attributes:
        users: the users that the names stand for.
        orphans: users that no name stands for any more.
    """

    users: Collection[UserId]
    orphans: Collection[UserId]


class NameResolver:
    """Looks up names at Graph. The directory has separate limits and permissions: its errors do not stop reads of presence.

    The caller runs `resolve` in a separate task for each list that `take_due` returns.
    """

    def __init__(
        self,
        resources: Resources,
        ownership: Ownership,
        *,
        books: Books,
        directory: DirectoryWriter,
        schedule: Scheduler,
        pool: GrantPool,
        standing: TenantStanding,
        contact: Contact,
        trouble: TroubleLog,
        wake: asyncio.Event,
    ) -> None:
        self._clock = resources.clock
        self._ownership = ownership
        self._names = books.names
        self._wanted = books.wanted
        self._directory = directory
        self._answers = books.answers
        self._schedule = schedule
        self._pool = pool
        self._standing = standing
        self._contact = contact
        self._trouble = trouble
        self._wake = wake
        self._under_way = 0
        self._not_before = 0.0
        self._failures = 0  # requests that failed in a row
        self._denied: set[str] = set()  # accounts that Graph recently denied lookups of names

    def take_due(self, now: float) -> Iterator[list[Name]]:
        """Return the lists of names to look up now. Each counts as under way; pass it to `resolve`."""
        while self._under_way < _AT_ONCE and now >= self._not_before and (names := self._names.take()):
            self._under_way += 1
            yield names

    def ask_again(self, users: Iterable[UserId]) -> None:
        """Look up the names of these users at once, because they may stand for other users now."""
        self._names.want([name for user in users for name in self._names.names_of(user) if name in self._wanted])
        self._wake.set()

    def learn_upns(self, users: Iterable[UserId]) -> None:
        """Take UPNs from the answers that suites got, and look up the rest: some suites cannot use a presence without one."""
        self.ask_again(self._names.learn_upns({user: self._answers.of(user) for user in users}))

    async def resolve(self, names: list[Name]) -> Resolved | None:
        """Look up names from `take_due` at Graph, and store the answer; return None when Graph did not answer.

        Raises:
            StoreUnavailable, LeaseLost: from the store; all of the names are looked up again.
        """
        token, asks_called = self._pool.for_call(self._denied), self._names.asks_called
        client, pay = self._ownership.cloud.client, self._schedule.pay_for_names
        try:
            resolution = await resolve(
                client, token, names, pay, asks_called=asks_called, suspects_names=self._failures >= _PASSING
            )
        except LeaseLost:
            raise
        except RelayError as error:
            self._names.asked(names)
            if not (isinstance(error, SourceUnreachable) and self._names.are_refused(names)):
                await self._failed(names, error, token.account)
                return None
            resolution = Resolution(refused=names)
        finally:
            self._names.asked(names)
            self._under_way -= 1
        self._failures = self._failures + 1 if resolution.unresolved else 0
        learned, orphans = self._names.learn(resolution, [name for name in names if name in self._wanted])
        await self._directory.write(learned)
        users = {user for name in learned if (user := self._names.user(name)) is not None}
        if resolution.unresolved:
            status = Status.THROTTLED if resolution.is_throttled else Status.SOURCE_UNREACHABLE
            await self._postpone(resolution.unresolved, status, resolution.retry_after)
        return Resolved(users, orphans)

    def needs_read(self, users: Iterable[UserId]) -> list[UserId]:
        """Return the users without a presence, or whose presence has a different UPN or different names."""
        return [user for user in users if self._differs(user)]

    def _differs(self, user: UserId) -> bool:
        answer = self._answers.of(user)
        if not isinstance(answer, Presence):
            return answer is None
        people = self._names.people
        names = people.names.get(user, answer.called)
        return (answer.upn, answer.called) != (people.upns.get(user, answer.upn), names)

    async def _failed(self, names: list[Name], error: RelayError, account: str) -> None:
        self._failures += 1
        status = await self._judge(error, account)
        if status is Status.NONE:
            self._names.want(name for name in names if name in self._wanted)
            return
        wait = error.retry_after if isinstance(error, Retryable) else None
        await self._postpone(names, status, wait)

    async def _judge(self, error: RelayError, account: str) -> Status:
        """Return the status for names that could not be looked up; NONE when another grant than `account`'s retries."""
        if isinstance(error, ConsentRequired | CredentialRejected):
            return await self._standing.judge(error, account)
        self._trouble.note_refusal(error)
        if isinstance(error, AccessDenied):
            self._denied.add(account)
            if not self._denied.issuperset(self._pool.accounts):
                return Status.NONE
            self._denied.clear()
            status = Status.ACCESS_DENIED
        else:
            status = Status.THROTTLED if isinstance(error, SourceThrottled) else Status.SOURCE_UNREACHABLE
        if self._schedule.reads_nobody:
            self._contact.report(status)
        return status

    async def _postpone(self, names: Iterable[Name], status: Status, wait: timedelta | None) -> None:
        """Look up these names later; until then, names without a user have a status."""
        asked = [name for name in names if name in self._wanted]
        marked = self._names.mark(self._names.unanswered(asked), status)
        now = self._clock.monotonic()
        pause = pause_s(self._failures, None if wait is None else wait.total_seconds(), first_s=FIRST_PAUSE_S)
        # If Graph requests no wait, names are retried as soon as users who cannot be read.
        longest = self._schedule.longest_interval(now)
        self._not_before = now + (pause if wait is not None else min(pause, longest))
        self._names.want(asked)
        await self._directory.write(marked)
