"""The board: all colleagues, the statements of all sources about them, and the state that consoles show.

Sources put statements in; each is aggregated at once. Each change of the shown state gets a revision, higher than all before it.
A listener collects the keys of colleagues that changed, not the changes: a slow console gets the newest state of each
colleague, and does not use memory or delay others.

Everything runs in the event loop's thread, and nothing blocks.
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
"""Removals that are kept for consoles that resume. A console that missed more is sent all colleagues again."""


@dataclass(slots=True, eq=False)
class BoardEntry:
    """One colleague on the board.

    Attributes:
        rich: source -> its statement; sources without a statement are absent.
        telephony: the same for the phone.
        shown: the state that consoles show.
        revision: revision of the newest change of `shown`.
        note_revision: revision of the newest change of the note about the colleague; 0 when there never was a note.
    """

    colleague: Colleague
    rich: dict[SourceName, RichStatement] = field(default_factory=dict)
    telephony: dict[PhoneSource, TelephonyStatement] = field(default_factory=dict)
    shown: Aggregation = field(default_factory=Aggregation)
    revision: int = 0
    note_revision: int = 0

    @property
    def subject(self) -> Key:
        """Return the name under which notes about the colleague are kept. It is the UPN, if any, for agents that share notes."""
        return key_of(self.colleague.upn or self.colleague.login)


class BoardListener(Changes):
    """The changes that one console has not been sent yet.

    Attributes:
        everything: True when the console must be sent all colleagues, and must forget all others.
    """

    def __init__(self, only: frozenset[Key] | None, *, is_console: bool = True) -> None:
        super().__init__()
        self.only = only
        self.is_console = is_console
        self.everything = False
        self._notes: dict[Key, None] = {}

    def tell(self, key: Key) -> None:
        """Record that a colleague changed or was removed."""
        if self.only is None or key in self.only:
            self.note((key,))

    def tell_all(self, keys: Collection[Key]) -> None:
        """Record that these colleagues changed or were removed."""
        if self.only is not None:
            among = keys if isinstance(keys, dict) else set(keys)  # a board may have a hundred thousand
            keys = [key for key in self.only if key in among]
        self.note(keys)

    def tell_note(self, key: Key) -> None:
        """Record that the note about a colleague changed."""
        if self.only is None or key in self.only:
            self._notes[key] = None
            self.wake()

    def take_notes(self) -> list[Key]:
        """Return the colleagues whose note changed since the last call, each once. Do not await between this and `take`."""
        notes, self._notes = list(self._notes), {}
        return notes


class Board:
    """All colleagues with the state that consoles show.

    Attributes:
        epoch: random id of this run of the agent; revisions of different epochs cannot be compared.
        revision: revision of the newest change.
        on_watched: called when the set of colleagues to watch changed.
        has_note: returns True for a subject with a note.
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
        """Colleagues of the file, and added ones."""
        self._wanted: Counter[Key] = Counter()
        self._spelled: dict[Key, str] = {}
        """Key -> the spelling of the console that wanted it first."""
        self._entries: dict[Key, BoardEntry] = {}
        self._order: dict[Key, None] = {}
        """Keys in the order of their newest change, for consoles that resume."""
        self._note_order: dict[Key, None] = {}
        """Keys in the order of the newest change of the note about them."""
        self._subjects: dict[Key, list[Key]] = {}
        """Subject (the name under which notes are kept) -> its colleagues."""
        self._removed: deque[tuple[int, Key]] = deque(maxlen=MOST_REMOVED)
        self._forgotten = 0
        self._listeners: set[BoardListener] = set()

    # Colleagues

    @property
    def entries(self) -> Mapping[Key, BoardEntry]:
        """Return key -> entry of each colleague on the board."""
        return self._entries

    @property
    def listed(self) -> frozenset[Key]:
        """Return the colleagues of the file and the added ones, without those that only a console wants."""
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
        """Replace the colleagues of the file. Those who stay keep the statements about their unchanged UPN, address and extension."""
        self._in_file = tuple(colleagues)
        self._directory = Directory((*self._in_file, *self._added))
        self._settle()

    def set_added(self, colleagues: Iterable[Colleague]) -> None:
        """Replace the colleagues that programs added. For a colleague in both, the file takes precedence."""
        self._added = tuple(colleagues)
        self._directory = Directory((*self._in_file, *self._added))
        self._settle()

    @contextmanager
    def wanting(self, names: Iterable[str]) -> Iterator[frozenset[Key]]:
        """Watch these names within the context, and yield their keys. A name that matches no colleague counts as a UPN."""
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
        """Return True when one stream of the relay may not watch these names too."""
        new = {key_of(self._id_of(name)) for name in names} - self._entries.keys()
        return len(self._entries) + len(new) > MOST_COLLEAGUES

    def _id_of(self, name: str) -> str:
        colleague = self._directory.find(name)
        return colleague.id if colleague is not None else name

    def _settle(self) -> None:
        """Put the colleagues of the file, added ones and those that consoles want on the board, and remove all others."""
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

    # Statements

    def state_rich(self, key: Key, source: SourceName, statement: RichStatement | None) -> None:
        """Set a source's statement about a colleague; None withdraws it. A key that is not on the board is ignored."""
        entry = self._entries.get(key)
        if entry is not None and _put(entry.rich, source, statement):
            self._show(key, entry)

    def state_telephony(self, key: Key, source: PhoneSource, statement: TelephonyStatement | None) -> None:
        """Set a source's statement about a colleague's phone; None withdraws it. A key that is not on the board is ignored."""
        entry = self._entries.get(key)
        if entry is not None and _put(entry.telephony, source, statement):
            self._show(key, entry)

    def withdraw(self, source: SourceName) -> None:
        """Withdraw all statements of a source about rich presence."""
        for key in list(self._entries):
            self.state_rich(key, source, None)

    def withdraw_telephony(self, source: PhoneSource) -> None:
        """Withdraw all statements of a source about phones."""
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
        """Return the colleagues of a subject (a name under which notes are kept); empty when none is on the board."""
        return self._subjects.get(subject, ())

    def note_changed(self, subject: Key) -> None:
        """Record that the note about a subject was changed or removed."""
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

    # Shown state

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

    # Listeners

    @property
    def listeners(self) -> int:
        """Return the number of consoles that listen."""
        return sum(each.is_console for each in self._listeners)

    @contextmanager
    def listening(
        self, only: frozenset[Key] | None, since: tuple[str, int] | None, *, is_console: bool = True
    ) -> Iterator[BoardListener]:
        """Listen to changes within the context.

        Args:
            only: the colleagues whose changes count; None for all.
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
        """Return the keys that changed since an epoch and revision, in order; None when that is not known any more."""
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
        """Return the keys whose note changed since a revision, in order; for 0, the keys with a note."""
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
    """Replace a source's statement. Return True when it changed."""
    if said.get(source) == statement:
        return False
    if statement is None:
        del said[source]
    else:
        said[source] = statement
    return True


def _withdraw_what_was_of_another(entry: BoardEntry, now: Colleague) -> None:
    """Withdraw statements about a former UPN, SIP address or extension of the colleague: it may belong to another user now."""
    before = entry.colleague
    if before.upn != now.upn:
        entry.rich.pop(SourceName.TEAMS, None)
    if before.upn and key_of(before.upn) != key_of(now.upn):
        entry.rich.pop(SourceName.LOCAL, None)
    if before.sip_uri != now.sip_uri:
        entry.rich.pop(SourceName.SIP, None)
        entry.rich.pop(SourceName.SFB, None)
    if before.extension != now.extension:
        entry.telephony.clear()  # it is the state of another phone
