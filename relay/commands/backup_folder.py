"""A folder that keeps the newest backups, in files named by their time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_NAME: Final = re.compile(r"presence-relay-\d{8}T\d{6}Z\.backup")


def file_for(folder: Path, now: datetime) -> Path:
    """Return the file for a backup made now. The order of names is the order of times."""
    return folder / f"presence-relay-{now:%Y%m%dT%H%M%SZ}.backup"


def superseded(folder: Path, keep: int) -> list[Path]:
    """Return the backups beyond the newest `keep`, oldest first. Ignores other files in the folder."""
    ours = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    return ours[: max(0, len(ours) - keep)]
