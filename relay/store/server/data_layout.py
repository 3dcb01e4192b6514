"""The version of the data in Redis. A release that does not know the version of the data refuses to start.

A change that earlier releases ignore, such as another key or field, keeps the number: two releases then run side by
side during a rolling update. A release whose data an earlier release would misread increases `NEWEST`. Its changelog
says whether it converts older data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.store.server import keys
from relay.store.server.preflight import first_written

if TYPE_CHECKING:
    from relay.store.server.scripting import Execute

OLDEST: Final = 1
"""The oldest layout that this release reads."""
NEWEST: Final = 1
"""The newest layout that this release reads, and the one that it writes."""
_FIRST: Final = b"1"
"""The layout of data without a number."""


async def layout_faults(execute: Execute, where: str) -> list[str]:
    """Return a fault if the servers hold data of a layout that this release does not know."""
    found = await first_written(execute, keys.LAYOUT, _FIRST)
    fault = layout_fault(found or _FIRST, OLDEST, NEWEST)
    return [f"{where}: {fault}"] if fault else []


def layout_fault(found: bytes, oldest: int, newest: int) -> str:
    """Return why a release that reads the layouts `oldest` to `newest` cannot use this layout; empty if it can."""
    shown = found.decode(errors="replace")[:20]
    if not found.isdigit() or int(found) > newest:
        return (
            f"holds data of layout {shown}, and this release reads up to {newest}. A newer release has used it: run that "
            "release, or restore a backup of this one into an empty server"
        )
    if int(found) < oldest:
        return (
            f"holds data of layout {shown}, and this release reads {oldest} and newer. Run the releases between first; "
            "the changelog says which"
        )
    return ""
