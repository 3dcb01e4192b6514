"""Continues the traces of changes in the streams."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from relay.edge import spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.edge.hub.tenants import TenantView
    from relay.store.presence.entries import ChangedAnswers

_ENTRIES: Final = 16
"""Entries of one portion that are followed at most."""
_LOOKED_AT: Final = 64
"""Streams, and answers of the entry, that are searched for ones to follow."""
_FOLLOWED: Final = 4
"""Streams whose writes have spans; the writes of other streams take about as long."""


def follow(traced: Sequence[tuple[TenantView, ChangedAnswers]]) -> None:
    """Continue the traces of entries that were just delivered to the streams of their tenants; only of some if there are many."""
    for view, entry in traced[:_ENTRIES]:
        _follow(view, entry)


def _follow(view: TenantView, entry: ChangedAnswers) -> None:
    with spans.DELIVER.follows(entry.trace) as span:
        if not span:
            return
        span.note("relay.answers", len(entry.answers))
        span.note("relay.streams", len(view.streams))
        span.note_tenant(view.tenant_id)
        followed = 0
        for stream in islice(view.streams, _LOOKED_AT):
            unsent = stream.watch.outbox.values
            user_id = next((user for user, _ in islice(entry.answers, _LOOKED_AT) if user in unsent), None)
            if user_id is not None:
                stream.follow(user_id, span.carried)
                followed += 1
            if followed == _FOLLOWED:
                break
