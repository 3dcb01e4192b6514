"""The board: all colleagues, what every source says of them, and what consoles are shown.

Sources put statements in; each is aggregated at once. Each change of what is shown has a revision, greater than all before it.
A listener has the names of those that changed, not the changes: a console that reads slowly gets the newest state of each
colleague, and costs nobody else anything.

Everything happens in the event loop's thread, and nothing waits.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from suite.agent.changes import Changes
from suite.agent.core.aggregate import aggregate
from suite.agent.core.values import Aggregation, PhoneSource, RichStatement, SourceName, TelephonyStatement
from suite.agent.users.directory import Directory
from suite.agent.users.reading import MOST_COLLEAGUES, Colleague
from suite.names import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

_Source = TypeVar("_Source", SourceName, PhoneSource)
_Statement = TypeVar("_Statement", RichStatement, TelephonyStatement)

MOST_REMOVED: Final = 10_000
"""Removals that are remembered for consoles that resume; one that missed more gets everything anew."""


@dataclass(slots=True, eq=False)
class BoardEntry:
    """One colleague on the board.

    Attributes:
        rich: source -> its statement; sources that said nothing are absent.
        telephony: the same, of the phone.
        shown: what consoles show.
        revision: of the newest change of `shown`.
        note_revision: of the newest change of the note about the colleague; 0 when there never was one.
    """

    colleague: Colleague
    rich: dict[SourceName, RichStatement] = field(default_factory=dict)
    telephony: dict[PhoneSource, TelephonyStatement] = field(default_factory=dict)
    shown: Aggregation = field(default_factory=Aggregation)
    revision: int = 0
    note_revision: int = 0

    @property
    def subject(self) -> Key:
        """Return the name under which notes about the colleague are kept: agents that share notes know people by their UPN."""
        return key_of(self.colleague.upn or self.colleague.login)


class BoardListener(Changes):
    """The changes that one console has not been sent.

    Attributes:
        everything: True when the console must be sent all colleagues, and forget those whom it is not sent.
    """

    def __init__(self, only: frozenset[Key] | None, *, is_console: bool = True) -> None:
        super().__init__()
        self.only = only
        self.is_console = is_console
        self.everything = False
        self._notes: dict[Key, None] = {}

    def tell(self, key: Key) -> None:
        """Note that a colleague changed, or was removed."""
        if self.only is None or key in self.only:
            self.note((key,))

    def tell_all(self, keys: Collection[Key]) -> None:
        """Note that these changed, or were removed."""
        if self.only is not None:
            among = keys if isinstance(keys, dict) else set(keys)  # a board may have a hundred thousand
            keys = [key for key in self.only if key in among]
        self.note(keys)

    def tell_note(self, key: Key) -> None:
        """Note that the note about a colleague changed."""
        if self.only is None or key in self.only:
            self._notes[key] = None
            self.wake()

    def take_notes(self) -> list[Key]:
        """Return those about whom the note changed since the last call, each once. No await stands between this and `take`."""
        notes, self._notes = list(self._notes), {}
        return notes


class Board:
    """All colleagues with what is shown of them.

    Attributes:
        epoch: a word that no other run of the agent has; revisions of another epoch say nothing.
        revision: of the newest change.
        on_watched: called when other colleagues are to be watched.
        has_note: returns True for a subject about whom there is a note.
    """

    def __init__(self, winning: SourceName) -> None:
        self.epoch = secrets.token_hex(4)
        self.revision = 0
        self.on_watched: Callable[[], None] = lambda: None
        self.has_note: Callable[[Key], bool] = lambda _: False
        self._winning = winning
        self._directory = Directory()
        self._in_file: tuple[Colleague, ...] = ()
        self._added: tuple[Colleague, ...] = ()
        self._pinned: frozenset[Key] = frozenset()
        """Those of the file, and those who were added."""
        self._wanted: Counter[Key] = Counter()
        self._spelled: dict[Key, str] = {}
        """Key -> the spelling of whoever wanted it first."""
        self._entries: dict[Key, BoardEntry] = {}
        self._order: dict[Key, None] = {}
        """Keys in the order of their newest change, for consoles that resume."""
        self._note_order: dict[Key, None] = {}
        """Keys in the order of the newest change of the note about them."""
        self._subjects: dict[Key, list[Key]] = {}
        """The name under which notes are kept -> the colleagues whom it stands for."""
        self._removed: deque[tuple[int, Key]] = deque(maxlen=MOST_REMOVED)
        self._forgotten = 0
        self._listeners: set[BoardListener] = set()

    # Who is on it

    @property
    def entries(self) -> Mapping[Key, BoardEntry]:
        """Return key -> entry of everybody who is watched."""
        return self._entries

    @property
    def listed(self) -> frozenset[Key]:
        """Return those of the file, and those who were added: not those whom only a console asked for."""
        return self._pinned

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def winning(self) -> SourceName:
        """Return the winning technology."""
        return self._winning

    def find(self, name: str) -> tuple[Key, BoardEntry] | None:
        """Return a colleague on the board by login, UPN, SIP address or extension."""
        colleague = self._directory.find(name)
        key = key_of(colleague.id if colleague is not None else name)
        entry = self._entries.get(key)
        return None if entry is None else (key, entry)

    def set_colleagues(self, colleagues: Iterable[Colleague]) -> None:
        """Replace the colleagues of the file. Those who stay keep what sources said of them, as far as it was said of the same UPN or extension."""
        self._in_file = tuple(colleagues)
        self._directory = Directory((*self._in_file, *self._added))
        self._settle()

    def set_added(self, colleagues: Iterable[Colleague]) -> None:
        """Replace the colleagues that programs added. One whom the file has too is as the file says."""
        self._added = tuple(colleagues)
        self._directory = Directory((*self._in_file, *self._added))
        self._settle()

    @contextmanager
    def wanting(self, names: Iterable[str]) -> Iterator[frozenset[Key]]:
        """Watch these names while the context lasts, and yield their keys. A name that is nobody's in the file counts as a UPN."""
        wanted = {key_of(name): name for name in map(self._id_of, names)}
        self._wanted.update(wanted.keys())
        for key, name in wanted.items():
            self._spelled.setdefault(key, name)
        if wanted.keys() - self._entries.keys():
            self._settle()
        try:
            yield frozenset(wanted)
        finally:
            self._wanted.subtract(wanted.keys())
            self._wanted = +self._wanted
            ended = wanted.keys() - self._wanted.keys()
            for key in ended:
                self._spelled.pop(key, None)
            if ended - self._pinned:
                self._settle()

    def has_no_room_for(self, names: Iterable[str]) -> bool:
        """Return True when more would be watched with these names than one stream of the relay may."""
        new = {key_of(self._id_of(name)) for name in names} - self._entries.keys()
        return len(self._entries) + len(new) > MOST_COLLEAGUES

    def _id_of(self, name: str) -> str:
        colleague = self._directory.find(name)
        return colleague.id if colleague is not None else name

    def _settle(self) -> None:
        """Put on the board whom the file has, a program added or a console wants, and take everybody else off."""
        present = {key_of(colleague.id): colleague for colleague in self._directory}
        self._pinned = frozenset(present)
        for key, name in self._spelled.items():
            present.setdefault(key, Colleague(upn=name))
        is_changed = False
        for key in [key for key in self._entries if key not in present]:
            self._leave_subject(key, self._entries[key].subject)
            del self._entries[key], self._order[key]
            self._note_order.pop(key, None)
            self._remember_removed(key)
            is_changed = True
        for key, colleague in present.items():
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = BoardEntry(colleague)
                self._show(key, entry)
                self._join_subject(key, entry)
                is_changed = True
            elif entry.colleague != colleague:
                _withdraw_what_was_of_another(entry, colleague)
                self._leave_subject(key, entry.subject)
                entry.colleague = colleague
                self._show(key, entry)
                self._join_subject(key, entry)
                is_changed = True
        if is_changed:
            self.on_watched()

    def _remember_removed(self, key: Key) -> None:
        self.revision += 1
        if len(self._removed) == MOST_REMOVED:
            self._forgotten = self._removed[0][0]
        self._removed.append((self.revision, key))
        self._tell(key)

    # What is said

    def state_rich(self, key: Key, source: SourceName, statement: RichStatement | None) -> None:
        """Take what a source says of a colleague; None withdraws it. Somebody who is not on the board is ignored."""
        entry = self._entries.get(key)
        if entry is not None and _put(entry.rich, source, statement):
            self._show(key, entry)

    def state_telephony(self, key: Key, source: PhoneSource, statement: TelephonyStatement | None) -> None:
        """Take what a source says of a colleague's phone; None withdraws it."""
        entry = self._entries.get(key)
        if entry is not None and _put(entry.telephony, source, statement):
            self._show(key, entry)

    def withdraw(self, source: SourceName) -> None:
        """Withdraw all rich presence that a source said."""
        for key in list(self._entries):
            self.state_rich(key, source, None)

    def withdraw_telephony(self, source: PhoneSource) -> None:
        """Withdraw everything that a source said of phones."""
        for key in list(self._entries):
            self.state_telephony(key, source, None)

    def set_winning(self, winning: SourceName) -> None:
        """Set the winning technology."""
        if winning is not self._winning:
            self._winning = winning
            for key, entry in self._entries.items():
                if (shown := self._aggregated(entry)) != entry.shown:
                    self._change(key, entry, shown)

    # Notes

    def about(self, subject: Key) -> Sequence[Key]:
        """Return the colleagues whom a name stands for under which notes are kept; none when nobody of it is on the board."""
        return self._subjects.get(subject, ())

    def note_changed(self, subject: Key) -> None:
        """Take note that the note about somebody is another one now, or is none any more."""
        for key in self.about(subject):
            self._change_note(key, self._entries[key])

    def _change_note(self, key: Key, entry: BoardEntry) -> None:
        self.revision += 1
        entry.note_revision = self.revision
        self._note_order.pop(key, None)
        self._note_order[key] = None
        for listener in self._listeners:
            listener.tell_note(key)

    def _join_subject(self, key: Key, entry: BoardEntry) -> None:
        self._subjects.setdefault(entry.subject, []).append(key)
        if entry.note_revision or self.has_note(entry.subject):
            self._change_note(key, entry)

    def _leave_subject(self, key: Key, subject: Key) -> None:
        self._subjects[subject].remove(key)
        if not self._subjects[subject]:
            del self._subjects[subject]

    # What is shown

    def _show(self, key: Key, entry: BoardEntry) -> None:
        self._change(key, entry, self._aggregated(entry))

    def _aggregated(self, entry: BoardEntry) -> Aggregation:
        return aggregate(entry.rich, entry.telephony, self._winning)

    def _change(self, key: Key, entry: BoardEntry, shown: Aggregation) -> None:
        self.revision += 1
        entry.shown, entry.revision = shown, self.revision
        self._order.pop(key, None)
        self._order[key] = None
        self._tell(key)

    # Who listens

    @property
    def listeners(self) -> int:
        """Return the number of consoles that listen."""
        return sum(each.is_console for each in self._listeners)

    @contextmanager
    def listening(
        self, only: frozenset[Key] | None, since: tuple[str, int] | None, *, is_console: bool = True
    ) -> Iterator[BoardListener]:
        """Listen to changes while the context lasts.

        Args:
            only: the colleagues whose changes count; None is everybody.
            since: epoch and revision up to which the listener has seen everything; None when it has seen nothing.
            is_console: False for a part of the agent.
        """
        listener = BoardListener(only, is_console=is_console)
        missed = self.missed(since)
        listener.everything = missed is None
        listener.tell_all(self._entries if missed is None else missed)
        for key in self._missed_notes(0 if missed is None or since is None else since[1]):
            listener.tell_note(key)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def wake_all(self) -> None:
        """Wake all listeners: something other than a colleague changed."""
        for listener in self._listeners:
            listener.wake()

    def missed(self, since: tuple[str, int] | None) -> list[Key] | None:
        """Return who changed since a revision, in order; None when that is not known any more."""
        if since is None or since[0] != self.epoch or not self._forgotten <= since[1] <= self.revision:
            return None
        missed = [key for revision, key in self._removed if revision > since[1]]
        changed: list[Key] = []
        for key in reversed(self._order):
            if self._entries[key].revision <= since[1]:
                break
            changed.append(key)
        return list(dict.fromkeys([*missed, *reversed(changed)]))

    def _missed_notes(self, since: int) -> list[Key]:
        """Return those about whom the note changed since a revision, in order; since 0, those about whom there is one."""
        changed: list[Key] = []
        for key in reversed(self._note_order):
            if self._entries[key].note_revision <= since:
                break
            if since or self.has_note(self._entries[key].subject):
                changed.append(key)
        return changed[::-1]

    def _tell(self, key: Key) -> None:
        for listener in self._listeners:
            listener.tell(key)


def _put(said: dict[_Source, _Statement], source: _Source, statement: _Statement | None) -> bool:
    """Replace a source's statement, and return True when it is another one now."""
    if said.get(source) == statement:
        return False
    if statement is None:
        del said[source]
    else:
        said[source] = statement
    return True


def _withdraw_what_was_of_another(entry: BoardEntry, now: Colleague) -> None:
    """Withdraw what was said of a UPN, SIP address or extension that the colleague had: it may be somebody else's now."""
    before = entry.colleague
    if before.upn != now.upn:
        entry.rich.pop(SourceName.TEAMS, None)
    if before.upn and key_of(before.upn) != key_of(now.upn):
        entry.rich.pop(SourceName.LOCAL, None)
    if before.sip_uri != now.sip_uri:
        entry.rich.pop(SourceName.SIP, None)
        entry.rich.pop(SourceName.SFB, None)
    if before.extension != now.extension:
        entry.telephony.clear()  # it is another phone's, and the next state is told of this one
