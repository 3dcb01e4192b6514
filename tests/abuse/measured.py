"""What an attack cost, and what `docs/limits.md` says that it may cost.

Each section of that page begins with one table:

    | what a peer does | memory | connections | time | setting |

`memory` is what the process may grow by in all (`8 MiB`), or a peer's share of it (`64 KiB each`); a dash when there is nothing to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

PAGE: Final = Path(__file__).parents[2] / "docs" / "limits.md"
_UNITS: Final = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        what: what the peer does.
        memory: what the page says of memory, as it stands there.
        connections: of connections, streams or calls.
        time: of time.
        setting: the settings named, or where else the limit stands.
    """

    what: str
    memory: str
    connections: str
    time: str
    setting: str

    @property
    def bytes(self) -> int:
        """The first amount of memory that is named.

        Raises:
            ValueError: none is.
        """
        found = re.search(r"([\d.,]+)\s*(KiB|MiB|GiB)", self.memory)
        if found is None:
            raise ValueError(f"{self.what}: {self.memory!r} names no memory")
        return int(float(found[1].replace(",", "")) * _UNITS[found[2]])


def rows(section: str) -> dict[str, Row]:
    """The first table below a heading of any level: what the peer does -> its row."""
    after = PAGE.read_text().split(f"# {section}\n", 1)[1]
    own = re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]
    table = re.search(r"(?:^\|.*\n)+", own, flags=re.MULTILINE)
    lines = [] if table is None else table[0].splitlines()[2:]
    found = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]
    return {row.what: row for row in found}


def rss(pid: int) -> int:
    """What a process holds in memory, in bytes."""
    return int(psutil.Process(pid).memory_info().rss)
