"""Notice a new version of the file of colleagues. One that cannot be used leaves the old one in force."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from suite.agent.files import FileWatch, read_bounded
from suite.agent.settings.reading import LineFault
from suite.agent.users.reading import MOST_BYTES, UsersFile, load_users
from suite.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


class UsersWatch:
    """The file of colleagues. Somebody calls `look` now and then, in a thread: a large file takes a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = FileWatch((path,))
        self._digest = self._digest_now()

    def load(self) -> UsersFile:
        """Read the file, whether or not it changed."""
        return load_users(self.path)

    def look(self) -> UsersFile | None:
        """Return what the file says when its content changed; None otherwise.

        A file that was emptied cannot be used: everybody would vanish from the consoles.
        """
        if not self._files.is_due():
            return None
        digest = self._digest_now()
        if digest == self._digest:
            return None
        self._digest = digest
        found = self.load()
        if found.colleagues == ():
            emptied = LineFault(0, "The file of colleagues has nobody any more.", breaks=True)
            return replace(found, colleagues=None, faults=(emptied, *found.faults))
        return found

    def _digest_now(self) -> bytes:
        try:
            return hashlib.blake2b(read_bounded(self.path, "file of colleagues", MOST_BYTES)).digest()
        except ConfigError as error:
            return str(error).encode()
