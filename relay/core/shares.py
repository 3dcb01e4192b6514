"""Decides which partitions a worker is to have; taking them is the worker's. (Pure.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def to_take(mine: Collection[int], partitions: int) -> list[int]:
    """Return the partitions that a worker tries to take when it looks.

    Args:
        mine: those that it has.
        partitions: how many there are; they are numbered from 0.

    At present all that it has not: whoever comes first has everything, and whoever comes later is a standby.
    """
    return [partition for partition in range(partitions) if partition not in mine]
