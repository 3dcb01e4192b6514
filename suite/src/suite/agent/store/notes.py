"""The notes on disk. Acknowledged notes survive a kill of the agent and a power failure."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Final

from suite.agent.notes.values import Kept, Version
from suite.agent.store.database import instance_id
from suite.agent.store.not_kept import not_kept
from suite.names import Key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.agent.notes.values import VersionId
    from suite.agent.store.database import Database

log = logging.getLogger(__name__)

_MS: Final = 1000


class NoteStore:
    """The stored notes. All methods may be called in a thread.

    `now_ms` is the machine's wall clock in milliseconds since 1970, which the file uses; `now` is the monotonic clock of the rules.

    Attributes:
        agent: the id of this agent, which is part of its notes.
        set_aside: the new name of a damaged file that was replaced at the start; empty when there was none.
    """

    def __init__(self, database: Database) -> None:
        self.agent = instance_id(database)
        self.set_aside = database.set_aside
        self._database = database

    def load(self, now_ms: int, now: float) -> list[Kept]:
        """Return all versions. Invalid rows are logged and left out.

        Raises:
            NotKept: the file cannot be read.
        """
        try:
            rows = self._database.rows(
                "SELECT subject, stamp, agent, text, author, written_ms, lifetime_s, ends_ms FROM notes"
            )
        except sqlite3.Error as error:
            raise not_kept(error) from None
        found = [_kept(row, now_ms, now) for row in rows if _is_version(row)]
        if len(found) < len(rows):
            log.warning("store: %d rows of notes are damaged, and are left out.", len(rows) - len(found))
        return found

    def save(self, put: Iterable[Kept], gone: Iterable[VersionId], now_ms: int, now: float) -> None:
        """Write versions to disk, and delete others.

        Raises:
            NotKept: nothing was written.
        """
        try:
            with self._database.transaction(durable=True) as run:
                rows = [_row(kept, now_ms, now) for kept in put]
                run.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
                run.executemany("DELETE FROM notes WHERE subject = ? AND stamp = ? AND agent = ?", gone)
        except sqlite3.Error as error:
            raise not_kept(error) from None


def _row(kept: Kept, now_ms: int, now: float) -> tuple[str | int | None, ...]:
    version = kept.version
    ends_ms = None if kept.ends is None else now_ms + round((kept.ends - now) * _MS)
    return (*version.id, version.text, version.author, version.written_ms, version.lifetime_s, ends_ms)


def _kept(row: tuple[str, int, str, str, str, int, int | None, int | None], now_ms: int, now: float) -> Kept:
    subject, stamp, agent, text, author, written_ms, lifetime_s, ends_ms = row
    version = Version(
        subject=Key(subject),
        stamp=stamp,
        agent=agent,
        text=text,
        author=author,
        written_ms=written_ms,
        lifetime_s=lifetime_s,
    )
    return Kept(version, None if ends_ms is None else now + (ends_ms - now_ms) / _MS)


def _is_version(row: tuple[object, ...]) -> bool:
    kinds = (str, int, str, str, str, int, int | None, int | None)
    return all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True))
