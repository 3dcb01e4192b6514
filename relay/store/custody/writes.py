"""Durable writes: a script on the vault's connection, its confirmation, and the hint that tells the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay.store.custody.audit import encoded
from relay.store.presence import hints
from relay.store.presence.pipes import INBOX_ENTRIES, INBOX_PER_TENANT, inbox_keys, tell
from relay.store.server import keys as names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.core.audit.events import Entry
    from relay.core.presence import TenantId
    from relay.store.server.connection import Store
    from relay.store.server.scripting import Arg, Script


async def write(
    store: Store,
    script: Script,
    tenant_id: TenantId,
    keys: Sequence[bytes],
    args: Sequence[Arg],
    hint: hints.Hint,
    audit: Entry | None = None,
) -> Any:
    """Run a script that begins with what `_custody.lua` needs, and return its reply when the write is on disk.

    The hint is appended in the same step, or right after it when custody has a server of its own. The audit log's entry is
    always appended in the same step, by a script that did what the entry says.

    Raises:
        NotSaved: it is not known to be on disk. It may be in force nevertheless.
        StoreUnavailable: the outcome is unknown.
    """
    payload = b"" if store.own_vault else hints.encode(hint)
    held = [*inbox_keys(tenant_id), names.audit(tenant_id), *keys]
    head: list[Arg] = [payload, tenant_id, INBOX_PER_TENANT, INBOX_ENTRIES, encoded(audit)]
    async with store.vault_connection() as vault:
        reply = await vault.run(script, held, [*head, *args])
        await vault.confirm()
    if store.own_vault:
        await tell(store, hint)
    return reply
