"""Views of a Redis Cluster: the server of each slot, as one node or most nodes report it. (Pure.)"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SLOTS: Final = 16384
"""https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model"""

Place = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """Consecutive slots, both ends included, and the server that has them; None if its address is not known."""

    first: int
    last: int
    place: Place | None


SlotView = tuple[SlotRange, ...]
"""The slots in the view of one node, in order."""


def parse_slots(reply: Any, asked: Place) -> SlotView:
    """Return the view in a reply to `CLUSTER SLOTS`.

    Args:
        reply: the reply in RESP2.
        asked: the node that answered; its host replaces an empty host.

    Raises:
        ValueError: the reply is not valid.
    """
    try:
        ranges = []
        for first, last, primary, *_ in reply:
            host = (primary[0] or b"").decode() or asked[0]
            # `?` stands for an address that the node does not know, its own or another.
            ranges.append(SlotRange(int(first), int(last), None if host == "?" else (host, int(primary[1]))))
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError("is not an answer to CLUSTER SLOTS") from error
    if any(not 0 <= one.first <= one.last < SLOTS for one in ranges):
        raise ValueError("names slots that no cluster has")
    return tuple(sorted(ranges, key=lambda one: one.first))


def agreed(views: Sequence[SlotView], before: SlotView = ()) -> SlotView:
    """Return the view of most nodes, slot by slot. A tie goes to the view `before`, then to the first answer.

    A paused node claims its slots for a moment after it resumes, although a replica has replaced it: the others outvote
    it.
    """
    if len(set(views)) <= 1:
        return views[0] if views else ()
    owners = [owners_of(view) for view in views]
    believed = owners_of(before)
    found = []
    for slot, claims in enumerate(zip(*owners, strict=True)):
        votes = Counter(claims)
        most = max(votes.values())
        best = [place for place in votes if votes[place] == most]
        found.append(believed[slot] if believed[slot] in best else best[0])
    return tuple(_ranges(found))


def owners_of(view: SlotView) -> list[Place | None]:
    """Return the server of each slot."""
    owners: list[Place | None] = [None] * SLOTS
    for one in view:
        owners[one.first : one.last + 1] = [one.place] * (one.last - one.first + 1)
    return owners


def _ranges(owners: Sequence[Place | None]) -> Iterator[SlotRange]:
    first = 0
    for slot in range(1, SLOTS + 1):
        if slot == SLOTS or owners[slot] != owners[first]:
            if owners[first] is not None:
                yield SlotRange(first, slot - 1, owners[first])
            first = slot
