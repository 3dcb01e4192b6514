"""The colleagues that programs added, written to disk before they are acknowledged, and kept over a restart."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from suite.agent.store.not_kept import not_kept
from suite.agent.users.reading import Colleague, colleague_of
from suite.names import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.agent.store.database import Database
    from suite.names import Key

_COLUMNS = ("login", "upn", "sip", "extension", "voicemail")


class ColleagueStore:
    """The stored colleagues. All methods may be called in a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> list[Colleague]:
        """Return all colleagues. Invalid rows are left out.

        Raises:
            NotKept: the file cannot be read.
        """
        try:
            rows = self._database.rows("SELECT login, upn, sip, extension, voicemail FROM colleagues ORDER BY id")
        except sqlite3.Error as error:
            raise not_kept(error) from None
        return [one for row in rows if (one := _colleague(row)) is not None]

    def put(self, colleagues: Iterable[Colleague]) -> None:
        """Write colleagues to disk, and replace those with the same id.

        Raises:
            NotKept: nothing was written.
        """
        rows = [(key_of(one.id), one.login, one.upn, one.sip_uri, one.extension, one.voicemail) for one in colleagues]
        try:
            with self._database.transaction(durable=True) as run:
                run.executemany("INSERT OR REPLACE INTO colleagues VALUES (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise not_kept(error) from None

    def remove(self, key: Key) -> None:
        """Delete a colleague from disk.

        Raises:
            NotKept: nothing was written.
        """
        try:
            with self._database.transaction(durable=True) as run:
                run.execute("DELETE FROM colleagues WHERE id = ?", (key,))
        except sqlite3.Error as error:
            raise not_kept(error) from None


def _colleague(row: tuple[object, ...]) -> Colleague | None:
    try:
        return colleague_of({column: str(value or "") for column, value in zip(_COLUMNS, row, strict=True)})
    except ValueError:
        return None
