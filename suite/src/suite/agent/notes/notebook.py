"""The notebook: all pages of one agent, within limits.

A change is planned, written to disk, and then applied. A plan describes the differences and changes nothing.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

from suite.agent.notes.page import Page, history, merged, newest_stamp, next_look, shown
from suite.agent.notes.values import MOST_EARLIER, MOST_SUBJECTS, Kept, Version, VersionId, next_stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from suite.names import Key


@dataclass(slots=True)
class Plan:
    """A change of the notebook that has not been applied yet.

    Attributes:
        pages: subject -> its new page, for each page that changes; an empty page is removed.
        put: versions to write to disk, new and changed ones.
        news: the versions among them that were on no page before.
        gone: versions to delete from disk.
        refused: versions of new subjects for which there is no room.
    """

    pages: dict[Key, Page] = field(default_factory=dict)
    put: list[Kept] = field(default_factory=list)
    news: list[Kept] = field(default_factory=list)
    gone: list[VersionId] = field(default_factory=list)
    refused: list[VersionId] = field(default_factory=list)


class Notebook:
    """All pages of one agent.

    Attributes:
        agent: the id of the agent, which is part of its versions.
    """

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self._pages: dict[Key, Page] = {}
        self._earlier: dict[VersionId, None] = {}
        """Versions that are history, roughly in the order in which they became history."""
        self._looks: list[tuple[float, Key]] = []

    @property
    def pages(self) -> Mapping[Key, Page]:
        """Return subject -> its page; a subject without one never had a note."""
        return self._pages

    def draft(self, subject: Key, text: str, author: str, lifetime_s: int | None, now_ms: int, now: float) -> Kept:
        """Return a version that is newer than the note of a subject, without adding it. An empty text clears the note.

        Args:
            subject: the subject of the note.
            text: the text, cleaned.
            author: the author, cleaned.
            lifetime_s: seconds after which it expires; None for never.
            now_ms: the wall clock, in milliseconds since 1970.
            now: the monotonic clock in seconds, as in all methods here.
        """
        version = Version(
            subject=subject,
            stamp=next_stamp(now_ms, newest_stamp(self._pages.get(subject, ()))),
            agent=self.agent,
            text=text,
            author=author,
            written_ms=now_ms,
            lifetime_s=lifetime_s,
        )
        return Kept(version, now if version.is_cleared else None if lifetime_s is None else now + lifetime_s)

    def plan(self, arriving: Iterable[Kept], now: float) -> Plan:
        """Return the change for arriving versions, including changes because time has passed."""
        plan = Plan()
        by_subject: dict[Key, list[Kept]] = {}
        for kept in arriving:
            by_subject.setdefault(kept.version.subject, []).append(kept)
        rooms = self._rooms(plan, by_subject, now)
        for subject, versions in by_subject.items():
            if subject in self._pages or next(rooms, False):
                plan.pages[subject] = merged(self._pages.get(subject, ()), versions, now)
            else:
                plan.refused += [kept.version.id for kept in versions]
        return self._completed(plan)

    def plan_aging(self, subjects: Iterable[Key], now: float) -> Plan:
        """Return the change of these pages because time has passed."""
        return self._completed(Plan({subject: merged(self._pages.get(subject, ()), (), now) for subject in subjects}))

    def apply(self, plan: Plan, now: float) -> None:
        """Apply a plan. No other plan may have been applied since it was made."""
        for version_id in plan.gone:
            self._earlier.pop(version_id, None)
        for subject, page in plan.pages.items():
            if page:
                self._pages[subject] = page
            else:
                self._pages.pop(subject, None)
            for kept in page[:0:-1]:
                self._earlier.setdefault(kept.version.id)
            self._look_at(subject, now)

    def take_due(self, now: float) -> list[Key]:
        """Return the subjects whose page has a version that expired or must be forgotten, each once."""
        due: dict[Key, None] = {}
        while self._looks and self._looks[0][0] <= now:
            due[heapq.heappop(self._looks)[1]] = None
        for subject in due:
            self._look_at(subject, now)
        return list(due)

    def shown(self, subject: Key, now: float) -> Kept | None:
        """Return the note about a subject; None when there is none."""
        return shown(self._pages.get(subject, ()), now)

    def history(self, subject: Key, now: float) -> list[Kept]:
        """Return a subject's versions of the last day, newest first."""
        return history(self._pages.get(subject, ()), now)

    def versions(self) -> Iterator[Kept]:
        """Yield every version."""
        for page in self._pages.values():
            yield from page

    def find(self, version_id: VersionId) -> Kept | None:
        """Return a version; None when it is on no page."""
        page = self._pages.get(version_id[0], ())
        return next((kept for kept in page if kept.version.id == version_id), None)

    def _look_at(self, subject: Key, now: float) -> None:
        """Schedule the next check of a page."""
        look = next_look(self._pages.get(subject, ()), now)
        if look is not None:
            # An overdue page could not be written to disk. Try again in a minute.
            heapq.heappush(self._looks, (look if look > now else now + 60.0, subject))
        if len(self._looks) > 4 * len(self._pages) + 100:
            looks = {subject: look for look, subject in sorted(self._looks, reverse=True)}
            self._looks = [(look, subject) for subject, look in looks.items()]
            heapq.heapify(self._looks)

    def _rooms(self, plan: Plan, kept_anyway: Iterable[Key], now: float) -> Iterator[bool]:
        """Yield True for each new page that there is room for. Without room, drop the page whose note ended longest ago."""
        yield from repeat(True, MOST_SUBJECTS - len(self._pages))  # noqa: FBT003
        ended = [(page[0].ends or 0.0, subject) for subject, page in self._pages.items() if page[0].has_ended(now)]
        staying = set(kept_anyway)
        for _, subject in sorted(ended):
            if subject not in staying:
                plan.pages[subject] = ()
                yield True

    def _completed(self, plan: Plan) -> Plan:
        """Add the differences between current and planned pages to the plan."""
        earlier = len(self._earlier)
        for subject, page in list(plan.pages.items()):
            before = {kept.version.id: kept for kept in self._pages.get(subject, ())}
            after = {kept.version.id: kept for kept in page}
            if before == after:
                del plan.pages[subject]
                continue
            plan.put += [kept for version_id, kept in after.items() if before.get(version_id) != kept]
            plan.news += [kept for version_id, kept in after.items() if version_id not in before]
            plan.gone += [version_id for version_id in before if version_id not in after]
            earlier += max(len(after) - 1, 0) - max(len(before) - 1, 0)
        self._drop_oldest(plan, earlier - MOST_EARLIER)
        return plan

    def _drop_oldest(self, plan: Plan, many: int) -> None:
        """Remove this many of the oldest versions of the history."""
        gone = set(plan.gone)
        for version_id in self._earlier:
            if many <= 0:
                return
            if version_id not in gone:
                many -= 1
                plan.gone.append(version_id)
                page = plan.pages.get(version_id[0], self._pages.get(version_id[0], ()))
                plan.pages[version_id[0]] = tuple(kept for kept in page if kept.version.id != version_id)
