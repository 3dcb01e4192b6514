"""Opens the notifications of one tenant in the order of arrival, a few at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from relay.graph.push.notifications import NoContent, NotOpened, decrypt_notification
from relay.worker.push.metrics import NOT_OPENED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from relay.core.presence import Observation, UserId
    from relay.graph.push.certificates import Certificates
    from relay.store.presence.hints import Notified

_AT_ONCE: Final = 8
"""Notifications opened before other tasks run: 0.4 ms each."""


class Opening:
    """The notifications that are not opened yet. One task takes them."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._inbox: deque[Notified] = deque()
        self._is_open = False

    def put(self, hint: Notified) -> bool:
        """Queue notifications; return whether a task must be started to `take` them."""
        self._inbox.append(hint)
        return not self._is_open

    @property
    def is_empty(self) -> bool:
        """True if no notification waits to be taken."""
        return not self._inbox

    async def take(self) -> AsyncGenerator[Notified]:
        """Yield each hint to open. Ends when none is left, and immediately while another task takes."""
        if self._is_open:
            return
        self._is_open = True
        try:
            while self._inbox:
                yield self._inbox.popleft()
        finally:
            self._is_open = False

    async def open(self, hint: Notified) -> tuple[list[Observation], list[UserId]]:
        """Return the observations of a hint, and the users of notifications without content."""
        observations: list[Observation] = []
        unsaid: list[UserId] = []
        for number, item in enumerate(hint.items, start=1):
            try:
                observations.append(self._opened(item))
            except NoContent as basic:
                unsaid.append(basic.user_id)
            except NotOpened as error:
                NOT_OPENED.add(1, error.reason)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return observations, unsaid

    def _opened(self, item: bytes) -> Observation:
        try:
            return decrypt_notification(item, self._certificates)
        except NotOpened as error:
            if error.reason != "certificate":
                raise
        self._certificates.reload_if_changed(is_urgent=True)  # another worker may have registered a newer one
        return decrypt_notification(item, self._certificates)
