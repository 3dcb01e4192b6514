"""Checks once a second whether the store can be used, for `/readyz`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from relay.errors import StoreUnavailable
from relay.store.server.metrics import READY

if TYPE_CHECKING:
    from relay.store.server.connection import Store

log = structlog.get_logger(__name__)

CHECK_EVERY_S: Final = 1.0


class StoreHealth:
    """The result of the last check of a store. After the preflight a store is usable until a check fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._fault = ""

    def fault(self) -> str:
        """Return why the store cannot be used at present; empty if it can."""
        return self._fault

    async def run(self) -> None:
        """Check once a second until cancelled."""
        with READY.reading(lambda: int(not self._fault)):
            while True:
                await self.check()
                await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Check once, within the time limit of one command."""
        try:
            async with asyncio.timeout(self._store.settings.operation_timeout.total_seconds()):
                await self._store.check()
        except StoreUnavailable as error:
            self._note(str(error))
        except TimeoutError:
            self._note("The store does not answer in time")
        else:
            self._note("")

    def _note(self, fault: str) -> None:
        before, self._fault = self._fault, fault
        if fault and not before:
            log.warning("store_not_ready", hint=fault)
        elif before and not fault:
            log.info("store_ready")
