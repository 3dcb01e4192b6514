"""Requests of accounts to read for a connected tenant: a sealed consent that waits until a manager accepts it.

    {pNN}:request:<tid>:<account>   the sealed consent, for at most `WAITS`
    {pNN}:tenant:<tid>:requests     hash: account id -> name and time of the request, and its result

An account has at most one request, a tenant at most `MOST_WAITING`. Acceptance turns it into a grant
(`Admissions.admit` with `asked`). The consent is deleted when the request is refused or expires. The result is kept for
another `WAITS`, for the requesting user. Custody: acknowledged means on disk.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.audit.events import Actor, access_asked, access_refused, access_withdrawn
from relay.core.presence import UserId
from relay.store.custody import writes as custody
from relay.store.presence import hints
from relay.store.sealing.keyring import Belonging, SealBroken
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from relay.core.audit.events import Entry
    from relay.core.presence import TenantId
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

WAITS: Final = timedelta(days=14)
"""Lifetime of a request; a manager may be on leave for a week."""
MOST_WAITING: Final = 20
"""Most waiting requests of one tenant; each sends an e-mail to its managers."""
MOST_KEPT: Final = 60
"""Most requests of one tenant that are kept, waiting and decided ones."""

_PURPOSE: Final = "access-request"
_KEY: Final = re.compile(r"\{p[0-9]{2}\}:request:([^:]+):([^:]+)")
_PUT = Script("request_put")
_REFUSE = Script("request_refuse")


class RequestState(enum.StrEnum):
    """The state of a request. The store keeps these values, except `EXPIRED`, which follows from the time."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """One account's request.

    Attributes:
        account_id: the account.
        upn: its name, from Entra.
        asked: time of its last consent.
        state: state of the request.
        decided: time of the decision; None while it waits.
    """

    account_id: UserId
    upn: str
    asked: datetime
    state: RequestState
    decided: datetime | None = None

    @property
    def ends(self) -> datetime:
        """The time at which it expires."""
        return self.asked + WAITS


class AskOutcome(enum.Enum):
    """The result of a request."""

    ASKED = 1
    AGAIN = 2
    """A request was already waiting and now has the newer consent, or one was withdrawn within a day. No second
    notification."""
    FULL = 0
    """`MOST_WAITING` requests are waiting."""
    NO_TENANT = -1


class AccessRequests:
    """The requests of all tenants.

    Raises (from every method): `StoreUnavailable`; `NotSaved` from those that write.
    """

    def __init__(self, store: Store, ring: KeyRing) -> None:
        self._store = store
        self._ring = ring

    async def ask(self, tenant_id: TenantId, account_id: UserId, *, upn: str, token_cache: str) -> AskOutcome:
        """Store a consent until a manager decides. The caller has verified the account's tenant with Entra."""
        sealed = self._ring.seal(token_cache, _belonging(tenant_id, account_id))
        now_ms = _ms(datetime.now(UTC))
        kept = msgspec.json.encode(_Kept(upn, now_ms, RequestState.WAITING))
        reply = await custody.write(
            self._store,
            _PUT,
            hints.TenantChanged(tenant_id),
            access_asked(Actor.account(upn, account_id)),
            tenant=keys.tenant(tenant_id),
            requests=keys.tenant_requests(tenant_id),
            request=keys.request(tenant_id, account_id),
            account_id=account_id,
            asked=kept,
            sealed=sealed,
            waits_ms=int(WAITS / timedelta(milliseconds=1)),
            now_ms=now_ms,
            most_waiting=MOST_WAITING,
            most_kept=MOST_KEPT,
        )
        return AskOutcome(reply)

    async def list(self, tenant_id: TenantId) -> tuple[AccessRequest, ...]:
        """List the requests of a tenant: waiting ones first, then the oldest first."""
        found = await self._store.vault_command("HGETALL", keys.tenant_requests(tenant_id))
        requests = [_request(account, value) for account, value in found.items()]
        return tuple(sorted(requests, key=lambda one: (one.state is not RequestState.WAITING, one.asked)))

    async def load(self, tenant_id: TenantId, account_id: UserId) -> AccessRequest | None:
        """Return one account's request; None if there is none, or it is no longer kept."""
        value = await self._store.vault_command("HGET", keys.tenant_requests(tenant_id), account_id)
        return None if value is None else _request(account_id.encode(), value)

    async def consent(self, tenant_id: TenantId, account_id: UserId) -> str | None:
        """Return the token cache of a waiting request; None if none is waiting, or the ring cannot open it."""
        sealed = await self._store.vault_command("GET", keys.request(tenant_id, account_id))
        try:
            return None if sealed is None else self._ring.open(sealed.decode(), _belonging(tenant_id, account_id))
        except SealBroken:
            return None

    async def refuse(self, tenant_id: TenantId, request: AccessRequest, by: Actor) -> bool:
        """Refuse a request and delete its consent; return False if it is not waiting."""
        entry = access_refused(by, request.account_id, request.upn)
        return await self._end(tenant_id, request, RequestState.REFUSED, entry)

    async def withdraw(self, tenant_id: TenantId, request: AccessRequest) -> bool:
        """Withdraw a request, as its own account, and delete its consent; return False if it is not waiting."""
        entry = access_withdrawn(Actor.account(request.upn, request.account_id))
        return await self._end(tenant_id, request, RequestState.WITHDRAWN, entry)

    async def _end(self, tenant_id: TenantId, request: AccessRequest, state: RequestState, entry: Entry) -> bool:
        reply = await custody.write(
            self._store,
            _REFUSE,
            hints.TenantChanged(tenant_id),
            entry,
            tenant=keys.tenant(tenant_id),
            requests=keys.tenant_requests(tenant_id),
            request=keys.request(tenant_id, request.account_id),
            account_id=request.account_id,
            now_ms=_ms(datetime.now(UTC)),
            state=state,
        )
        return bool(reply)


class _Kept(msgspec.Struct, frozen=True):
    upn: str
    asked_ms: int
    state: str
    decided_ms: int = 0


def belonging_of_key(key: str) -> Belonging | None:
    """Return the belonging of the value of a request's key; None for another key."""
    found = _KEY.fullmatch(key)
    return None if found is None else Belonging(found[1], found[2], _PURPOSE)


def _belonging(tenant_id: TenantId, account_id: UserId) -> Belonging:
    return Belonging(tenant_id, account_id, _PURPOSE)


def _request(account_id: bytes, value: bytes) -> AccessRequest:
    kept = msgspec.json.decode(value, type=_Kept)
    asked, state = _time(kept.asked_ms), RequestState(kept.state)
    decided = _time(kept.decided_ms) if kept.decided_ms else None
    if state is RequestState.WAITING and datetime.now(UTC) >= asked + WAITS:
        state, decided = RequestState.EXPIRED, asked + WAITS
    return AccessRequest(
        account_id=UserId(account_id.decode()), upn=kept.upn, asked=asked, state=state, decided=decided
    )


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)
