"""The operators' log: the acts of operators on all tenants, in order of time. One stream on custody's server.

    operators:log    acts, newest last

A tenant's audit log is the authoritative record, written in the step of each change. This log shows the acts on all
tenants without reading thousands of logs. It also has acts without a tenant's log, such as the invitation of a new
organisation. It keeps `MOST` acts, for at most `RETENTION`. Backups include it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from relay.core.audit.events import Actor, ActorKind, cut
from relay.core.presence import TenantId
from relay.store.server import keys

if TYPE_CHECKING:
    from relay.store.server.connection import Store

RETENTION: Final = timedelta(days=30)
MOST: Final = 2_000
"""About 300 bytes each: fifty operators with forty acts each within the retention."""
PAGE: Final = 100


class ActKind(enum.StrEnum):
    """The kind of an act. The store keeps these values."""

    INVITED = "invited"
    """An invitation link for an organisation was made."""
    APPROVED = "approved"
    REFUSED = "refused"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    MAPPED = "mapped"
    """Console statuses of the tenant's suites were changed."""
    LIMITED = "limited"
    """The number of users that the tenant may watch was changed."""
    REMOVED = "removed"
    LIFTED = "lifted"
    """A turned-away tenant may return."""


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """An act in the store."""

    kind: str
    by: tuple[str, str]
    """The operator's object id and name."""
    tenant_id: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class OperatorAct:
    """One act of an operator. Create it with `of`, which limits its size."""

    kind: ActKind
    by: Actor
    tenant_id: TenantId | None
    about: str
    """The tenant's domain or name at that time."""

    @classmethod
    def of(cls, kind: ActKind, by: Actor, *, tenant_id: TenantId, about: str = "") -> Self:
        """Return an act on a tenant."""
        return cls(kind, by, tenant_id, cut(about))


@dataclass(frozen=True, slots=True)
class RecordedAct:
    """An act as it is in the log, with the time by the store's clock."""

    time: datetime
    act: OperatorAct


class OperatorLog:
    """The acts of all operators. Raises (from both methods) `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, act: OperatorAct) -> None:
        """Add an act, durably, and delete acts older than `RETENTION`.

        Raises:
            NotSaved: the act is not confirmed to be on disk.
        """
        stored = _Stored(act.kind, (act.by.id, act.by.name), act.tenant_id or "", act.about)
        oldest = int((datetime.now(UTC) - RETENTION).timestamp() * 1000)
        async with self._store.durable() as vault:
            await vault.execute("XTRIM", keys.OPERATOR_LOG, "MINID", "~", oldest)
            await vault.execute("XADD", keys.OPERATOR_LOG, "MAXLEN", "~", MOST, "*", "a", msgspec.json.encode(stored))
            await vault.confirm()

    async def recent(self, limit: int = PAGE) -> list[RecordedAct]:
        """Return the newest acts within `RETENTION`, the newest first."""
        oldest = int((datetime.now(UTC) - RETENTION).timestamp() * 1000)
        found = await self._store.vault_command("XREVRANGE", keys.OPERATOR_LOG, "+", oldest, "COUNT", limit)
        acts = [_recorded(entry_id, fields) for entry_id, fields in found]
        return [act for act in acts if act is not None]


def _recorded(entry_id: bytes, fields: Any) -> RecordedAct | None:
    """Return an entry; None if this release cannot read it."""
    values = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    try:
        stored = msgspec.json.decode(values[b"a"], type=_Stored)
        kind = ActKind(stored.kind)
    except (KeyError, ValueError):
        return None
    time = datetime.fromtimestamp(int(entry_id.partition(b"-")[0]) / 1000, tz=UTC)
    by = Actor(ActorKind.OPERATOR, stored.by[0], stored.by[1])
    return RecordedAct(
        time, OperatorAct(kind, by, TenantId(stored.tenant_id) if stored.tenant_id else None, stored.about)
    )
