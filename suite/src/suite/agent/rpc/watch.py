"""The names that one console watches, and the answers that it has not been sent yet ("owed"). Pure: no I/O, and nothing waits.

A console is owed the resolution of each spelling of a name, and the answer for its user: once, and again on each
change. Names that it held from an earlier stream are owed only if they changed since the resume token. Only names are stored here,
so a console that reads nothing needs one mark for each name.

A resume token is `<epoch>-<revision>`: the console has been sent everything up to that revision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from suite.agent.rpc.encode import answer_item, resolved_item
from suite.held import Resolution
from suite.names import Key, is_sendable, key_of
from suite.values import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.agent.answers import AnswerListener, RelayAnswers

_MALFORMED = Resolution(None, Status.MALFORMED)


@dataclass(slots=True)
class _Watched:
    """One name: the spellings that the console gave, and the resolution that was last sent for each."""

    told: dict[str, Resolution | None] = field(default_factory=dict)
    answered: str = ""
    """The user whose answer was sent; empty for none."""


class Watch:
    """The names that one console watches. Its listener must stay open."""

    def __init__(self, answers: RelayAnswers, listener: AnswerListener) -> None:
        self.changes_seen = 0
        self._answers = answers
        self._listener = listener
        self._names: dict[Key, _Watched] = {}
        self._owed: dict[Key, None] = {}
        self._malformed: dict[str, None] = {}
        listener.watched = self._names  # type: ignore[assignment]

    def __len__(self) -> int:
        """Return the number of names. Each spelling counts."""
        return sum(len(watched.told) for watched in self._names.values())

    def begin(self, subscribe: Iterable[str], held: dict[str, Resolution | None], token: str) -> Outcome:
        """Watch the names of a start, and return the outcome with which the stream begins."""
        since = self._since(token)
        self.subscribe(subscribe)
        new = {name: resolution for name, resolution in held.items() if key_of(name) not in self._names}
        self._add(new)
        for name, resolution in new.items():
            key = key_of(name)
            if key not in self._names:
                continue
            entry = self._answers.get(key)
            if since is not None and entry.revision <= since and resolution == entry.resolution:
                self._names[key].told[name] = resolution
                self._names[key].answered = resolution.user_id or ""
            else:
                self._names[key].told[name] = None
                self._owed[key] = None
        if not token:
            return Outcome.SNAPSHOT
        return Outcome.RESET if since is None else Outcome.RESUMED

    def subscribe(self, names: Iterable[str]) -> None:
        """Watch these names too. Each is owed in full, even if it is watched already."""
        names = list(names)
        self._add(names)
        for name in names:
            watched = self._names.get(key_of(name))
            if watched is not None:
                watched.told[name] = None
                watched.answered = ""
                self._owed[key_of(name)] = None

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Stop watching these names, in any spelling."""
        gone = [key for key in dict.fromkeys(map(key_of, names)) if key in self._names]
        for key in gone:
            del self._names[key]
            self._owed.pop(key, None)
        self._answers.release(gone)

    def take(self, most: int) -> tuple[list[bytes], str]:
        """Return the items for at most `most` owed names, and the resume token, which is empty while names are left."""
        for key in self._listener.take():
            self._owed[key] = None
        items = [resolved_item(name, _MALFORMED) for name in self._malformed]
        self._malformed.clear()
        taken = list(self._owed)[:most] if len(self._owed) > most else list(self._owed)
        resolved: list[bytes] = []
        answers: dict[str, bytes] = {}
        for key in taken:
            del self._owed[key]
            if key in self._names:
                self._collect(key, self._names[key], resolved, answers)
        token = "" if self._owed else f"{self._answers.epoch}-{self._answers.revision}"
        return [*items, *resolved, *answers.values()], token

    @property
    def has_malformed(self) -> bool:
        """Return whether malformed names wait to be sent back."""
        return bool(self._malformed)

    @property
    def is_owed(self) -> bool:
        """Return whether there is anything to send."""
        return bool(self._owed or self._malformed)

    def _collect(self, key: Key, watched: _Watched, resolved: list[bytes], answers: dict[str, bytes]) -> None:
        resolution, answer = self._answers.shown(key)
        for spelling, told in watched.told.items():
            if told != resolution:
                watched.told[spelling] = resolution
                resolved.append(resolved_item(spelling, resolution))
        if resolution.user_id is None:
            watched.answered = ""
            return
        entry = self._answers.get(key)
        entry.wire = entry.wire or answer_item(resolution.user_id, answer)
        watched.answered = resolution.user_id
        answers[resolution.user_id] = entry.wire

    def _add(self, names: Iterable[str]) -> None:
        new: dict[Key, str] = {}
        for name in names:
            if not is_sendable(name):
                self._malformed[name] = None
            elif key_of(name) not in self._names:
                new.setdefault(key_of(name), name)
        self._answers.want(new.values())
        for key in new:
            self._names[key] = _Watched()

    def _since(self, token: str) -> int | None:
        epoch, dash, number = token.rpartition("-")
        if not dash or epoch != self._answers.epoch or not (number.isascii() and number.isdigit()) or len(number) > 18:
            return None
        return int(number) if int(number) <= self._answers.revision else None
