"""The last time that the pages received a request through a proxy that no setting names, for `presence-relay check`. Not custody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.store.server import keys

if TYPE_CHECKING:
    from relay.store.server.connection import Store

_KEPT_S: Final = 24 * 3600


class Proxies:
    """The last time that requests carried `X-Forwarded-For` and no proxy was trusted."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def met(self) -> None:
        """Note such a request at the present time."""
        await self._store.vault_command("SET", keys.WEB_FORWARDED, int(datetime.now(UTC).timestamp()), "EX", _KEPT_S)

    async def last(self) -> datetime | None:
        """Return the last time; None when there was none within a day."""
        found = await self._store.vault_command("GET", keys.WEB_FORWARDED)
        return None if found is None else datetime.fromtimestamp(int(found), UTC)
