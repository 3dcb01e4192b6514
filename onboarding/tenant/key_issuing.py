"""Makes and rotates suite keys, with an order of writes in which an interruption at any point is harmless.

    1  key        provisional, on disk: it expires within a quarter of an hour. Interrupted here, its text is lost
    2  session    the text is in the sealed session, on disk; of two concurrent requests one gets here, the other revokes its key
       ── the page that shows it is requested ──
    3  key        in force without an expiry, and recorded in the audit log
    4  old key    gets its expiry, if the new key replaces it
    5  session    the text is deleted; of two concurrent pages one gets here
       ── the text is shown ──

Steps 3 to 5 can be repeated, so requesting the page again continues where it stopped. A key is shown only when it is in force, and
no old key ends before its successor could be read. A key that waits to be shown ends when another is made instead.
Interrupted after 5, the key is in force but was never seen: as with any lost page, the user replaces it by another key, which ends
it at once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from onboarding.tenant.sessions import FreshKey
from relay.core.audit.events import key_made, key_revoked, key_rotated

if TYPE_CHECKING:
    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.sessions import Sessions
    from relay.store.custody.suite_keys import SuiteKeys

log = structlog.get_logger(__name__)

_TRIES: Final = 20
"""Attempts that a session remembers: more than can occur between two loads of a page."""


class KeyIssuer:
    """Makes suite keys for a signed-in person. Raises the store's errors; repeating is safe."""

    def __init__(self, suite_keys: SuiteKeys, sessions: Sessions) -> None:
        self._suite_keys = suite_keys
        self._sessions = sessions

    async def make(
        self, visitor: Visitor, label: str, attempt: str, rotates: str = "", overlap: timedelta = timedelta()
    ) -> None:
        """Make a key for the session to show (steps 1 and 2). Repeating an attempt makes no second key.

        Args:
            visitor: the person who makes it.
            label: the name of the suite.
            attempt: the id of the form that was sent.
            rotates: the key that it replaces; empty: none.
            overlap: how long the replaced key stays valid after the new one is shown.
        """
        session = visitor.session
        if attempt in session.made:
            return
        if session.fresh is not None and session.fresh.text:
            # Made before and never shown: without its text, the key is unusable.
            lost = session.fresh
            await self._suite_keys.revoke(lost.key_id, key_revoked(visitor.actor, lost.key_id, lost.label))
        key = await self._suite_keys.issue(visitor.tenant_id, label, provisional=True)
        fresh = FreshKey(key.key_id, key.text, label, rotates, overlap.total_seconds())
        made = (*session.made, attempt)[-_TRIES:]
        if await self._sessions.change(visitor.held, fresh=fresh, made=made) is None:
            await self._suite_keys.revoke(key.key_id)

    async def show(self, visitor: Visitor) -> str:
        """Put the last key in force and return its text (steps 3 to 5); empty when it was shown before or has ended."""
        fresh = visitor.session.fresh
        if fresh is None or not fresh.text:
            return ""
        by = visitor.actor
        entry = key_rotated(by, fresh.label, fresh.rotates) if fresh.rotates else key_made(by, fresh.label)
        if not await self._suite_keys.keep(visitor.tenant_id, fresh.key_id, entry):
            return ""
        if fresh.rotates:
            overlap = timedelta(seconds=fresh.overlap_s)
            await self._suite_keys.end_later(visitor.tenant_id, fresh.rotates, overlap)
        forgotten = FreshKey(fresh.key_id, "", fresh.label, fresh.rotates, fresh.overlap_s)
        if await self._sessions.change(visitor.held, fresh=forgotten, flash=None) is None:
            return ""  # another page was faster and shows it
        log.info("suite_key_issued", tenant_id=visitor.tenant_id, key_id=fresh.key_id, rotates=fresh.rotates)
        return fresh.text
