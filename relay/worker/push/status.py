"""The tenant's push status for operators: the number of pushed users, and the reason why others are not pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.store.presence.push import PushStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from relay.worker.push.book import SubscriptionBook


class PushStatusWriter:
    """Stores the push status when it has changed."""

    def __init__(self, put: Callable[[PushStatus], Awaitable[None]], book: SubscriptionBook) -> None:
        """Begin without a written status; `put` stores a status, `book` has the subscriptions."""
        self._put = put
        self._book = book
        self._status = PushStatus()
        self._is_written = False

    async def write(self, *, pushed: int, polled: int) -> None:
        """Store the status.

        Args:
            pushed: number of covered users who are read.
            polled: number of other users who are read.
        """
        troubles = [grant.standing.trouble for grant in self._book if grant.standing.trouble is not None]
        suspects = (grant.standing.held for grant in self._book if grant.standing.is_suspect)
        status = PushStatus(
            pushed=pushed,
            polled=polled,
            silent=sum(len(one.users) for one in suspects if one is not None),
            reason=troubles[0].value if troubles else "",
        )
        if status == self._status and self._is_written:
            return
        self._status, self._is_written = status, True  # now, because `forget` may be called while it is being stored
        try:
            await self._put(status)
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Write the status again next time, because the store may have lost it."""
        self._is_written = False
