"""Admission of a tenant: its record and its grant in one step. Custody: acknowledged means on disk.

Two writes would leave a tenant without a grant if the process dies between them. Both are in one slot, so one script
writes both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.audit.events import Actor, grant_added, grant_withdrawn
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import FIRST, TRANSITIONS, TenantEvent, TenantState
from relay.core.names import folded
from relay.errors import RelayError, TenantRemoved
from relay.store.custody import managers, notices
from relay.store.custody import writes as custody
from relay.store.custody.audit import encoded
from relay.store.custody.turned_away import TurnedAwayError, decode
from relay.store.presence import hints
from relay.store.sealing.keyring import Belonging
from relay.store.server import keys
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.core.presence import TenantId, UserId
    from relay.store.custody.access_requests import AccessRequest
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

_ADMIT = Script("admit")


@dataclass(frozen=True, slots=True)
class ReplacedGrant:
    """The account whose grant is withdrawn and replaced by another account's."""

    account_id: UserId
    upn: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The result of a consent.

    Attributes:
        state: the tenant's new state.
        is_first: whether the account connected the tenant first, and is now its manager.
    """

    state: TenantState
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRequest:
    """A consent to store, and the authority for it.

    Attributes:
        tenant_id: the tenant, verified by Microsoft.
        account_id: the account that consented.
        upn: the account's name.
        token_cache: the grant, as MSAL's cache.
        name: the organisation's name; empty if not known.
        domain: the organisation's domain; empty if not known.
        settings: settings for a tenant that has none.
        by: the actor in the audit log; None: the account itself.
        replaces: an account whose grant is withdrawn in the same step.
        by_wizard: True if no manager has accepted the account. In a connected tenant, an account without a grant or the
            right of a manager must then send a request.
        asked: the request that a manager accepts; it must still be waiting.
        right_of: the manager on whose right this is based, which must be in force; None: it has another basis.
        event: CONSENTED, or APPLIED if the operator must approve the tenant first.
        word_ms: when the operator invited this tenant, in ms since 1970; lifts an older mark of a turned-away tenant.
            0: never.
        is_new: True if this may create the tenant.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    token_cache: str = field(repr=False)
    name: str = ""
    domain: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    by: Actor | None = None
    replaces: ReplacedGrant | None = None
    by_wizard: bool = False
    asked: AccessRequest | None = None
    right_of: UserId | None = None
    event: TenantEvent = TenantEvent.CONSENTED
    word_ms: int = 0
    is_new: bool = True


class MustAsk(RelayError):
    """The tenant is connected and does not know the account: its managers decide. Nothing was written."""

    def __init__(self) -> None:
        super().__init__("This organisation is connected already: its managers decide")


class RequestGone(RelayError):
    """The request that a manager accepted has expired, or was refused or replaced. Nothing was written."""

    def __init__(self) -> None:
        super().__init__("This request is no longer waiting")


class Admissions:
    """Admits tenants.

    An existing tenant keeps its record and its other grants; empty fields such as name and domain are filled in. The
    account's grant is replaced whatever its version, because a new consent is newer than any stored grant. The tenant's
    audit log records the actor, the admission of a new tenant, and the added or replaced grant. A waiting request of
    the account is accepted.

    The account that connects a tenant first becomes its manager in the same step. In a connected tenant a consent only
    adds a grant: the account may read for the tenant, and has no other right.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def admit(self, request: AdmissionRequest) -> Admitted:
        """Admit a tenant with one account's grant, or add or renew that grant. Repeating it is safe.

        Raises:
            MustAsk: the account must send a request; only with `by_wizard`.
            RequestGone: the request is not waiting; only with `asked`.
            RightEnded: the manager of `right_of` is no longer one; nothing was written.
            TurnedAwayError: the operator removed or refused the tenant; nothing was written.
            TenantRemoved: the tenant does not exist, and this may not create it; nothing was written.
            NotSaved: the grant is not confirmed to be on disk: do not report success.
            StoreUnavailable: the outcome is unknown.
        """
        tenant_id, account_id, replaces = request.tenant_id, request.account_id, request.replaces
        actor, now_ms = request.by or Actor.account(request.upn, account_id), _now_ms()
        former = b"" if replaces is None else encoded(grant_withdrawn(actor, replaces.account_id, replaces.upn))
        notice = notices.restored(tenant_id)
        record = _record(request, now_ms)
        sealed = self._ring.seal(request.token_cache, Belonging(tenant_id, account_id))
        partition = keys.partition_of(tenant_id)
        reply: bytes | int | list[bytes] = await custody.write(
            self._store,
            _ADMIT,
            hints.GrantChanged(tenant_id, account_id),
            grant_added(actor, account_id, request.upn),
            *record,
            *_grant(request, sealed, now_ms),
            tenant=keys.tenant(tenant_id),
            tenants=keys.tenants(partition),
            grant=keys.grant(tenant_id, account_id),
            grants=keys.tenant_grants(tenant_id),
            replaced_grant=keys.grant(tenant_id, account_id if replaces is None else replaces.account_id),
            notices=keys.notices(partition),
            turned_away=keys.turned_away(partition),
            managers=keys.tenant_managers(tenant_id),
            requests=keys.tenant_requests(tenant_id),
            request=keys.request(tenant_id, account_id),
            account_id=account_id,
            now_ms=now_ms,
            transitions=_moves(request.event, is_new=request.is_new),
            replaced_account="" if replaces is None else replaces.account_id,
            replaced_entry=former,
            notice_id=notice.notice_id,
            notice=notices.encode(notice),
            consent=msgspec.json.encode(_consent(request)),
            record_length=len(record),
        )
        return _outcome(reply)


def _record(request: AdmissionRequest, now_ms: int) -> list[Arg]:
    """Return the fields of a tenant's record, for a tenant that has none."""
    return [
        *("name", request.name, "domain", request.domain, "created", str(now_ms // 1000)),
        *("settings", msgspec.json.encode(dict(request.settings))),
    ]


def _grant(request: AdmissionRequest, sealed: Arg, now_ms: int) -> list[Arg]:
    """Return the fields of a grant's record."""
    times: list[Arg] = ["consented", now_ms, "last_refresh", now_ms]
    return ["token_cache", sealed, "upn", request.upn, *times, "state", GrantState.HEALTHY, "error", ""]


def _outcome(reply: bytes | int | list[bytes]) -> Admitted:
    """Return the script's result, or raise the reason why it wrote nothing."""
    if isinstance(reply, list):
        raise TurnedAwayError(decode(reply[0]))
    if isinstance(reply, int):
        raise _REFUSALS[reply]
    if not reply:
        raise TenantRemoved("This tenant has left the relay")
    state, _, first = reply.decode().partition(" ")
    return Admitted(TenantState(state), bool(first))


class _Consent(msgspec.Struct, frozen=True):
    """The circumstances of a consent, for the script. `manager` is the manager's record for a first account.

    `asked_ms` is the time of the accepted request; 0 if there is none. `right_of` is the manager on whose right the
    consent is based; empty if it has another basis. `word_ms` is the time of the operator's invitation; 0 if there is
    none.
    """

    by_wizard: bool
    asked_ms: int
    right_of: str
    name: str
    manager: str
    settling: str
    word_ms: int


def _consent(request: AdmissionRequest) -> _Consent:
    """Return the circumstances of the consent, for the script."""
    return _Consent(
        by_wizard=request.by_wizard,
        asked_ms=0 if request.asked is None else round(request.asked.asked.timestamp() * 1000),
        right_of=request.right_of or "",
        name=folded(request.upn.strip()),
        manager=managers.encode(request.upn, managers.Origin.CONNECTED).decode(),
        settling=managers.settling(request.tenant_id).decode(),
        word_ms=request.word_ms,
    )


_REFUSALS: Final = {1: MustAsk, 2: RequestGone, 3: managers.RightEnded}


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def _moves(event: TenantEvent, *, is_new: bool) -> bytes:
    """Return state before -> state after, for the script; other states do not change."""
    moves = {before: after for (before, one), after in TRANSITIONS.items() if one is event}
    if is_new:
        return msgspec.json.encode(moves | {_NOT_THERE: FIRST[event]})
    moves.pop(TenantState.REMOVED, None)
    return msgspec.json.encode(moves)


_NOT_THERE: Final = ""
