"""The hashes of each page's last content, so that a read returns only what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.graph.presence.presences import PageHashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from relay.core.presence import UserId
    from relay.core.reading.pages import PollPage


class SeenPages:
    """Page -> what it said last. A page is forgotten as soon as one of its users has another answer by another way."""

    def __init__(self, page_of: Callable[[UserId], PollPage | None]) -> None:
        self._page_of = page_of
        self._seen: dict[PollPage, PageHashes] = {}

    def of(self, page: PollPage) -> PageHashes:
        """Return what this page said last; empty for a new one."""
        return self._seen.setdefault(page, PageHashes())

    def forget(self, users: Iterable[UserId], accepted: PollPage | None = None) -> None:
        """Forget the pages of users whose answers changed, but not the page `accepted`, which is what changed them."""
        for user in users:
            page = self._page_of(user)
            if page is not None and page is not accepted:
                self._seen.pop(page, None)

    def clear(self) -> None:
        """Forget all pages."""
        self._seen.clear()

    def sweep(self) -> None:
        """Forget pages that have no users any more."""
        self._seen = {page: seen for page, seen in self._seen.items() if page.users}
