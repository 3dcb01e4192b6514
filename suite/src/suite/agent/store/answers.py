"""The answers of the relay and their resume token, kept over a restart."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING

from suite.agent.store.database import instance_id
from suite.agent.store.encoding import decode_presence, encode_presence
from suite.held import Answer, Held, Resolution
from suite.values import Status

if TYPE_CHECKING:
    from collections.abc import Collection

    from suite.agent.settings.groups.teams import TeamsSettings
    from suite.agent.store.database import Database

log = logging.getLogger(__name__)


def owner_of(settings: TeamsSettings) -> str:
    """Return an id of the source of answers: the relay's address and the key's id, which belongs to one organisation."""
    return f"{settings.address.strip().lower()} {settings.key.removeprefix('psk_').partition('_')[0]}"


class AnswerStore:
    """The stored answers. All methods may be called in a thread, one at a time. None raises when the disk is full or broken.

    Attributes:
        instance_id: the id by which the relay recognises this agent after a restart.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_failing = False
        self.instance_id = instance_id(database)

    def load(self, owner: str) -> Held:
        """Return the stored answers of an owner; nothing when the file has those of another owner, which must never be shown."""
        try:
            return self._load(owner)
        except (sqlite3.Error, ValueError) as error:
            log.warning("store: the stored answers cannot be read (%s), and are not used.", type(error).__name__)
            return Held()

    def save(self, owner: str, held: Held, gone: Collection[str]) -> bool:
        """Store these names and answers in addition to earlier ones, and delete the names in `gone`.

        Returns:
            False when nothing could be written. The stored answers are then unchanged and consistent.
        """
        try:
            with self._database.transaction() as run:
                self._save(run, owner, held, gone)
        except sqlite3.Error as error:
            if not self._is_failing:
                log.warning(
                    "store: it cannot be written (%s). Presence is still shown; after a restart the agent reads all presences again.",
                    error,
                )
            self._is_failing = True
            return False
        if self._is_failing:
            log.info("store: it can be written again.")
        self._is_failing = False
        return True

    def _load(self, owner: str) -> Held:
        if self._database.meta("owner") != owner:
            return Held()
        answers = {
            user_id: Answer(decode_presence(presence), None) if presence is not None else Answer(None, Status(status))
            for user_id, presence, status in self._database.rows("SELECT user_id, presence, status FROM answers")
        }
        names = {
            name: Resolution(user_id, None if user_id is not None else Status(status))
            for name, user_id, status in self._database.rows("SELECT name, user_id, status FROM names")
        }
        return Held(token=self._database.meta("token"), names=names, answers=answers)

    def _save(self, run: sqlite3.Connection, owner: str, held: Held, gone: Collection[str]) -> None:
        if run.execute("SELECT value FROM meta WHERE key = 'owner'").fetchone() != (owner,):
            run.execute("DELETE FROM names")
            run.execute("DELETE FROM answers")
            _set_meta(run, "owner", owner)
        run.executemany("DELETE FROM names WHERE name = ?", [(name,) for name in gone])
        run.executemany(
            "INSERT OR REPLACE INTO names VALUES (?, ?, ?)",
            [(name, one.user_id, one.status) for name, one in held.names.items()],
        )
        run.executemany(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
            [
                (user_id, encode_presence(one.presence) if one.presence is not None else None, one.status)
                for user_id, one in held.answers.items()
            ],
        )
        if gone:
            run.execute(
                "DELETE FROM answers WHERE user_id NOT IN (SELECT user_id FROM names WHERE user_id IS NOT NULL)"
            )
        _set_meta(run, "token", held.token)


def _set_meta(run: sqlite3.Connection, key: str, value: str) -> None:
    run.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
