"""Decides whether the store's history is still the one that the streams have seen.

epoch absent or of another replid    no worker vouches for the content: wait for one
another epoch                        history was lost: streams are reset
position above the newest entry      likewise
entries missing (a gap)              history is whole, but was not read: streams are read again from there
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.core.revision import is_of
from relay.core.watching.values import Position
from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.core.revision import Epoch, Revision
    from relay.edge.hub.tenants import TenantView
    from relay.store.presence.presences import Presences
    from relay.store.server.connection import Store


@dataclass(slots=True, eq=False)
class Partition:
    """One partition in use, and how far it was delivered to its streams.

    Attributes:
        position: None until its epoch is known.
        gap: entries are missing; nothing is delivered until the history was checked.
        repair: contact times and keys may have changed in missed entries.
    """

    number: int
    views: dict[TenantView, None] = field(default_factory=dict)
    position: Position | None = None
    gap: bool = False
    repair: bool = False


class Verdict(enum.Enum):
    """The judgement on a partition's history."""

    UNVOUCHED = enum.auto()
    FIRST = enum.auto()
    LOST = enum.auto()
    MISSED = enum.auto()
    SAME = enum.auto()


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """A verdict, and the position from which to continue, if any."""

    verdict: Verdict
    position: Position | None = None


def vouched(epoch: Epoch | None, replid: str) -> bool:
    """Return whether an epoch was declared in the server's current history.

    Workers of earlier releases showed the replication id itself; a worker of this one declares a new epoch when it takes over.
    """
    return epoch is not None and (is_of(epoch, replid) or epoch.endswith(f".{replid}"))


def judge(
    partition: Partition, before: Revision | None, epoch: Epoch | None, last: Revision, replid: str
) -> HistoryFinding:
    """Judge a partition by the store's answers. (Pure.)

    Args:
        partition: as it is now.
        before: its revision before the store was asked.
        epoch: what the store says.
        last: its newest entry.
        replid: its server's history.
    """
    if epoch is None or not vouched(epoch, replid):
        return HistoryFinding(Verdict.UNVOUCHED)
    position = Position(epoch, last)
    if partition.position is None:
        return HistoryFinding(Verdict.FIRST, position)
    if epoch != partition.position.epoch or (before is not None and last < before):
        return HistoryFinding(Verdict.LOST, position)
    return HistoryFinding(Verdict.MISSED, position) if partition.gap else HistoryFinding(Verdict.SAME)


class History:
    """Asks the store about the history of partitions."""

    def __init__(self, store: Store, presences: Presences) -> None:
        self._store = store
        self._presences = presences

    async def examine(self, partitions: Sequence[Partition]) -> list[tuple[Partition, HistoryFinding]]:
        """Return a finding about the history of each partition, in one round trip. Nothing is awaited between judging and returning.

        Partitions whose server is unavailable, or is not a primary, are absent until a later check. An epoch that came
        from a different server than the replication id is not trusted; the next check asks again.

        Must not run concurrently: a finding is about the position that the partition had.

        Raises:
            StoreUnavailable: the store does not answer, or no server is a primary.
        """
        before = [partition.position.revision if partition.position else None for partition in partitions]
        numbers = [partition.number for partition in partitions]
        found = await self._presences.histories(numbers)
        if partitions and not found:
            raise StoreUnavailable("The store's server is not the primary")
        return [
            (partition, judge(partition, revision, now.epoch, now.last, now.replid))
            for partition, revision in zip(partitions, before, strict=True)
            if (now := found.get(partition.number)) is not None
        ]
