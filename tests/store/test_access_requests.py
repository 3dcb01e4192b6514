"""Requests to read for a tenant: they wait for a yes, bounded in number and time, and no right comes of asking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from relay.core.audit.events import Actor, EventKind
from relay.store.custody.access_requests import MOST_KEPT, MOST_WAITING, WAITS, AccessRequests, AskOutcome, RequestState
from relay.store.custody.admissions import AdmissionRequest, Admissions, Admitted, RequestGone
from relay.store.custody.audit import AuditLog
from relay.store.custody.managers import Managers
from relay.store.custody.reseal import Sealed
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import TENANT, user

OLD_RING = make_ring("k1", now_s=0)
OLD = KeyRing.from_json(OLD_RING)
NEW = KeyRing.from_json(make_ring("k2", now_s=1, older=OLD_RING))
ADA, BEN = user(1), user(2)
BY_ADA = Actor.account("ada@b.de", ADA)


@pytest.fixture
async def requests(store: Store) -> AccessRequests:
    await admit(store, ADA, "ada@b.de")
    return AccessRequests(store, OLD)


async def admit(store: Store, account: str, upn: str, **how: object) -> Admitted:
    settings = {"contact_email": ""}
    return await Admissions(store, OLD).admit(
        AdmissionRequest(
            tenant_id=TENANT,
            account_id=account,
            upn=upn,
            token_cache="cache",
            name="",
            domain="",
            settings=settings,
            **how,
        )
    )


async def ask(requests: AccessRequests, number: int = 2, cache: str = "ben's") -> AskOutcome:
    return await requests.ask(TENANT, user(number), upn=f"u{number}@b.de", token_cache=cache)


async def test_a_request_waits_sealed_and_gives_nothing(requests: AccessRequests, store: Store, raw: Redis):
    assert await ask(requests) is AskOutcome.ASKED
    (request,) = await requests.list(TENANT)
    assert (request.account_id, request.state) == (BEN, RequestState.WAITING)
    assert await requests.consent(TENANT, BEN) == "ben's"
    key = keys.request(TENANT, BEN)
    assert b"ben's" not in await raw.get(key)
    assert 0 < await raw.pttl(key) <= WAITS.total_seconds() * 1000
    assert [grant.account_id for grant in await Vault(store, OLD).list(TENANT)] == [ADA]
    assert not await Managers(store).is_manager(TENANT, BEN)


async def test_a_sealed_consent_opens_for_its_own_account_only(requests: AccessRequests, raw: Redis):
    await ask(requests, 2)
    await ask(requests, 3)
    await raw.set(keys.request(TENANT, user(3)), await raw.get(keys.request(TENANT, BEN)))
    assert await requests.consent(TENANT, user(3)) is None


@pytest.mark.each_topology
async def test_a_yes_makes_a_grant_and_no_manager_and_cannot_be_said_twice(requests: AccessRequests, store: Store):
    await ask(requests)
    request = (await requests.list(TENANT))[0]
    assert not (await admit(store, BEN, "u2@b.de", asked=request)).is_first
    assert (await requests.load(TENANT, BEN)).state is RequestState.ACCEPTED  # type: ignore[union-attr]
    assert await requests.consent(TENANT, BEN) is None
    with pytest.raises(RequestGone):
        await admit(store, BEN, "u2@b.de", asked=request)
    assert not await Managers(store).is_manager(TENANT, BEN)


async def test_a_no_deletes_the_consent_and_is_told(requests: AccessRequests, store: Store):
    await ask(requests)
    request = (await requests.list(TENANT))[0]
    assert await requests.refuse(TENANT, request, BY_ADA)
    assert not await requests.refuse(TENANT, request, BY_ADA)
    assert await requests.consent(TENANT, BEN) is None
    assert (await requests.load(TENANT, BEN)).state is RequestState.REFUSED  # type: ignore[union-attr]
    kinds = [one.entry.kind for one in (await AuditLog(store).page(TENANT)).entries]
    assert kinds[:2] == [EventKind.ACCESS_REFUSED, EventKind.ACCESS_ASKED]


async def test_of_a_yes_and_a_no_at_once_one_holds(requests: AccessRequests, store: Store):
    await ask(requests)
    request = (await requests.list(TENANT))[0]
    refused, admitted = await asyncio.gather(
        requests.refuse(TENANT, request, BY_ADA), admit(store, BEN, "u2@b.de", asked=request), return_exceptions=True
    )
    grants = {grant.account_id for grant in await Vault(store, OLD).list(TENANT)}
    assert (BEN in grants) is isinstance(admitted, Admitted) is not refused


async def test_asking_again_replaces_the_consent_and_tells_nobody_twice(requests: AccessRequests, store: Store):
    await ask(requests)
    assert await ask(requests, cache="newer") is AskOutcome.AGAIN
    assert await requests.consent(TENANT, BEN) == "newer"
    kinds = [one.entry.kind for one in (await AuditLog(store).page(TENANT)).entries]
    assert kinds.count(EventKind.ACCESS_ASKED) == len(await requests.list(TENANT)) == 1


async def test_requests_are_bounded(requests: AccessRequests, store: Store):
    for number in range(10, 10 + MOST_WAITING):
        assert await ask(requests, number) is AskOutcome.ASKED
    assert await ask(requests, 99) is AskOutcome.FULL
    assert await ask(requests, 10) is AskOutcome.AGAIN
    assert await requests.consent(TENANT, user(99)) is None
    for number in range(100, 100 + MOST_KEPT):
        await requests.refuse(TENANT, (await requests.list(TENANT))[0], BY_ADA)
        await ask(requests, number)
    assert len(await requests.list(TENANT)) <= MOST_KEPT


@pytest.mark.each_topology
async def test_a_request_expires_and_says_so(requests: AccessRequests, raw: Redis):
    await ask(requests)
    key = keys.tenant_requests(TENANT)
    old = int((datetime.now(UTC) - WAITS).timestamp() * 1000)
    await raw.hset(key, BEN, f'{{"upn":"u2@b.de","asked_ms":{old},"state":"waiting"}}')
    assert (await requests.load(TENANT, BEN)).state is RequestState.EXPIRED  # type: ignore[union-attr]
    assert await ask(requests) is AskOutcome.ASKED


async def test_requests_take_part_in_a_rotation(requests: AccessRequests, store: Store, raw: Redis):
    await ask(requests)
    assert (await Sealed(store).census()).under("k1")["requests for access"] == 1
    async for _ in Sealed(store).reencrypt(NEW):
        pass
    assert (await Sealed(store).census()).under("k2")["requests for access"] == 1
    assert await AccessRequests(store, NEW).consent(TENANT, BEN) == "ben's"
    assert await raw.pttl(keys.request(TENANT, BEN)) > 0


async def test_a_tenant_that_leaves_takes_its_requests_along(requests: AccessRequests, store: Store, raw: Redis):
    await ask(requests)
    await Tenants(store).remove(TENANT)
    assert not await raw.exists(keys.request(TENANT, BEN), keys.tenant_requests(TENANT))
    assert await ask(requests) is AskOutcome.NO_TENANT


async def test_whoever_asks_may_take_it_back_and_tells_nobody_again_within_a_day(
    requests: AccessRequests, store: Store
):
    await ask(requests)
    for _ in range(3):
        request = (await requests.list(TENANT))[0]
        assert await requests.withdraw(TENANT, request)
        assert not await requests.withdraw(TENANT, request)
        assert await requests.consent(TENANT, BEN) is None
        assert (await requests.load(TENANT, BEN)).state is RequestState.WITHDRAWN  # type: ignore[union-attr]
        with pytest.raises(RequestGone):
            await admit(store, BEN, "u2@b.de", asked=request)
        assert await ask(requests) is AskOutcome.AGAIN
    kinds = [one.entry.kind for one in (await AuditLog(store).page(TENANT)).entries]
    assert kinds[:2] == [EventKind.ACCESS_ASKED, EventKind.ACCESS_WITHDRAWN], "the log tells of each all the same"
