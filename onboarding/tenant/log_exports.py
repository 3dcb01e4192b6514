"""Downloads of the audit log: few at once, read from Redis at the browser's speed, and limited in time.

Even for a slow browser, each holds only `PAGE` entries of each stream and one piece of text. The server buffers 64 KiB more, and
closes the connection of a browser that does not read (see `relay.http.protocol`). Counted in this process only.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import StreamingResponse

from pages.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Receive, Scope, Send

    from relay.core.presence import TenantId

log = structlog.get_logger(__name__)

MAX_AT_ONCE: Final = 4
"""Limit on exports of all tenants together. Each uses the idle rest of one core while its browser keeps up: it delays other pages
by some milliseconds."""
LONGEST_S: Final = 600.0
"""The longest log is some 90 MB; at 2 Mbit/s that takes six minutes. A browser that reads more slowly is stopped then."""
REST_S: Final = 10.0
"""Longest pause before a tenant's next export. The pause lasts as long as the last export, so a script uses half a core at most."""
PIECE_CHARS: Final = 16 * 1024


class LogExports:
    """The downloads in progress in this process."""

    def __init__(self) -> None:
        self._under_way: set[TenantId] = set()
        self._again_at: dict[TenantId, float] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def response(
        self, tenant_id: TenantId, lines: AsyncIterator[str], media_type: str, headers: Mapping[str, str]
    ) -> StreamingResponse:
        """Return the response that sends the lines of a tenant's log.

        Raises:
            ProblemError: the tenant has an export in progress or in its pause, or too many other exports are in progress.
        """
        now = time.monotonic()
        self._again_at = {tenant: at for tenant, at in self._again_at.items() if at > now}
        if tenant_id in self._under_way or tenant_id in self._again_at:
            raise ProblemError("exports_already", retry_after_s=int(REST_S))
        if len(self._under_way) >= MAX_AT_ONCE:
            raise ProblemError("exports_full", retry_after_s=60)
        return _Export(self, tenant_id, _pieces(lines), media_type=media_type, headers=headers)

    def begin(self, tenant_id: TenantId) -> None:
        """Record that a download of this tenant began."""
        self._under_way.add(tenant_id)

    def end(self, tenant_id: TenantId, took_s: float) -> None:
        """Record that a download of this tenant ended, after `took_s` seconds."""
        self._under_way.discard(tenant_id)
        self._again_at[tenant_id] = time.monotonic() + min(took_s, REST_S)


class _Export(StreamingResponse):
    def __init__(
        self,
        exports: LogExports,
        tenant_id: TenantId,
        pieces: AsyncIterator[str],
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._exports = exports
        self._tenant_id = tenant_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        self._exports.begin(self._tenant_id)
        try:
            async with asyncio.timeout(LONGEST_S):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            # The server closes a connection whose answer is incomplete, so that half a log is not mistaken for a whole one.
            log.warning("export_interrupted", tenant_id=self._tenant_id, after_s=LONGEST_S)
        finally:
            self._exports.end(self._tenant_id, time.monotonic() - began)


async def _pieces(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Join lines into larger pieces: each piece costs a call of the server, a chunk and a TLS record."""
    held: list[str] = []
    size = 0
    async for line in lines:
        held.append(line)
        size += len(line)
        if size >= PIECE_CHARS:
            yield "".join(held)
            held.clear()
            size = 0
    if held:
        yield "".join(held)
