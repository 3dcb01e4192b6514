"""A page: the versions of the note about one colleague, newest first. The first is the note, the others are its history."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from suite.agent.notes.values import HISTORY_S, MOST_OF_ONE, Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Page = tuple[Kept, ...]
"""Versions of one subject, newest first; empty when there was never a note."""


def merged(page: Page, arriving: Iterable[Kept], now: float) -> Page:
    """Merge arriving versions, in any order, into a page.

    Existing versions stay unchanged. All but the newest end now, if they have not ended before. Versions that are too old or too many
    are removed, but never the newest: without it, an agent that was disconnected could bring an older one back.
    """
    found = {kept.version.id: kept for kept in page}
    for kept in arriving:
        before = found.get(kept.version.id)
        if before is None or kept.version.order > before.version.order:
            found[kept.version.id] = kept
    return tuple(_in_force(sorted(found.values(), key=lambda kept: kept.version.order, reverse=True), now))


def _in_force(ordered: list[Kept], now: float) -> Iterator[Kept]:
    if ordered:
        yield _newest(ordered[0], now)
    earlier = (ended for kept in ordered[1:] if not (ended := _ended(kept, now)).is_forgotten(now))
    yield from islice(earlier, MOST_OF_ONE - 1)


def _newest(kept: Kept, now: float) -> Kept:
    version, ends = kept.version, kept.ends
    if version.is_cleared:
        kept = _ended(kept, now)
    elif version.lifetime_s is not None:  # also after the machine's clock was set back over a restart
        latest = now + version.lifetime_s
        kept = Kept(version, latest if ends is None else min(ends, latest))
    return _erased(kept) if kept.is_forgotten(now) else kept


def _ended(kept: Kept, now: float) -> Kept:
    return Kept(kept.version, now if kept.ends is None else min(kept.ends, now))


def _erased(kept: Kept) -> Kept:
    """Return a version without text, author and time."""
    return Kept(replace(kept.version, text="", author="", written_ms=0), kept.ends)


def shown(page: Page, now: float) -> Kept | None:
    """Return the note to show; None when there is none, or it was cleared or has expired."""
    if not page or page[0].version.is_cleared or page[0].has_ended(now):
        return None
    return page[0]


def history(page: Page, now: float) -> list[Kept]:
    """Return the versions of the last day and the one in force, newest first."""
    return [kept for kept in page if not kept.is_forgotten(now)]


def newest_stamp(page: Page) -> int:
    """Return the highest stamp of a page; 0 for an empty page."""
    return page[0].version.stamp if page else 0


def next_look(page: Page, now: float) -> float | None:
    """Return the next time at which a version of a page expires or is forgotten; None when there is none."""
    times = [kept.ends for kept in page[:1] if kept.ends is not None and kept.ends > now]
    times += [kept.ends + HISTORY_S for kept in page if kept.ends is not None and _has_words(kept)]
    return min(times, default=None)


def _has_words(kept: Kept) -> bool:
    return kept.version.written_ms != 0
