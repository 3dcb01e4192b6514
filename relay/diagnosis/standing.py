"""The standing of tenants for operators: one value for the list, the details and JSON.

Up to `BATCH` tenants are read together, in as many round trips as one tenant takes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from relay.core.consent.grants import GrantState, all_dead, remembered
from relay.core.consent.refusals import classify
from relay.core.consent.tenant import TenantEvent, TenantState
from relay.core.presence import Status
from relay.store.custody.access_requests import AccessRequests
from relay.store.custody.managers import Managers
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.presence.connected import ConnectedSuites
from relay.store.presence.interest import Interest
from relay.store.presence.presences import Presences
from relay.store.presence.push import PushStatuses
from relay.store.server.pipelining import PipeliningStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from relay.core.consent.microsoft_error import RefusalRecord
    from relay.core.presence import TenantId
    from relay.store.custody.access_requests import AccessRequest
    from relay.store.custody.managers import Claim, Manager
    from relay.store.custody.suite_key_records import KeyRecord
    from relay.store.custody.tenants import Tenant
    from relay.store.custody.vault import Grant
    from relay.store.presence.connected import OpenStreams
    from relay.store.presence.entries import TenantContact
    from relay.store.presence.push import PushStatus
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

_ORDER: Final = (
    TenantState.PENDING, TenantState.CONSENT_REQUIRED, TenantState.SUSPENDED, TenantState.ACTIVE, TenantState.REMOVED,
)  # fmt: skip
BATCH: Final = 200
"""Tenants whose standing is read together: some 3,000 commands in a round trip."""
_SECRETS: Final = frozenset({"notify_secret"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantReport:
    """Everything that operators see of one tenant. Not a consistent snapshot: its parts are read one after the other."""

    tenant: Tenant
    grants: Sequence[Grant]
    keys: Sequence[KeyRecord]
    users: int
    """Names that suites watch, each counted once."""
    streams: Mapping[str, OpenStreams]
    """Key id -> its open streams."""
    contact: TenantContact | None
    push: PushStatus | None
    managers: Sequence[Manager]
    claim: Claim
    """The contact who may still become a manager."""
    requests: Sequence[AccessRequest]
    now: datetime

    @property
    def age(self) -> timedelta | None:
        """The age of Microsoft's last confirmation; None when there is none."""
        if self.contact is None or not self.contact.contact_ms:
            return None
        return self.now - datetime.fromtimestamp(self.contact.contact_ms / 1000, tz=UTC)

    @property
    def open_suites(self) -> int:
        """Number of suites with an open stream."""
        return sum(1 for streams in self.streams.values() if streams.streams)

    @property
    def working_grants(self) -> int:
        """Number of grants that are not dead."""
        return sum(1 for grant in self.grants if grant.state is not GrantState.DEAD and not grant.sealed_shut)

    @property
    def reason(self) -> str:
        """The reason for trouble in a few words; empty without trouble."""
        if self.tenant.trouble is not None:
            return _trouble(self.tenant.trouble)
        if self.tenant.state is TenantState.PENDING:
            waits = _ago(self.now - (self.tenant.since or self.tenant.created)).removesuffix(" ago")
            return f"waits for your approval for {waits}"
        if self.tenant.state is TenantState.CONSENT_REQUIRED:
            return "no grant can be opened" if any(grant.sealed_shut for grant in self.grants) else "no grant"
        status = self.contact.status if self.contact is not None else Status.NONE
        if self.tenant.state is not TenantState.ACTIVE or status is Status.NONE:
            return ""
        if status is Status.ACCESS_DENIED:
            return f"access_denied: Microsoft lets none of its {self.working_grants} accounts read presence"
        return status.name.lower()


async def in_order(store: Store) -> list[Tenant]:
    """Return every tenant: first those that wait for approval, then those that need consent, each with the longest waiting first."""
    found = await Tenants(store).list()
    return sorted(found, key=lambda tenant: (_ORDER.index(tenant.state), tenant.since or tenant.created))


async def standings(store: Store, ring: KeyRing, tenants: Sequence[Tenant]) -> list[TenantReport]:
    """Return the standing of each of these tenants, in their order."""
    found: list[TenantReport] = []
    async with PipeliningStore(store.settings) as together:
        for start in range(0, len(tenants), BATCH):
            batch = tenants[start : start + BATCH]
            found += await asyncio.gather(*(_standing(together, ring, tenant) for tenant in batch))
    return found


async def _standing(store: PipeliningStore, ring: KeyRing, tenant: Tenant) -> TenantReport:
    tenant_id = tenant.tenant_id
    # `gather` has too many arguments here to keep their types, so the tasks are named.
    async with asyncio.TaskGroup() as reads:
        grants = reads.create_task(Vault(store, ring).list(tenant_id))
        suite_keys = reads.create_task(SuiteKeys(store).list(tenant_id))
        users = reads.create_task(Interest(store).count(tenant_id))
        streams = reads.create_task(ConnectedSuites(store).of(tenant_id))
        contact = reads.create_task(Presences(store).contact_of(tenant_id))
        push = reads.create_task(PushStatuses(store).load(tenant_id))
        managers = reads.create_task(Managers(store).read(tenant_id))
        requests = reads.create_task(AccessRequests(store, ring).list(tenant_id))
    return TenantReport(
        tenant=tenant,
        grants=grants.result(),
        keys=suite_keys.result(),
        users=users.result(),
        streams=streams.result(),
        contact=contact.result(),
        push=push.result(),
        managers=managers.result()[0],
        claim=managers.result()[1],
        requests=requests.result(),
        now=datetime.now(UTC),
    )


async def resumption(store: Store, ring: KeyRing, tenant_id: TenantId) -> tuple[TenantEvent, RefusalRecord | None]:
    """Return the event that resumes a tenant, and the refusal if the tenant needs a new consent."""
    grants = await Vault(store, ring).list(tenant_id)
    now = datetime.now(UTC)
    if not all_dead(remembered(grant.state, grant.last_error, now) for grant in grants if not grant.sealed_shut):
        return TenantEvent.RESUMED, None
    troubles = [grant.last_error for grant in grants if grant.last_error is not None]
    return TenantEvent.RESUMED_WITHOUT_GRANT, max(troubles, key=lambda trouble: trouble.at, default=None)


def lines(found: Sequence[TenantReport]) -> Iterator[str]:
    """Yield the list: a heading, and a line for each tenant."""
    rows = [("TENANT", "STATE", "SINCE", "USERS", "SUITES", "GRANTS", "FRESH", "DOMAIN", "REASON")]
    rows += [
        (
            one.tenant.tenant_id, one.tenant.state, _day(one.tenant.since or one.tenant.created), str(one.users),
            str(one.open_suites), f"{one.working_grants}/{len(one.grants)}", _ago(one.age), one.tenant.domain or "-",
            one.reason or "-",
        )
        for one in found
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def details(one: TenantReport) -> Iterator[str]:
    """Yield lines with everything of one tenant, for people."""
    tenant = one.tenant
    yield f"tenant   {tenant.tenant_id}"
    yield f"name     {tenant.name or '-'}"
    yield f"domain   {tenant.domain or '-'}"
    yield f"state    {tenant.state}" + (f", since {_minute(tenant.since)}" if tenant.since else "")
    if one.reason:
        yield f"reason   {one.reason}"
    yield from _small_print(tenant.trouble)
    yield f"created  {_minute(tenant.created)}"
    yield f"fresh    {_ago(one.age)}"
    yield f"users    {one.users} watched by {one.open_suites} suites"
    yield f"push     {push_words(one.push)}"
    yield from _people(one)
    for grant in one.grants:
        yield from _of_grant(grant)
    for key in one.keys:
        yield _of_key(key, one.streams.get(key.key_id))
    for name, value in sorted(tenant.settings.items()):
        yield f"setting  {name} = {'(kept, not shown)' if name in _SECRETS else value[:200]}"


def as_data(one: TenantReport) -> dict[str, Any]:
    """Return everything of one tenant as plain JSON values. Fields may be added."""
    tenant = one.tenant
    claim = {"name": one.claim.name, "ends": _iso(one.claim.ends), "is_over": one.claim.is_over}
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "domain": tenant.domain,
        "state": tenant.state.value,
        "reason": one.reason,
        "trouble": _as_data(tenant.trouble),
        "since": _iso(tenant.since),
        "created": _iso(tenant.created),
        "contact_age_s": None if one.age is None else round(one.age.total_seconds(), 1),
        "watched_users": one.users,
        "open_suites": one.open_suites,
        "managers": [_manager_data(manager) for manager in one.managers],
        "contact_claim": claim if one.claim.name else None,
        "requests": [_request_data(request) for request in one.requests],
        "grants": [_grant_data(grant) for grant in one.grants],
        "suite_keys": [_key_data(key, one.streams.get(key.key_id)) for key in one.keys],
    }


def _manager_data(manager: Manager) -> dict[str, Any]:
    return {
        "account_id": manager.account_id,
        "upn": manager.upn,
        "since": _iso(manager.since),
        "origin": manager.origin.value,
        "added_by": manager.added_by,
    }


def _request_data(request: AccessRequest) -> dict[str, Any]:
    return {
        "account_id": request.account_id,
        "upn": request.upn,
        "asked": _iso(request.asked),
        "state": request.state.value,
        "decided": _iso(request.decided),
    }


def _grant_data(grant: Grant) -> dict[str, Any]:
    return {
        "account_id": grant.account_id,
        "upn": grant.upn,
        "state": grant.state.value,
        "sealed_shut": grant.sealed_shut,
        "since": _iso(grant.since),
        "last_use": _iso(grant.last_use),
        "last_success": _iso(grant.last_success),
        "last_refresh": _iso(grant.last_refresh),
        "last_error": _as_data(grant.last_error),
    }


def _key_data(key: KeyRecord, streams: OpenStreams | None) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "label": key.label,
        "created": _iso(key.created),
        "last_used": _iso(key.last_used),
        "revoked": _iso(key.revoked),
        "streams": streams.streams if streams is not None else 0,
    }


def push_words(status: PushStatus | None) -> str:
    """Describe for operators how many users are pushed and how many polled."""
    if status is None:
        return "not known yet: no worker has read this tenant"
    if status.is_off:
        return "off: RELAY_WEBHOOK_URL is not set, or this cloud has no change notifications"
    silent = f", {status.silent} of them because notifications fell silent" if status.silent else ""
    return f"{status.pushed} pushed, {status.polled} polled{silent}" + (f" ({status.reason})" if status.reason else "")


def _people(one: TenantReport) -> Iterator[str]:
    """Yield lines about managers, the contact who may become one, and requests for access."""
    for manager in one.managers:
        by = f", named by {manager.added_by}" if manager.added_by else ""
        yield f"manager  {manager.upn or manager.account_id}  {manager.origin}{by}, since {_minute(manager.since)}"
    if not one.managers:
        yield f"manager  nobody: presence-relay tenants manager add {one.tenant.tenant_id} NAME"
    if one.claim.name:
        ends = "did not sign in in time" if one.claim.is_over else f"may sign in until {_minute(one.claim.ends)}"
        yield f"contact  {one.claim.name}  {ends}"
    for request in one.requests:
        yield f"request  {request.upn or request.account_id}  {request.state}, asked {_minute(request.asked)}"


def _of_grant(grant: Grant) -> Iterator[str]:
    trouble = "its key is missing from the key ring" if grant.sealed_shut else grant.error
    yield f"grant    {grant.upn or grant.account_id}  {grant.state}{f' ({trouble})' if trouble else ''}"
    times = (
        ("since", grant.since), ("last used", grant.last_use), ("last success", grant.last_success),
        ("last refresh", grant.last_refresh), ("last error", grant.last_error.at if grant.last_error else None),
    )  # fmt: skip
    yield "         " + ", ".join(f"{what} {_minute(time)}" for what, time in times if time is not None)
    yield from _small_print(grant.last_error)


def _of_key(key: KeyRecord, streams: OpenStreams | None) -> str:
    used = f"last used {key.last_used:%Y-%m-%d %H:00} UTC" if key.last_used else "never used"
    ended = f"revoked {_minute(key.revoked)}" if key.revoked else used
    now = f"  {streams.streams} streams, {streams.users} users" if streams is not None and streams.streams else ""
    return f"key      {key.key_id}  {key.label or '-'}  {ended}{now}"


def _small_print(trouble: RefusalRecord | None) -> Iterable[str]:
    if trouble is None:
        return
    said = trouble.said
    if said.words:
        yield f"         Microsoft: {said.words}"
    marks = [("trace", said.trace_id), ("correlation", said.correlation_id), ("time", said.time)]
    if any(value for _, value in marks):
        yield "         " + ", ".join(f"{name} {value}" for name, value in marks if value)


def _trouble(trouble: RefusalRecord) -> str:
    error, _, suberror = trouble.code.partition("/")
    number = f" AADSTS{trouble.said.number}" if trouble.said.number else ""
    return f"{trouble.code}{number}: {classify(error, suberror, [trouble.said.number]).sentence}"


def _as_data(trouble: RefusalRecord | None) -> dict[str, Any] | None:
    if trouble is None:
        return None
    said = trouble.said
    return {
        "code": trouble.code, "at": _iso(trouble.at), "number": said.number or None, "words": said.words,
        "trace_id": said.trace_id, "correlation_id": said.correlation_id, "time": said.time,
    }  # fmt: skip


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _ago(age: timedelta | None) -> str:
    if age is None:
        return "never"
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
