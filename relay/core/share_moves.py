"""The partitions that one worker takes and hands over, so that shares become fair in few moves. (Pure.)

The plan itself is in `shares`. This module adds the timing: hand-overs go one at a time, so that new workers cause no storm
of moves, and a partition whose planned owner does not take it may be taken by any worker.
"""

from __future__ import annotations

from typing import Final

from relay.core.shares import ShareTable, to_give, to_take

_PROMPT: Final = 0.25
"""The part of a lease within which the planned worker takes a free partition. When two workers die one after the other,
the partitions of the first are read again long before the registration of the second expires."""


class ShareMoves:
    """The moves of one worker, decided from the tables that it sees. Times are in seconds of the worker's monotonic clock.

    Attributes:
        table: the newest table.
    """

    def __init__(self, me: str, partitions: int, lease_s: float) -> None:
        """Begin without having seen any table.

        Args:
            me: the worker's name.
            partitions: number of partitions.
            lease_s: time after which a worker that does not renew its registration counts as dead.
        """
        self.table = ShareTable(partitions)
        self._me = me
        self._lease_s = lease_s
        self._free_since: dict[int, float] = {}
        self._given = (0, float("-inf"))  # the partition that was handed over last, and the time

    def see(self, table: ShareTable, now: float) -> None:
        """Use a newer table."""
        self.table = table
        self._free_since = {partition: self._free_since.get(partition, now) for partition in table.free}

    def to_take(self, now: float) -> list[int]:
        """Return the free partitions that this worker is to take.

        Any worker may take a partition that stays free: the planned worker has died or cannot take it, or a worker of
        an earlier release owns it.
        """
        planned = set(to_take(self.table, self._me))
        return [
            partition
            for partition, since in self._free_since.items()
            if partition in planned or now - since >= _PROMPT * self._lease_s
        ]

    def to_give(self, now: float) -> int | None:
        """Return the partition that this worker is to hand over now; None for none.

        Also None while the last one is not taken yet, for one lease at most: a receiver that has stopped gets no second
        partition.
        """
        partition, at = self._given
        is_moving = now - at < self._lease_s
        if is_moving and self.table.owner(partition) in (None, self._me):
            return None
        return next(iter(to_give(self.table, self._me, is_moving=is_moving)), None)

    def gave(self, partition: int, now: float) -> None:
        """Note that a partition was handed over."""
        self._given = partition, now
