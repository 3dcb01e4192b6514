"""Notice a new version of the settings. A broken one is reported once, and the old one stays in force."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from suite.agent.files import FileWatch
from suite.agent.settings.load import LoadedSettings, load
from suite.agent.settings.reading import LineFault

if TYPE_CHECKING:
    from pathlib import Path


class SettingsWatch:
    """The settings in force, and the files that they are from. Call `look` every `LOOK_EVERY_S`.

    Attributes:
        in_force: the newest version that can be used.
    """

    def __init__(self, path: Path, loaded: LoadedSettings) -> None:
        self.in_force = loaded
        self._path = path
        self._last = loaded
        self._files = FileWatch((path, *loaded.files))

    def look(self) -> LoadedSettings | None:
        """Check the files, and return their new content; None when it is unchanged.

        The result has no settings when the new version is broken; `in_force` then stays as it was.
        """
        if not self._files.is_due():
            return None
        loaded = _not_emptied(load(self._path), self.in_force)
        self._files.follow((self._path, *loaded.files))
        if (loaded.settings, loaded.faults) == (self._last.settings, self._last.faults):
            return None
        self._last = loaded
        if loaded.settings is not None:
            self.in_force = loaded
        return loaded


def _not_emptied(loaded: LoadedSettings, before: LoadedSettings) -> LoadedSettings:
    """Refuse a file that lost all its settings: an editor may be writing it. `Enable = 0` switches Teams presence off."""
    if loaded.settings is None or loaded.lines or not before.lines:
        return loaded
    emptied = LineFault(0, "It has no settings any more. To switch Teams presence off, write Enable = 0.", breaks=True)
    return replace(loaded, settings=None, faults=(emptied, *loaded.faults))
