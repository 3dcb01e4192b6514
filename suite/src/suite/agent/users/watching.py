"""Notice a new version of the file of colleagues. If it cannot be used, the old one stays in force."""

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
    """The file of colleagues. Call `look` regularly, in a thread, because a large file takes a second."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = FileWatch((path,))
        self._digest = self._digest_now()

    def load(self) -> UsersFile:
        """Read the file, even if it has not changed."""
        return load_users(self.path)

    def look(self) -> UsersFile | None:
        """Return the new content of the file; None when it is unchanged.

        A file that was emptied is refused, because all colleagues would vanish from the consoles.
        """
        if not self._files.is_due():
            return None
        digest = self._digest_now()
        if digest == self._digest:
            return None
        self._digest = digest
        found = self.load()
        if found.colleagues == ():
            emptied = LineFault(0, "The file of colleagues has no colleagues any more.", breaks=True)
            return replace(found, colleagues=None, faults=(emptied, *found.faults))
        return found

    def _digest_now(self) -> bytes:
        try:
            return hashlib.blake2b(read_bounded(self.path, "file of colleagues", MOST_BYTES)).digest()
        except ConfigError as error:
            return str(error).encode()
