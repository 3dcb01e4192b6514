"""Changes the console statuses that one tenant's suites show for Microsoft's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.administration.changes import NotPossible, Obstacle, log_act
from relay.core.showing import mapping
from relay.store.custody.operator_log import ActKind
from relay.store.custody.tenants import Tenants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.core.audit.events import Actor
    from relay.core.presence import ConsoleStatus
    from relay.core.showing.mapping import RowKey
    from relay.store.custody.tenants import Tenant
    from relay.store.server.connection import Store

PREFIX = "map:"
"""Prefix of the settings."""


async def change_row(store: Store, tenant: Tenant, key: RowKey, status: ConsoleStatus | None, by: Actor) -> None:
    """Give a row of the mapping another status, or with None its default one.

    Raises:
        NotPossible: the tenant has left.
        NotSaved: it is not known to be on disk.
    """
    # There is one setting for the row, also if it was spelled differently before.
    same = {name: "" for name in tenant.settings if name.startswith(PREFIX) and key_of(name) == key}
    values = same | {PREFIX + row_name(key): "" if status is None else status.name}
    await change_settings(store, tenant, values, by)


async def change_settings(
    store: Store, tenant: Tenant, values: Mapping[str, str], by: Actor, seen: Mapping[str, str] | None = None
) -> None:
    """Write settings of the mapping: setting -> status, empty for the default.

    Raises:
        NotPossible: the tenant has left.
        SettingsConflict: the current value is not the `seen` one; nothing was written.
        NotSaved: it is not known to be on disk.
    """
    written = await Tenants(store).change_settings(tenant.tenant_id, values, by, shown=values.keys(), seen=seen)
    if written is None:
        raise NotPossible(Obstacle.HAS_LEFT)
    await log_act(store, tenant, ActKind.MAPPED, by)


def key_of(setting: str) -> RowKey | None:
    """Return the row of a setting, in any spelling; None if the setting is not about a row."""
    try:
        return mapping.row_key(setting.removeprefix(PREFIX))
    except ValueError:
        return None


def row_name(key: RowKey) -> str:
    """Return a row's name, in the spelling of settings and commands."""
    words = f"{key.availability} / {key.activity}" if key.activity else key.availability
    return f"{words} + oof" if key.out else words
