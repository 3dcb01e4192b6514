"""The operators' log: what operators did to all tenants, in the order of time. One stream on custody's server.

    operators:log    acts, newest last

A tenant's own audit log is the record of what happened to it, written in the step of the change; this log finds the acts of all
tenants without reading thousands of logs, and holds what no tenant's log can: an invitation of an organisation that is not here yet. It
keeps `MOST` acts, for `RETENTION` at the longest. Backups have it.
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
"""Some 300 bytes each. Fifty operators who each do forty things within the retention."""
PAGE: Final = 100


class ActKind(enum.StrEnum):
    """The kind of an act; the values are what the store keeps."""

    INVITED = "invited"
    """A link was made that lets an organisation begin."""
    APPROVED = "approved"
    REFUSED = "refused"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    MAPPED = "mapped"
    """Console statuses of its suites were changed."""
    LIMITED = "limited"
    """The number of users that it may watch was changed."""
    REMOVED = "removed"
    LIFTED = "lifted"
    """One that was turned away may return."""


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """An act in the store."""

    kind: str
    by: tuple[str, str]
    """The operator's object id and name."""
    tenant_id: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class OperatorAct:
    """One thing that an operator did. Made with `of`, which bounds it."""

    kind: ActKind
    by: Actor
    tenant_id: TenantId | None
    about: str
    """The tenant's domain or name, as it was then."""

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
        """Add an act, on disk when this returns; acts that are too old go.

        Raises:
            NotSaved: it is not known to be on disk.
        """
        stored = _Stored(act.kind, (act.by.id, act.by.name), act.tenant_id or "", act.about)
        oldest = int((datetime.now(UTC) - RETENTION).timestamp() * 1000)
        async with self._store.durable() as vault:
            await vault.execute("XTRIM", keys.OPERATOR_LOG, "MINID", "~", oldest)
            await vault.execute("XADD", keys.OPERATOR_LOG, "MAXLEN", "~", MOST, "*", "a", msgspec.json.encode(stored))
            await vault.confirm()

    async def recent(self, limit: int = PAGE) -> list[RecordedAct]:
        """Return the newest acts, the newest first; none that is older than `RETENTION`."""
        oldest = int((datetime.now(UTC) - RETENTION).timestamp() * 1000)
        found = await self._store.vault_command("XREVRANGE", keys.OPERATOR_LOG, "+", oldest, "COUNT", limit)
        acts = [_recorded(entry_id, fields) for entry_id, fields in found]
        return [act for act in acts if act is not None]


def _recorded(entry_id: bytes, fields: Any) -> RecordedAct | None:
    """Return an entry; None for one of another release."""
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
