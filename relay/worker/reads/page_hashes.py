"""The hashes of each page's last content, so that a read returns only what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.graph.presence.presences import PageHashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from relay.core.presence import UserId
    from relay.core.reading.pages import PollPage


class SeenPages:
    """Page -> the hashes of its last content. A page is forgotten when one of its users gets an answer from elsewhere."""

    def __init__(self, page_of: Callable[[UserId], PollPage | None]) -> None:
        self._page_of = page_of
        self._seen: dict[PollPage, PageHashes] = {}

    def of(self, page: PollPage) -> PageHashes:
        """Return the hashes of this page's last content; empty for a new page."""
        return self._seen.setdefault(page, PageHashes())

    def forget(self, users: Iterable[UserId], accepted: PollPage | None = None) -> None:
        """Forget the pages of users whose answers changed, except the page `accepted`, which changed them."""
        for user in users:
            page = self._page_of(user)
            if page is not None and page is not accepted:
                self._seen.pop(page, None)

    def clear(self) -> None:
        """Forget all pages."""
        self._seen.clear()

    def sweep(self) -> None:
        """Forget pages without users."""
        self._seen = {page: seen for page, seen in self._seen.items() if page.users}
