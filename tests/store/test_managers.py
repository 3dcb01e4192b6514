"""Managers of a tenant: whoever connects it, the contact once, and those whom they name; one always remains."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from relay.core.audit.events import OPERATOR, RELAY, Actor, EventKind
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.core.presence import UserId
from relay.errors import TenantRemoved
from relay.store.custody.admissions import AdmissionRequest, Admissions, Admitted, MustAsk
from relay.store.custody.audit import AuditLog
from relay.store.custody.managers import (
    CLAIM_LASTS,
    MOST_MANAGERS,
    AddOutcome,
    Manager,
    Managers,
    Origin,
    RemoveOutcome,
    RightEnded,
)
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.store.samples import NOW, TENANT, user

RING = KeyRing.from_json(make_ring("test", now_s=0))
ADA, BEN, SERVICE = user(1), user(2), user(3)
BY_ADA = Actor.account("ada@b.de", ADA)


async def connect(
    store: Store, account: UserId = SERVICE, upn: str = "service@b.de", contact: str = "Ada@b.de", **how: bool
) -> Admitted:
    return await Admissions(store, RING).admit(
        AdmissionRequest(
            tenant_id=TENANT,
            account_id=account,
            upn=upn,
            token_cache="cache",
            name="",
            domain="b.de",
            settings={"contact_email": contact},
            **how,
        )
    )


async def names(store: Store) -> set[str]:
    return {one.upn for one in await Managers(store).list(TENANT)}


@pytest.mark.each_topology
async def test_whoever_connects_a_tenant_looks_after_it_and_nobody_else_who_consents(store: Store):
    assert await connect(store) == Admitted(TenantState.ACTIVE, is_first=True)
    assert await connect(store, BEN, "ben@b.de", "ben@b.de") == Admitted(TenantState.ACTIVE, is_first=False)
    (manager,) = await Managers(store).list(TENANT)
    assert (manager.account_id, manager.upn, manager.origin) == (SERVICE, "service@b.de", Origin.CONNECTED)
    assert not await Managers(store).is_manager(TENANT, BEN)


async def test_of_two_who_connect_at_once_one_looks_after_it_and_the_other_must_ask(store: Store):
    done = await asyncio.gather(
        connect(store, ADA, "ada@b.de", by_wizard=True),
        connect(store, BEN, "ben@b.de", by_wizard=True),
        return_exceptions=True,
    )
    assert sorted(map(type, done), key=str) == sorted([Admitted, MustAsk], key=str)
    assert len(await Managers(store).list(TENANT)) == len(await Vault(store, RING).list(TENANT)) == 1


async def test_the_wizard_changes_nothing_of_a_connected_tenant(store: Store):
    await connect(store, contact="")
    before = await Tenants(store).load(TENANT)
    with pytest.raises(MustAsk):
        await connect(store, BEN, "ben@b.de", "ben@b.de", by_wizard=True)
    await connect(store, SERVICE, "service@b.de", "ben@b.de", by_wizard=True)
    assert await Tenants(store).load(TENANT) == before
    assert not await Managers(store).claim(TENANT, BEN, "ben@b.de")


async def test_the_contact_comes_once_and_is_bound_to_the_object_id(store: Store):
    await connect(store)
    managers = Managers(store)
    assert not await managers.claim(TENANT, BEN, "ben@b.de")
    assert await managers.claim(TENANT, ADA, "ada@B.de")
    assert not await managers.claim(TENANT, BEN, "ada@b.de"), "the name was given to somebody else"
    assert [one.origin for one in await managers.list(TENANT)] == [Origin.CONNECTED, Origin.CONTACT]
    (told, *_) = (await AuditLog(store).page(TENANT)).entries
    assert (told.entry.kind, told.entry.subject_id) == (EventKind.MANAGER_ADDED, ADA)


async def test_a_contact_who_does_not_come_in_time_may_not_come_until_named_again(store: Store, raw: Redis):
    """Names are given to others: an old claim would be theirs."""
    await connect(store)
    managers, over_ms = Managers(store), int((datetime.now(UTC) - CLAIM_LASTS).timestamp() * 1000)
    _, claim = await managers.read(TENANT)
    assert (claim.name, claim.is_over) == ("Ada@b.de", False)
    await raw.hset(keys.tenant(TENANT), "claim_ms", over_ms)
    _, claim = await managers.read(TENANT)
    assert (claim.name, claim.is_over) == ("Ada@b.de", True)
    assert not await managers.claim(TENANT, ADA, "ada@b.de")
    await Tenants(store).change_settings(TENANT, {"contact_email": "ben@b.de"}, BY_ADA)
    await Tenants(store).change_settings(TENANT, {"contact_email": "ada@b.de"}, BY_ADA)
    assert await managers.claim(TENANT, ADA, "ada@b.de")


async def test_what_rests_on_a_right_that_has_ended_is_not_done(store: Store):
    managers = Managers(store)
    await connect(store)
    await managers.add(TENANT, ADA, "ada@b.de", BY_ADA)
    for step in (
        managers.add(TENANT, BEN, "ben@b.de", BY_ADA, right_of=BEN),
        managers.remove(TENANT, await manager(store, ADA), BY_ADA, right_of=BEN),
    ):
        with pytest.raises(RightEnded):
            await step
    assert {one.account_id for one in await managers.list(TENANT)} == {SERVICE, ADA}


async def test_of_two_with_the_contacts_name_at_once_one_gets_in(store: Store):
    await connect(store)
    got = await asyncio.gather(*(Managers(store).claim(TENANT, user(n), "ada@b.de") for n in range(10, 20)))
    assert sum(got) == 1
    assert len(await Managers(store).list(TENANT)) == 2


async def test_a_contact_whose_right_was_ended_stays_out_until_a_manager_names_another(store: Store):
    managers = Managers(store)
    await connect(store, ADA, "ada@b.de")
    await managers.add(TENANT, SERVICE, "service@b.de", BY_ADA)
    assert await managers.remove(TENANT, await manager(store, ADA), BY_ADA) is RemoveOutcome.REMOVED
    assert not await managers.claim(TENANT, ADA, "ada@b.de")
    await Tenants(store).change_settings(TENANT, {"language": "it"}, BY_ADA)
    assert not await managers.claim(TENANT, ADA, "ada@b.de")
    await Tenants(store).change_settings(TENANT, {"contact_email": "ben@b.de"}, BY_ADA)
    assert await managers.claim(TENANT, BEN, "ben@b.de")


async def test_a_contact_who_never_came_is_kept_out_by_ending_the_right_of_that_name(store: Store):
    managers = Managers(store)
    await connect(store)
    await managers.add(TENANT, ADA, "ada@b.de", OPERATOR)
    await managers.remove(TENANT, await manager(store, ADA), OPERATOR)
    assert not await managers.claim(TENANT, ADA, "ada@b.de")


async def test_one_always_remains(store: Store):
    await connect(store, ADA, "ada@b.de")
    managers = Managers(store)
    ada = await manager(store, ADA)
    assert await managers.remove(TENANT, ada, BY_ADA) is RemoveOutcome.LAST
    await managers.add(TENANT, BEN, "ben@b.de", BY_ADA)
    ben = await manager(store, BEN)
    done = await asyncio.gather(managers.remove(TENANT, ada, OPERATOR), managers.remove(TENANT, ben, OPERATOR))
    assert sorted(done, key=str) == sorted([RemoveOutcome.REMOVED, RemoveOutcome.LAST], key=str)
    assert len(await managers.list(TENANT)) == 1


async def test_they_are_bounded_and_named_once(store: Store):
    await connect(store)
    managers = Managers(store)
    assert await managers.add(TENANT, user(10), "u10@b.de", BY_ADA) is AddOutcome.ADDED
    assert await managers.add(TENANT, user(10), "u10@b.de", BY_ADA) is AddOutcome.THERE
    for number in range(11, 11 + MOST_MANAGERS - 2):
        await managers.add(TENANT, user(number), f"u{number}@b.de", BY_ADA)
    assert await managers.add(TENANT, user(99), "u99@b.de", BY_ADA) is AddOutcome.FULL
    assert not await managers.claim(TENANT, ADA, "ada@b.de")
    assert len(await managers.list(TENANT)) == MOST_MANAGERS


async def test_a_tenant_that_is_not_there_has_none(store: Store):
    assert await Managers(store).list(TENANT) == []
    with pytest.raises(TenantRemoved):
        await Managers(store).add(TENANT, ADA, "ada@b.de", OPERATOR)


async def test_a_removal_takes_them_along(store: Store, raw: Redis):
    await connect(store)
    await Tenants(store).remove(TENANT, RELAY)
    assert not await raw.exists(keys.tenant_managers(TENANT))
    assert (await connect(store, BEN, "ben@b.de", by_wizard=True)).is_first


async def old(store: Store) -> None:
    """A tenant as the release before wrote it: Ada reads longest, Ben too, and Cleo is the contact."""
    settings = {"contact_email": "cleo@b.de"}
    await Tenants(store).put(Tenant(tenant_id=TENANT, state=TenantState.ACTIVE, created=NOW, settings=settings))
    for account, upn, created in ((ADA, "ada@b.de", 2), (BEN, "ben@b.de", 3)):
        await Vault(store, RING).save(
            Grant(
                tenant_id=TENANT,
                account_id=account,
                upn=upn,
                token_cache="cache",
                state=GrantState.HEALTHY,
                created=datetime.fromtimestamp(created, UTC),
            ),
            NEW,
        )


async def test_of_a_tenant_from_before_the_oldest_reading_account_and_the_contact_look_after_it(store: Store):
    await old(store)
    found = await asyncio.gather(*(Managers(store).list(TENANT) for _ in range(5)))
    assert all(
        [(one.account_id, one.upn, one.origin) for one in each] == [(ADA, "ada@b.de", Origin.OLDEST)] for each in found
    )
    entries = (await AuditLog(store).page(TENANT)).entries
    assert [(one.entry.kind, one.entry.by.kind, one.entry.subject) for one in entries] == [
        (EventKind.MANAGER_ADDED, "relay", "ada@b.de")
    ]
    assert await Managers(store).claim(TENANT, user(9), "cleo@b.de")
    assert await names(store) == {"ada@b.de", "cleo@b.de"}


async def test_nobody_slips_in_before_a_tenant_from_before_is_settled(store: Store):
    await old(store)
    with pytest.raises(MustAsk):
        await connect(store, user(9), "eve@b.de", "eve@b.de", by_wizard=True)
    assert await names(store) == {"ada@b.de"}


async def test_a_tenant_from_before_that_nobody_reads_for_is_left_to_its_contact_and_the_operator(store: Store):
    await Tenants(store).put(Tenant(tenant_id=TENANT, state=TenantState.CONSENT_REQUIRED, created=NOW))
    assert await names(store) == set()
    with pytest.raises(MustAsk):
        await connect(store, BEN, "ben@b.de", by_wizard=True)
    assert await Managers(store).add(TENANT, ADA, "ada@b.de", OPERATOR) is AddOutcome.ADDED


async def manager(store: Store, account: UserId) -> Manager:
    return next(one for one in await Managers(store).list(TENANT) if one.account_id == account)
