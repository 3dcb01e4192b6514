"""Applies the tenant's settings: the users who may be watched, and the fields that suites may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.core.presence import Presence, Status
from relay.core.reading.acceptance import disclosure_of
from relay.core.watching.permission import permission
from relay.ops.turns import in_slices
from relay.worker.tenant.books import names_kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.core.presence import UserId
    from relay.worker.context import Resources
    from relay.worker.ownership import Ownership
    from relay.worker.reads.reader import PresenceReader
    from relay.worker.reads.schedule import Scheduler
    from relay.worker.tenant.books import Books


class Enforcer:
    """Applies the tenant's rules to its users. Users who may not be watched are never read, and their stored answers are replaced."""

    def __init__(
        self,
        resources: Resources,
        ownership: Ownership,
        books: Books,
        schedule: Scheduler,
        reader: PresenceReader,
    ) -> None:
        self._settings = resources.settings
        self._ownership = ownership
        self._wanted = books.wanted
        self._users = books.users
        self._names = books.names
        self._answers = books.answers
        self._schedule = schedule
        self._reader = reader

    async def enforce(self, users: Iterable[UserId]) -> None:
        """Read those of the users who may be watched, and replace the answers of the others."""
        async for some in in_slices(users):
            permitted, barred = self._users.judge(some, self._upn, self._names.names_of)
            self._schedule.add(permitted)
            if barred:
                # Look up the names of undecided users: the decision needs their UPN.
                undecided = [user for user, status in barred.items() if status is Status.PENDING]
                self._names.want([name for user in undecided for name in self._names.names_of(user)])
                await self._reader.bar(barred)

    async def apply(self, settings: Mapping[str, str]) -> None:
        """Apply new settings.

        With a different disclosure the same observation gives a different answer, so stored answers are deleted and all
        users are read again. They cannot just be replaced, because the next read has the same sequence number.

        Raises:
            StoreUnavailable, LeaseLost: the settings are applied in part; call again.
        """
        self._wanted.keep_at_most(names_kept(settings, self._settings))
        disclosure, rule = disclosure_of(settings), permission(settings)
        before = self._users.disclosure
        if disclosure == before and rule == self._users.rule:
            return
        self._users.restrict(rule)
        # First, so that users who may no longer be watched are not shown while the rest is applied.
        await self.enforce(self._names.users())
        if disclosure == before:
            return
        others = [user for user in self._names.users() if not self._answers.is_barred(user)]
        self._users.disclose(disclosure)
        try:
            async for some in in_slices(others):
                await self._answers.forget(self._ownership.lease, some)
        except BaseException:
            self._users.disclose(before)  # the next reload of the record starts again
            raise
        if disclosure.names and not before.names:
            await self._ask_called()
        elif not disclosure.names:
            self._names.forget_called()
        self._reader.read_all_now()

    async def _ask_called(self) -> None:
        """Have the names of all users looked up at Graph."""
        async for some in in_slices(list(self._names.directory)):
            self._names.want([name for name in some if self._names.user(name) is not None])

    def _upn(self, user: UserId) -> str:
        answer = self._answers.of(user)
        return self._names.people.upns.get(user) or (answer.upn if isinstance(answer, Presence) else "")
