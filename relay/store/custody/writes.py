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

    The hint is appended in the same step, or directly after it if custody is on a separate server. The entry of the
    audit log is always appended in the same step, if the script performed the deed.

    Args:
        store: the store.
        script: the script.
        hint: the hint to the tenant's worker; it also names the tenant.
        audit: entry for the audit log; None if the write is not a deed.
        more: arguments of the script after those with names.
        values: its keys and arguments, except those of `custody_values`.

    Raises:
        NotSaved: the write is not confirmed to be on disk. It may still be in force.
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
    """Return the keys and arguments that scripts with `_custody.lua` need, by name."""
    return {
        **inbox_values(tenant_id),
        "audit_log": keys.audit(tenant_id),
        "hint": hint,
        "entry": encoded(audit),
    }
