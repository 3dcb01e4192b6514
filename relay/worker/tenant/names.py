"""The names of one tenant, the users that they stand for, and the names to be resolved, smallest requests first.

Users are deleted, recreated and renamed, and Graph does not announce it. So every name is resolved again within
minutes, and at once when Graph stops reporting its user. A name keeps its user until Graph answers with another result.
"""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from relay.core.names import folded, is_object_id
from relay.core.pausing import pause_s
from relay.core.presence import DirectoryNames, Name, Presence, Status, UserId
from relay.core.reading.acceptance import People
from relay.graph.presence.directory import NAMES_PER_BATCH, DirectoryUser
from relay.store.presence.values import DirectoryEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from relay.core.reading.acceptance import Answer
    from relay.graph.presence.directory import Resolution
    from relay.ops.clock import Clock
    from relay.worker.reads.users import UserBook
    from relay.worker.settings import WorkerSettings

_ASK_AGAIN: Final = timedelta(seconds=1)
"""Time after which a name without an answer from Graph is due again; the plan's pause is added."""
_REFUSED_AGAIN_S: Final = 10.0
"""Time after which a name that Graph refuses to look up is due again; doubled with each refusal in a row, a minute at most."""
_NO_ANSWER: Final = frozenset(Status) - {Status.NOT_FOUND, Status.ACCESS_DENIED}
_SPREAD: Final = 0.25
"""Share of the time by which a name may be resolved early, so that names resolved together spread out."""


class NameBook:
    """The names of one tenant: the entry of each, and the names to look up. Does no I/O.

    Attributes:
        directory: name -> the user or status that it stands for, and its expiry.
        people: user -> canonical UPN and names, as far as Graph has sent them to this owner.
    """

    def __init__(self, settings: WorkerSettings, users: UserBook, clock: Clock) -> None:
        """Make an empty book.

        Args:
            settings: the worker's settings.
            users: has the disclosed fields; the directory names of users are requested only if suites may have them.
            clock: clock for the expiry of entries.
        """
        self._settings = settings
        self._users = users
        self._clock = clock
        self.directory: dict[Name, DirectoryEntry] = {}
        self._upns: dict[UserId, str] = {}
        self._called: dict[UserId, DirectoryNames] = {}
        self.people = People(self._upns, self._called)
        self._names_of: dict[UserId, set[Name]] = {}
        self._groups: list[dict[Name, None]] = []
        self._group_of: dict[Name, dict[Name, None]] = {}  # each name waits in only one group
        self._asking: set[Name] = set()
        self._refusals: dict[Name, int] = {}  # refusals in a row, of names that Graph refuses to look up

    def clear(self) -> None:
        """Forget the users and statuses of all names."""
        self.directory.clear()
        self._names_of.clear()

    def load(self, entries: Iterable[tuple[Name, DirectoryEntry]]) -> None:
        """Take over entries of an earlier owner."""
        for name, entry in entries:
            self._note(name, entry)

    def learn_upns(self, answers: Mapping[UserId, Answer | None]) -> list[UserId]:
        """Take canonical UPNs from the answers that suites got; return the users whose UPN is still unknown."""
        for user, answer in answers.items():
            if isinstance(answer, Presence) and answer.upn and user in self._names_of:
                self._upns.setdefault(user, answer.upn)
        return [user for user in answers if user not in self._upns]

    def names_of(self, user: UserId) -> set[Name]:
        """Return the names that stand for a user."""
        return self._names_of.get(user, set())

    def user(self, name: Name) -> UserId | None:
        """Return the user that a name stands for; None without one, or while unknown."""
        entry = self.directory.get(name)
        return None if entry is None or isinstance(entry.outcome, Status) else entry.outcome

    def users(self) -> list[UserId]:
        """Return the users that names stand for."""
        return list(self._names_of)

    def nobodies(self) -> list[Name]:
        """Return the names that stand for no user, or are not resolved yet."""
        return [name for name, entry in self.directory.items() if isinstance(entry.outcome, Status)]

    def find_user(self, names: Iterable[Name]) -> UserId | None:
        """Return the first user that any of these names, or its canonical UPN, resolves to."""
        for name in names:
            found = self.user(name) or next((user for user, upn in self._upns.items() if folded(upn) == name), None)
            if found is not None:
                return found
            if is_object_id(name) and UserId(name) in self._names_of:
                return UserId(name)
        return None

    def want(self, names: Iterable[Name]) -> None:
        """Queue these names for lookup, as one group; a name that already waits in a smaller group stays there."""
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
        """Return whether a name has no entry, or only an expired one."""
        entry = self.directory.get(name)
        return entry is None or entry.expires <= now

    def want_expired(self, now: datetime) -> None:
        """Queue the names whose entry has expired."""
        self.want([name for name, entry in self.directory.items() if entry.expires <= now])

    def forget(self, names: Iterable[Name]) -> list[UserId]:
        """Forget names; return the users that no name stands for any more."""
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
        """Remove and return the next names to look up, at most one batch: whole small groups first. Call `asked` afterwards.

        Names that Graph refused are not requested together with others, which they could delay.
        """
        self._groups = sorted((group for group in self._groups if group), key=len)
        taken: list[Name] = []
        for group in self._groups:
            apart = self.are_refused(taken or group)
            fitting = (name for name in group if self.are_refused([name]) is apart)
            some = list(islice(fitting, NAMES_PER_BATCH - len(taken)))
            for name in some:
                del group[name], self._group_of[name]
            taken += some
            if len(taken) >= NAMES_PER_BATCH:
                break
        self._asking.update(taken)
        return taken

    def are_refused(self, names: Iterable[Name]) -> bool:
        """Return whether Graph refused to look up each of these names in the last request."""
        return all(name in self._refusals for name in names)

    def asked(self, names: Iterable[Name]) -> None:
        """Note that the request for these names has ended."""
        self._asking.difference_update(names)

    def has_work(self) -> bool:
        """Return whether `take` would return any name."""
        return any(self._groups)

    @property
    def asks_called(self) -> bool:
        """True if directory names of users must be requested from Graph: only while suites may have them."""
        return self._users.disclosure.names

    @property
    def is_idle(self) -> bool:
        """True if no name is being looked up or waits for it."""
        return not self._asking and not self.has_work()

    def pending(self) -> list[Name]:
        """Return the names that wait for lookup."""
        return [name for group in self._groups for name in group]

    def drop_pending(self) -> None:
        """Drop all waiting names, because the tenant is not read at present."""
        self._groups.clear()
        self._group_of.clear()

    def learn(self, resolution: Resolution, wanted: Iterable[Name]) -> tuple[dict[Name, DirectoryEntry], list[UserId]]:
        """Apply an answer of Graph, for names that are still wanted.

        Returns:
            The entries to store, and the users that no name stands for any more.
        """
        now = self._clock.wall()
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
                self._upns[meaning.user_id] = meaning.upn
                self._learn_called(name, meaning)
            if before is not None and not self.names_of(before):
                orphans.append(before)
            learned[name] = entry
        for name in still.intersection(resolution.refused):
            learned[name] = self._refused(name, now)
        return learned, orphans

    def forget_called(self) -> None:
        """Forget the directory names of users, because suites may not have them."""
        self._called.clear()

    def _learn_called(self, name: Name, meaning: DirectoryUser) -> None:
        if meaning.called is not None and self._users.disclosure.names:
            self._called[meaning.user_id] = meaning.called
        elif self._users.disclosure.names:  # requested before the tenant turned it on
            self.want([name])

    def _refused(self, name: Name, now: datetime) -> DirectoryEntry:
        """Note that Graph refuses to look up this name at present: the name keeps its known user."""
        times = self._refusals[name] = self._refusals.get(name, 0) + 1
        due = now + timedelta(seconds=pause_s(times, first_s=_REFUSED_AGAIN_S))
        outcome = Status.SOURCE_UNREACHABLE if self.unanswered([name]) else self.directory[name].outcome
        entry = DirectoryEntry(outcome, due)
        self._note(name, entry)
        return entry

    def unanswered(self, names: Iterable[Name]) -> list[Name]:
        """Return those of the names for which Graph has not answered yet."""
        return [name for name in names if (known := self.directory.get(name)) is None or known.outcome in _NO_ANSWER]

    def mark(self, names: Iterable[Name], status: Status) -> dict[Name, DirectoryEntry]:
        """Give a status to names that could not be looked up and have no user; return their entries, to be stored."""
        due = self._clock.wall() + _ASK_AGAIN
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
        """Remove a name from its user; return whether no name stands for the user any more."""
        names = self._names_of.get(user, set())
        names.discard(name)
        if not names:
            self._names_of.pop(user, None)
            self._upns.pop(user, None)
            self._called.pop(user, None)
        return not names


def _part_of_time() -> float:
    return 1 - _SPREAD * random.random()  # noqa: S311 - spreads load, guards nothing
