"""The managers of a tenant, by object id. Custody: acknowledged means on disk.

    {pNN}:tenant:<tid>:managers     hash: account id -> name, start and origin of the right, and who added it
    {pNN}:tenant:<tid>, field claim the contact's address until its account has signed in; empty: no claim
                     field claim_ms when the address became the claim, in ms since 1970

Reading for a tenant (a grant, see `vault`) and managing it are two rights. The account that connects a tenant becomes
its manager in the same step (`admissions`). The contact's address is a *claim*: the first account with that name that
signs in becomes a manager, by its object id, and the claim ends, because the name may be given to another user later.
For the same reason a claim ends after `CLAIM_LASTS`. A manager who enters another contact makes a new claim.

Releases before managers left tenants without any. The first script that reads such a tenant settles it: its oldest
reading account becomes a manager, and its contact gets a claim. The last manager cannot be removed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from relay.core.audit.events import RELAY, Actor, ActorKind, manager_added, manager_removed
from relay.core.names import folded
from relay.core.presence import UserId
from relay.errors import RelayError, TenantRemoved
from relay.store.custody import writes as custody
from relay.store.custody.audit import encoded
from relay.store.presence import hints
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.core.audit.events import Entry
    from relay.core.presence import TenantId
    from relay.store.server.connection import Store

MOST_MANAGERS: Final = 50
"""Most managers of one tenant: more than any organisation needs, and few enough for one page and an e-mail to each."""

CLAIM_LASTS: Final = timedelta(days=90)
"""Time within which the contact must first sign in. Longer than a long leave; shorter than the time after which most
organisations give an unused name to another user."""

_SETTLE = Script("managers_settle")
_ADD = Script("manager_add")
_REMOVE = Script("manager_remove")


class Origin(enum.StrEnum):
    """The origin of a manager's right. The store keeps these values."""

    CONNECTED = "connected"
    """The manager was the first to connect the tenant."""
    CONTACT = "contact"
    """The manager signed in as the tenant's contact."""
    NAMED = "named"
    """Another manager or the operator added them."""
    OLDEST = "oldest"
    """The manager was the oldest reading account when managing became a separate right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """One manager of a tenant.

    Attributes:
        account_id: the object id, which identifies the manager.
        upn: the name at the time they became manager, for display.
        since: when they became manager.
        origin: origin of the right.
        added_by: the UPN of the manager who added them; empty for the operator and for other origins.
    """

    account_id: UserId
    upn: str
    since: datetime
    origin: Origin
    added_by: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The contact's unused claim to become a manager.

    Attributes:
        name: the contact's address; empty: no claim.
        ends: when the claim ends.
    """

    name: str
    ends: datetime

    @property
    def is_over(self) -> bool:
        """Return whether the claim has ended."""
        return datetime.now(UTC) >= self.ends

    def is_of(self, upn: str) -> bool:
        """Return whether an account with this name may use the claim now."""
        name = folded(self.name.strip())
        return bool(name) and not self.is_over and folded(upn.strip()) == name


class AddOutcome(enum.Enum):
    """The result of adding a manager."""

    ADDED = 1
    THERE = 0
    """The account was a manager already."""
    FULL = -1
    """The tenant has `MOST_MANAGERS`."""


class RemoveOutcome(enum.Enum):
    """The result of removing a manager."""

    REMOVED = 1
    NONE = 0
    """The account is not a manager."""
    LAST = -1
    """The manager is the last one."""


class RightEnded(RelayError):
    """The actor is no longer a manager: nothing was written."""

    def __init__(self) -> None:
        super().__init__("You are no longer a manager of this organisation")


class Managers:
    """The managers of all tenants. Writes are atomic and durable when they return.

    Raises (from every method): `StoreUnavailable`; `NotSaved` from those that write.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def is_manager(self, tenant_id: TenantId, account_id: UserId) -> bool:
        """Return whether an account is a manager of a tenant now."""
        return any(one.account_id == account_id for one in await self.list(tenant_id))

    async def read(self, tenant_id: TenantId) -> tuple[list[Manager], Claim]:
        """Return the managers, earliest first, and the contact's claim. Settles a tenant from before managers."""
        call = _SETTLE(**_rights(tenant_id), audit_log=keys.audit(tenant_id))
        flat, name, since_ms = await self._store.vault_run(call)
        found = decode(dict(zip(flat[::2], flat[1::2], strict=True)))
        since = datetime.fromtimestamp(int(since_ms) / 1000, tz=UTC)
        return found, Claim(name.decode(), since + CLAIM_LASTS)

    async def add(
        self, tenant_id: TenantId, account_id: UserId, upn: str, by: Actor, right_of: UserId | None = None
    ) -> AddOutcome:
        """Let an account manage a tenant.

        Args:
            tenant_id: the tenant.
            account_id: the account's object id; the caller has verified with Graph or Entra that it is in this tenant.
            upn: its name, for display.
            by: the actor.
            right_of: the manager on whose right this is based, which must be in force; None: it has another basis.

        Raises:
            TenantRemoved: there is no such tenant.
            RightEnded: the manager of `right_of` is no longer one.
        """
        added_by = by.name if by.kind is ActorKind.ACCOUNT else ""
        value = encode(upn, Origin.NAMED, added_by)
        return await self._add(tenant_id, account_id, value, manager_added(by, account_id, upn), right_of=right_of)

    async def claim(self, tenant_id: TenantId, account_id: UserId, upn: str) -> bool:
        """Let the contact manage a tenant, and end the claim; False if there is no claim with this name.

        Args:
            tenant_id: the tenant.
            account_id: the account that signed in to this tenant, and is not a guest.
            upn: its name there, from Entra.
        """
        managers, claim = await self.read(tenant_id)
        if not claim.is_of(upn) or len(managers) >= MOST_MANAGERS:
            return False
        entry = manager_added(Actor.account(upn, account_id), account_id, upn, Origin.CONTACT)
        added = await self._add(tenant_id, account_id, encode(upn, Origin.CONTACT), entry, claim=claim.name)
        return added is AddOutcome.ADDED

    async def remove(
        self, tenant_id: TenantId, manager: Manager, by: Actor, right_of: UserId | None = None
    ) -> RemoveOutcome:
        """End a manager's right, unless it is the last one. A claim with the same name ends with it.

        Args:
            tenant_id: the tenant.
            manager: the manager whose right ends.
            by: the actor; the operator may be one.
            right_of: the manager on whose right this is based, which must be in force; None: it has another basis.

        Raises:
            RightEnded: the manager of `right_of` is no longer one.
        """
        entry = manager_removed(by, manager.account_id, manager.upn)
        reply = await custody.write(
            self._store,
            _REMOVE,
            hints.TenantChanged(tenant_id),
            entry,
            **_rights(tenant_id),
            account_id=manager.account_id,
            name=folded(manager.upn.strip()),
            right_of=right_of or "",
        )
        if reply == _RIGHT_ENDED:
            raise RightEnded
        return RemoveOutcome(reply)

    async def _add(
        self,
        tenant_id: TenantId,
        account_id: UserId,
        value: bytes,
        entry: Entry,
        *,
        claim: str = "",
        right_of: UserId | None = None,
    ) -> AddOutcome:
        reply = await custody.write(
            self._store,
            _ADD,
            hints.TenantChanged(tenant_id),
            entry,
            **_rights(tenant_id),
            account_id=account_id,
            manager=value,
            claim=claim,
            most_managers=MOST_MANAGERS,
            right_of=right_of or "",
        )
        if reply == _NO_TENANT:
            raise TenantRemoved("There is no such tenant")
        if reply == _RIGHT_ENDED:
            raise RightEnded
        return AddOutcome(reply)

    async def list(self, tenant_id: TenantId) -> list[Manager]:
        """List the managers of a tenant, the earliest first. Settles a tenant from a release before managers."""
        found, _ = await self.read(tenant_id)
        return found


def settling(tenant_id: TenantId) -> bytes:
    """Return the argument with which scripts settle a tenant from a release before managers; see `_rights.lua`."""
    entry = manager_added(RELAY, _ACCOUNT, _UPN, Origin.OLDEST)
    return msgspec.json.encode(
        {"prefix": keys.grant_prefix(tenant_id).decode(), "origin": Origin.OLDEST, "entry": encoded(entry).decode()}
    )


def encode(upn: str, origin: Origin, added_by: str = "") -> bytes:
    """Return a manager in its stored form."""
    return msgspec.json.encode(_Kept(upn, int(datetime.now(UTC).timestamp() * 1000), origin, added_by))


def decode(kept: Mapping[bytes, bytes]) -> list[Manager]:
    """Return the managers in a Redis hash, the earliest first."""
    found = []
    for account_id, value in kept.items():
        one = msgspec.json.decode(value, type=_Kept)
        since = datetime.fromtimestamp(one.since_ms / 1000, tz=UTC)
        account = UserId(account_id.decode())
        found.append(
            Manager(account_id=account, upn=one.upn, since=since, origin=Origin(one.origin), added_by=one.added_by)
        )
    return sorted(found, key=lambda one: (one.since, one.account_id))


class _Kept(msgspec.Struct, frozen=True):
    upn: str
    since_ms: int
    origin: str
    added_by: str = ""


def _rights(tenant_id: TenantId) -> dict[str, Any]:
    """Return the keys and arguments for `settle` of `_rights.lua`, by name."""
    return {
        "tenant": keys.tenant(tenant_id),
        "managers": keys.tenant_managers(tenant_id),
        "grants": keys.tenant_grants(tenant_id),
        "settling": settling(tenant_id),
    }


_RIGHT_ENDED: Final = -2
_NO_TENANT: Final = -3
_ACCOUNT: Final = "@account@"
_UPN: Final = "@upn@"
"""Placeholders that the script replaces with the oldest reading account."""
