"""The records of a tenant's grants in the vault: their state, and the time of their last use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from relay.core.consent.grants import GrantState
from relay.store.custody.vault import TOUCH_EVERY, VersionConflict

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from relay.core.consent.grants import GrantHealth
    from relay.store.custody.vault import Grant, Vault


class GrantRecords:
    """Writes the health and use of grants. It remembers the last write, so that nothing is written twice."""

    def __init__(self, vault: Vault, patience: timedelta) -> None:
        """Write to a vault.

        Args:
            vault: the vault of all tenants.
            patience: time for which trouble that may pass is not written.
        """
        self._vault = vault
        self._patience = patience
        self._used: dict[str, datetime] = {}
        self._succeeded: dict[str, datetime] = {}
        self._touched: dict[str, tuple[datetime, bool]] = {}  # time of the write, and whether a success was known

    def note_used(self, account: str, now: datetime) -> None:
        """Note that a token of this account was used for a read."""
        self._used[account] = now

    def note_succeeded(self, account: str, now: datetime) -> None:
        """Note that Graph answered a read with this account's token."""
        self._succeeded[account] = now

    def is_news(self, grant: Grant, health: GrantHealth, now: datetime) -> bool:
        """Return whether the grant's health differs from its record and must be written."""
        if not health.is_told(now, self._patience):
            return False
        if health.state is not grant.state:
            return True
        return health.state is GrantState.DEAD and health.trouble != grant.last_error

    async def save(self, grant: Grant, health: GrantHealth) -> Grant | None:
        """Write a grant's health; return the grant as stored now, or None when it was changed meanwhile.

        Raises:
            StoreUnavailable, NotSaved: the health may not be written.
        """
        trouble = health.trouble
        code = trouble.code if trouble is not None else ""
        try:
            version = await self._vault.set_state(
                grant.tenant_id, grant.account_id, grant.version, health.state, code, trouble=trouble
            )
        except VersionConflict:
            return None
        last = trouble or grant.last_error
        return replace(grant, version=version, state=health.state, error=code, last_error=last)

    async def touch(self, grant: Grant, now: datetime) -> None:
        """Write the time of the grant's last use, from time to time."""
        account = str(grant.account_id)
        used, succeeded = self._used.get(account), self._succeeded.get(account)
        touched, knew_success = self._touched.get(account, (None, False))
        is_known = touched is not None and now - touched < TOUCH_EVERY and (knew_success or succeeded is None)
        if used is None or is_known:
            return
        self._touched[account] = now, succeeded is not None
        await self._vault.touch(grant.tenant_id, grant.account_id, used=used, succeeded=succeeded)
