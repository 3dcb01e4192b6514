"""How the store is at present, looked at once a second, for whoever asks whether the process is ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import StoreUnavailable

if TYPE_CHECKING:
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0


class Sight:
    """What the last look at a store found. A store that passed the preflight is well until a look says otherwise."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trouble = ""

    def trouble(self) -> str:
        """Why the store cannot be worked with at present; empty when it can."""
        return self._trouble

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once. Never takes longer than one command may."""
        try:
            async with asyncio.timeout(self._store.settings.operation_timeout.total_seconds()):
                await self._store.look()
        except StoreUnavailable as error:
            self._found(str(error))
        except TimeoutError:
            self._found("The store does not answer in time")
        else:
            self._found("")

    def _found(self, trouble: str) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble and not before:
            log.warning("store_not_ready", hint=trouble)
        elif before and not trouble:
            log.info("store_ready")
