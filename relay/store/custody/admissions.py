"""Admission of a tenant: its record and its grant in one step. Custody: acknowledged means on disk.

Two writes would leave a tenant without a grant when the process dies between them; both are in one slot, so one script
makes both.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """The account whose grant is withdrawn because another's takes its place."""

    account_id: UserId
    upn: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of a consent.

    Attributes:
        state: the tenant's, from now on.
        is_first: whether the account is the first to connect the tenant, and looks after it from now on.
    """

    state: TenantState
    is_first: bool


class MustAsk(RelayError):
    """The tenant is connected, and the account is not known to it: those who look after it decide. Nothing was written."""

    def __init__(self) -> None:
        super().__init__("This organisation is connected already: those who look after it decide")


class RequestGone(RelayError):
    """What a manager said yes to has expired, another said no, or it is another request by now: nothing was written."""

    def __init__(self) -> None:
        super().__init__("This request is not waiting any more")


class Admissions:
    """Takes tenants in.

    Whoever connects a tenant first looks after it from the same step on. When it is there, a consent is a grant and nothing
    else: the account may read for the tenant, and has no right in it.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def admit(
        self,
        tenant_id: TenantId,
        account_id: UserId,
        *,
        upn: str,
        token_cache: str,
        name: str,
        domain: str,
        settings: Mapping[str, str],
        by: Actor | None = None,
        replaces: ReplacedGrant | None = None,
        by_wizard: bool = False,
        asked: AccessRequest | None = None,
        right_of: UserId | None = None,
        event: TenantEvent = TenantEvent.CONSENTED,
        word_ms: int = 0,
        is_new: bool = True,
    ) -> Admitted:
        """Take a tenant in with one account's grant, or add or renew that grant.

        A tenant that is there keeps its record and its other grants; name and domain are filled in where they are empty.
        The account's grant is replaced whatever its version: a consent just given is newer than anything that is kept.
        Repeating it is safe. The tenant's audit log says who did it, which is the account itself unless `by` is somebody else:
        that the tenant was admitted, if it was not there, and that the grant was added or replaced. With `replaces` another
        account's grant is withdrawn in the same step. A request of the account's is accepted with it.

        With `by_wizard` nobody of the tenant has said yes: an account that a connected tenant does not know must ask. One
        that holds a grant renews it, and a manager adds one. With `asked` it is a manager's yes to that very request, which must
        still wait.

        Args:
            tenant_id: which, as Microsoft vouches for it.
            account_id: whose grant.
            upn: the account's name.
            token_cache: the grant.
            name: what people call the tenant; empty: not known.
            domain: its domain; empty: not known.
            settings: of a tenant that has none.
            by: who does it.
            replaces: the account whose grant is withdrawn.
            by_wizard: whether nobody of the tenant has said yes.
            asked: the request that a manager says yes to.
            right_of: the manager whose right this rests on, which must be in force; None: it rests on another.
            event: CONSENTED, or APPLIED when the operator has not let the tenant in.
            word_ms: when the operator gave their word for this tenant, which lifts an older mark of being turned away; 0: never.
            is_new: whether a tenant that is not there may begin with this.

        Raises:
            MustAsk: see there; only with `by_wizard`.
            RequestGone: see there; only with `asked`.
            RightEnded: the right that it rests on has ended; nothing was written.
            TurnedAwayError: the operator removed or refused the tenant; nothing was written.
            TenantRemoved: it is not there, and may not begin with this; nothing was written.
            NotSaved: it is not known to be on disk: do not tell anybody that it is kept.
            StoreUnavailable: the outcome is unknown.
        """
        now_ms = _now_ms()
        record: list[Arg] = [
            *("name", name, "domain", domain, "created", str(now_ms // 1000)),
            *("settings", msgspec.json.encode(dict(settings))),
        ]
        grant: list[Arg] = [
            *("token_cache", self._ring.seal(token_cache, Belonging(tenant_id, account_id))),
            *("upn", upn, "consented", now_ms, "last_refresh", now_ms, "state", GrantState.HEALTHY, "error", ""),
        ]
        actor = by or Actor.account(upn, account_id)
        former = b"" if replaces is None else encoded(grant_withdrawn(actor, replaces.account_id, replaces.upn))
        notice = notices.restored(tenant_id)
        consent = _Consent(
            by_wizard=by_wizard,
            asked_ms=0 if asked is None else round(asked.asked.timestamp() * 1000),
            right_of=right_of or "",
            name=folded(upn.strip()),
            manager=managers.encode(upn, managers.Origin.CONNECTED).decode(),
            settling=managers.settling(tenant_id).decode(),
            word_ms=word_ms,
        )
        partition = keys.partition_of(tenant_id)
        reply: bytes | int | list[bytes] = await custody.write(
            self._store,
            _ADMIT,
            hints.GrantChanged(tenant_id, account_id),
            grant_added(actor, account_id, upn),
            *record,
            *grant,
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
            transitions=_moves(event, is_new=is_new),
            replaced_account="" if replaces is None else replaces.account_id,
            replaced_entry=former,
            notice_id=notice.notice_id,
            notice=notices.encode(notice),
            consent=msgspec.json.encode(consent),
            record_length=len(record),
        )
        if isinstance(reply, list):
            raise TurnedAwayError(decode(reply[0]))
        if isinstance(reply, int):
            raise _REFUSALS[reply]
        if not reply:
            raise TenantRemoved("This tenant has left the relay")
        state, _, first = reply.decode().partition(" ")
        return Admitted(TenantState(state), bool(first))


class _Consent(msgspec.Struct, frozen=True):
    """How a consent comes, for the script: `manager` is for an account that is the first, which the log tells of as the admission.

    `asked_ms` is when the request was made that somebody says yes to; 0: there is none. `right_of` is the manager whose right it
    rests on; empty: it rests on another. `word_ms` is when the operator gave their word for the tenant; 0: never.
    """

    by_wizard: bool
    asked_ms: int
    right_of: str
    name: str
    manager: str
    settling: str
    word_ms: int


_REFUSALS: Final = {1: MustAsk, 2: RequestGone, 3: managers.RightEnded}


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def _moves(event: TenantEvent, *, is_new: bool) -> bytes:
    """State before -> state after, for the script; a state that is not named stays as it is."""
    moves = {before: after for (before, one), after in TRANSITIONS.items() if one is event}
    if is_new:
        return msgspec.json.encode(moves | {_NOT_THERE: FIRST[event]})
    moves.pop(TenantState.REMOVED, None)
    return msgspec.json.encode(moves)


_NOT_THERE: Final = ""
