"""Durable writes: a script on the vault's connection, its confirmation, and the hint to the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay.store.custody.audit import encoded
from relay.store.presence import hints
from relay.store.presence.pipes import append_hints, inbox_values
from relay.store.server import keys

if TYPE_CHECKING:
    from relay.core.audit.events import Entry
    from relay.core.presence import TenantId
    from relay.store.server.connection import Store
    from relay.store.server.scripting import Arg, Script


async def write(
    store: Store,
    script: Script,
    hint: hints.Hint,
    audit: Entry | None = None,
    /,
    *more: Arg,
    **values: Any,
) -> Any:
    """Run a script that uses `_custody.lua` and return its reply when the write is on disk.

    The hint is appended in the same step, or right after it when custody has a server of its own. The audit log's entry is
    always appended in the same step, by a script that did what the entry says.

    Args:
        store: where.
        script: which.
        hint: says whose tenant it is, and tells that tenant's worker.
        audit: entry of the audit log; None when the write is not a deed.
        more: arguments of the script behind those that have names.
        values: its keys and arguments, but for those of `custody_values`.

    Raises:
        NotSaved: it is not known to be on disk. It may be in force nevertheless.
        StoreUnavailable: the outcome is unknown.
    """
    payload = b"" if store.own_vault else hints.encode(hint)
    call = script(*more, **custody_values(hint.tenant_id, payload, audit), **values)
    async with store.durable() as vault:
        reply = await vault.run(call)
        await vault.confirm()
    if store.own_vault:
        await append_hints(store, hint)
    return reply


def custody_values(tenant_id: TenantId, hint: bytes, audit: Entry | None) -> dict[str, Any]:
    """Return what a script that uses `_custody.lua` needs, by name."""
    return {
        **inbox_values(tenant_id),
        "audit_log": keys.audit(tenant_id),
        "hint": hint,
        "entry": encoded(audit),
    }
