"""What the names of one tenant stand for: asked of Graph's directory, smallest requests first, and asked again in time.

People are deleted, made anew and renamed, and Graph announces none of it: every name is asked for again within minutes, and at once
when Graph stops reporting its user. What was known stays until Graph answers and says otherwise.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from relay.core.names import folded, is_object_id
from relay.core.pausing import pause_s
from relay.core.presence import DirectoryNames, Name, Presence, Status, UserId
from relay.graph.presence.directory import NAMES_PER_BATCH, DirectoryUser, resolve
from relay.store.presence.presences import DirectoryEntry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from relay.graph.client import GraphClient, TokenSource
    from relay.graph.presence.directory import Resolution
    from relay.worker.reads.answers import Answer
    from relay.worker.settings import WorkerSettings

_ASK_AGAIN: Final = timedelta(seconds=1)
"""How soon a name that Graph could not answer is due again; the plan's pause comes on top."""
_REFUSED_AGAIN_S: Final = 10.0
"""How soon a name that Graph refuses to look for is due again; twice as long with each refusal in a row, a minute at most."""
_NO_ANSWER: Final = frozenset(Status) - {Status.NOT_FOUND, Status.ACCESS_DENIED}
_SPREAD: Final = 0.25
"""So much of their time names may be asked again earlier, so that those that were asked together are not for ever."""


class Names:
    """The names of one tenant: what is known of each, and which are to be asked for. Does no I/O but `ask`."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.directory: dict[Name, DirectoryEntry] = {}
        self.upns: dict[UserId, str] = {}
        """User -> canonical UPN, where Graph has told it to this owner."""
        self.called: dict[UserId, DirectoryNames] = {}
        """User -> what people call them, where Graph has told it to this owner."""
        self.asks_called = False
        """Whether Graph is asked for that: only while the tenant passes it on."""
        self._names_of: dict[UserId, set[Name]] = {}
        self._groups: list[dict[Name, None]] = []
        self._group_of: dict[Name, dict[Name, None]] = {}  # each name waits in one group only
        self._asking: set[Name] = set()
        self._refusals: dict[Name, int] = {}  # in a row, of names that Graph refuses to look for

    def load(self, directory: Mapping[Name, DirectoryEntry]) -> None:
        """Take over what an earlier owner found."""
        self.directory.clear()
        self._names_of.clear()
        for name, entry in directory.items():
            self._note(name, entry)

    def told(self, answers: Mapping[UserId, Answer | None]) -> list[UserId]:
        """Take canonical UPNs over from what suites were told; returns the users whose UPN is still not known."""
        for user, answer in answers.items():
            if isinstance(answer, Presence) and answer.upn and user in self._names_of:
                self.upns.setdefault(user, answer.upn)
        return [user for user in answers if user not in self.upns]

    def of(self, user: UserId) -> set[Name]:
        """The names that stand for a user."""
        return self._names_of.get(user, set())

    def user(self, name: Name) -> UserId | None:
        """Whom a name stands for, None for nobody or nobody yet."""
        entry = self.directory.get(name)
        return None if entry is None or isinstance(entry.outcome, Status) else entry.outcome

    def meant(self, names: Iterable[Name]) -> UserId | None:
        """Whom any of these names stands for, the canonical one included, by which perhaps nobody asks."""
        for name in names:
            found = self.user(name) or next((user for user, upn in self.upns.items() if folded(upn) == name), None)
            if found is not None:
                return found
            if is_object_id(name) and UserId(name) in self._names_of:
                return UserId(name)
        return None

    def want(self, names: Iterable[Name]) -> None:
        """Ask for these names, as one group; one that waits in a smaller group already stays there."""
        wanted = list(names)
        group: dict[Name, None] = {}
        for name in wanted:
            if name in self._asking or name in group:
                continue
            waits_in = self._group_of.get(name)
            if waits_in is not None:
                if len(waits_in) <= len(wanted):
                    continue
                del waits_in[name]
            group[name] = None
            self._group_of[name] = group
        if group:
            self._groups.append(group)

    def is_unknown(self, name: Name, now: datetime) -> bool:
        """Whether nothing is known of a name, or nothing that is still believed."""
        entry = self.directory.get(name)
        return entry is None or entry.expires <= now

    def want_expired(self, now: datetime) -> None:
        """Ask again for the names whose answer is old."""
        self.want([name for name, entry in self.directory.items() if entry.expires <= now])

    def forget(self, names: Iterable[Name]) -> list[UserId]:
        """Forget names; returns the users whom no name stands for any more."""
        orphans = []
        for name in names:
            waits_in = self._group_of.pop(name, None)
            if waits_in is not None:
                del waits_in[name]
            self._refusals.pop(name, None)
            entry = self.directory.pop(name, None)
            if entry is not None and not isinstance(entry.outcome, Status) and self._unlink(name, entry.outcome):
                orphans.append(entry.outcome)
        return orphans

    def take(self) -> list[Name]:
        """The next names to ask for, at most one batch: whole small groups first."""
        self._groups = sorted((group for group in self._groups if group), key=len)
        taken: list[Name] = []
        for group in self._groups:
            some = list(islice(group, NAMES_PER_BATCH - len(taken)))
            for name in some:
                del group[name], self._group_of[name]
            taken += some
            if len(taken) >= NAMES_PER_BATCH:
                break
        self._asking.update(taken)
        return taken

    def has_work(self) -> bool:
        """Whether `take` would give something."""
        return any(self._groups)

    def pending(self) -> list[Name]:
        """The names that wait to be asked for."""
        return [name for group in self._groups for name in group]

    def drop_pending(self) -> None:
        """Ask for nothing: the tenant is not read at present."""
        self._groups.clear()
        self._group_of.clear()

    async def ask(
        self, client: GraphClient, token: TokenSource, names: list[Name], pay: Callable[[], Awaitable[None]]
    ) -> Resolution:
        """Ask Graph for names that `take` gave; `pay` is awaited before each request."""
        try:
            return await resolve(client, token, names, pay, asks_called=self.asks_called)
        finally:
            self._asking.difference_update(names)

    def learn(self, resolution: Resolution, wanted: Iterable[Name]) -> tuple[dict[Name, DirectoryEntry], list[UserId]]:
        """Take in an answer of Graph's.

        Returns:
            What is to be stored, and the users whom no name stands for any more.
        """
        now = datetime.now(UTC)
        still = set(wanted)
        learned: dict[Name, DirectoryEntry] = {}
        orphans: list[UserId] = []
        for name, meaning in resolution.meanings.items():
            if name not in still:
                continue
            self._refusals.pop(name, None)
            before = self.user(name)
            if isinstance(meaning, DirectoryUser):
                entry = DirectoryEntry(meaning.user_id, now + self._settings.directory_found * _part_of_time())
            else:
                outcome = meaning if meaning is Status.NOT_FOUND or before is None else before
                entry = DirectoryEntry(outcome, now + self._settings.directory_not_found)
            self._note(name, entry)
            if isinstance(meaning, DirectoryUser):
                self.upns[meaning.user_id] = meaning.upn
                self._learn_called(name, meaning)
            if before is not None and not self.of(before):
                orphans.append(before)
            learned[name] = entry
        for name in still.intersection(resolution.refused):
            learned[name] = self._refused(name, now)
        return learned, orphans

    def _learn_called(self, name: Name, meaning: DirectoryUser) -> None:
        if meaning.called is not None and self.asks_called:
            self.called[meaning.user_id] = meaning.called
        elif self.asks_called:  # asked before the tenant turned it on
            self.want([name])

    def _refused(self, name: Name, now: datetime) -> DirectoryEntry:
        """Graph does not look for this name at present: who it was known to stand for stays."""
        times = self._refusals[name] = self._refusals.get(name, 0) + 1
        due = now + timedelta(seconds=pause_s(times, first_s=_REFUSED_AGAIN_S))
        outcome = Status.SOURCE_UNREACHABLE if self.unanswered([name]) else self.directory[name].outcome
        entry = DirectoryEntry(outcome, due)
        self._note(name, entry)
        return entry

    def unanswered(self, names: Iterable[Name]) -> list[Name]:
        """Those of the names of which Graph has not said yet whom they stand for, or that they stand for nobody."""
        return [name for name in names if (known := self.directory.get(name)) is None or known.outcome in _NO_ANSWER]

    def mark(self, names: Iterable[Name], status: Status) -> dict[Name, DirectoryEntry]:
        """Names that could not be asked for and stand for nobody yet get a status; what is known stays."""
        due = datetime.now(UTC) + _ASK_AGAIN
        marked = {}
        for name in names:
            known = self.directory.get(name)
            if known is None or (isinstance(known.outcome, Status) and known.outcome is not status):
                marked[name] = DirectoryEntry(status, due)
                self._note(name, marked[name])
        return marked

    def _note(self, name: Name, entry: DirectoryEntry) -> None:
        before = self.user(name)
        if before is not None and before != entry.outcome:
            self._unlink(name, before)
        self.directory[name] = entry
        if not isinstance(entry.outcome, Status):
            self._names_of.setdefault(entry.outcome, set()).add(name)

    def _unlink(self, name: Name, user: UserId) -> bool:
        """Returns whether no name stands for the user any more."""
        names = self._names_of.get(user, set())
        names.discard(name)
        if not names:
            self._names_of.pop(user, None)
            self.upns.pop(user, None)
            self.called.pop(user, None)
        return not names


def _part_of_time() -> float:
    return 1 - _SPREAD * random.random()  # noqa: S311 - spreads load, guards nothing
