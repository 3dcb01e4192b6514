"""Private files that every user of the machine may read: key ring, private keys, passwords.

Access by a file's group is accepted: Kubernetes gives mounted secrets to a group (`fsGroup`), and others share a group on purpose.
So is a file with open permissions in a folder that only its owner may enter.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Exposed:
    """A private file that other users can read or write."""

    name: str
    """The setting that names it."""
    path: Path
    mode: int
    """Its permissions, as `chmod` takes them."""

    @property
    def remedy(self) -> str:
        """The remedy: a command, or settings of the pod, that close the file to others."""
        if _is_mounted_secret(self.path):
            return "set defaultMode: 0440 on the volume, and fsGroup in the pod's securityContext"
        return f"chmod o-rwx {self.path}"

    @property
    def text(self) -> str:
        """The finding and its remedy, in one line."""
        return (
            f"{self.name}: {self.path} has mode {self.mode:04o}: every user of this machine can read it; {self.remedy}"
        )


def exposed(files: Iterable[tuple[str, Path]]) -> list[Exposed]:
    """Return the private files that other users can read, each with the setting that names it. A missing file is not one of them."""
    found = []
    for name, path in files:
        try:
            real = path.resolve(strict=True)
            mode = stat.S_IMODE(real.stat().st_mode)
            is_reached = mode & _OTHERS and all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
        except OSError:
            continue
        if is_reached:
            found.append(Exposed(name, path, mode))
    return found


def _is_mounted_secret(path: Path) -> bool:
    """Return True for a file in a volume that Kubernetes updates: its entries lead into a folder `..2026_01_31_…`."""
    return any(part.startswith("..") and part != ".." for part in path.resolve().parts)
