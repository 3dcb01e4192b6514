"""One SQLite file for one agent.

A damaged file is renamed, and replaced with an empty one. A file that another agent has open is refused, because two agents would
overwrite each other's data. Each change is one transaction, so if the agent is killed it is stored completely or not at all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING, Any, Final

from suite.errors import ConfigError
from suite.system import is_locked_by_another, make_private, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_VERSION: Final = 1
_SHARED_LOCK: Final = 0x40000002, 510
"""The part of a file that SQLite locks: first byte and length, of its file format. https://www.sqlite.org/src/file/src/os.h"""
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, user_id TEXT, status INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (user_id TEXT PRIMARY KEY, presence TEXT, status INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (subject TEXT, stamp INTEGER, agent TEXT, text TEXT NOT NULL, author TEXT NOT NULL, written_ms INTEGER NOT NULL,
    lifetime_s INTEGER, ends_ms INTEGER, PRIMARY KEY (subject, stamp, agent)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS colleagues (id TEXT PRIMARY KEY, login TEXT, upn TEXT, sip TEXT, extension TEXT, voicemail TEXT) WITHOUT ROWID;
"""
"""A later version only adds tables: it completes the file of an older agent, and an older agent can still use the file."""


class StoreInUse(ConfigError):
    """Another agent has the file open."""


class Database:
    """The open file of one agent. Transactions of several threads wait for each other.

    Attributes:
        set_aside: the new name of a damaged file that was replaced on opening; empty when there was none.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Create it, readable by its owner only, if it does not exist.

        Raises:
            StoreInUse: another agent has it open.
            ConfigError: it can neither be opened nor created.
        """
        self.set_aside = ""
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not stat.S_ISREG(path.stat().st_mode):
                raise ConfigError(f"The store {path} is not a regular file.")
            make_private(path)
            try:
                self._connection = _opened(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
                    raise
                self.set_aside = _set_aside(path)
                self._connection = _opened(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"The store {path} cannot be used: {error}.") from None

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Change the file, as a whole or not at all.

        Args:
            durable: wait until the data is on disk, so that it survives a power failure. Without it, the data survives a kill of the
                agent.

        Raises:
            sqlite3.Error: nothing was changed.
        """
        with self._lock:
            if durable:
                self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                if durable:
                    self._connection.execute("PRAGMA synchronous = NORMAL")

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def meta(self, key: str) -> str:
        """Return the value of a key in the file; empty when there is none."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else ""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def instance_id(database: Database) -> str:
    """Return the id of this agent, which stays the same over restarts. Create it on first use."""
    found = database.meta("instance_id")
    made = found or secrets.token_hex(16)
    if not found:
        with contextlib.suppress(sqlite3.Error), database.transaction() as run:
            run.execute("INSERT INTO meta VALUES ('instance_id', ?)", (made,))
    return made


def inspect_database(path: Path) -> bool:
    """Return True when the file exists and an agent can open it, and False when there is none. Writes nothing.

    Never call it for a file that this process has open: the process would lose its locks.

    Raises:
        StoreInUse: another agent has it open.
        ConfigError: this account cannot use it.
        OSError: it cannot be examined.
    """
    if not path.exists():
        return False
    if not stat.S_ISREG(path.stat().st_mode):
        raise ConfigError(f"The store {path} is not a regular file.")
    if not os.access(path, os.R_OK | os.W_OK):
        raise ConfigError(f"The store {path} cannot be written by this account.")
    if is_locked_by_another(path, *_SHARED_LOCK):
        raise StoreInUse(f"The store {path} is in use by another agent.")
    return True


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0.2, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")  # takes the lock, which stays until the connection is closed
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [checked] = connection.execute("PRAGMA quick_check(1)").fetchone()
        _check(version in (0, _VERSION) and checked == "ok")
        for statement in filter(None, map(str.strip, _TABLES.split(";"))):
            connection.execute(statement)
        if version == 0:
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" in str(error):
            raise StoreInUse(f"The store {path} is in use by another agent.") from None
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _check(is_well: bool) -> None:  # noqa: FBT001
    if not is_well:
        raise sqlite3.DatabaseError("It is of another version, or damaged.")


def _is_damage(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))


def _set_aside(path: Path) -> str:
    """Rename a damaged file, delete the files that SQLite keeps with it, and return the new name."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(3)}")
    replace_file(path, aside)
    for beside in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + beside).unlink()
    make_private(path)
    log.warning("store: the file is damaged. It is kept as %s, and the agent begins with an empty one.", aside.name)
    return aside.name
