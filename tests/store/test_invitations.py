"""Invitations: sealed, for some days, used once, on disk."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from relay.core.presence import TenantId
from relay.errors import StoreUnavailable
from relay.store.sealing.invitations import Invitation, Invitations, new_token
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store
from tests.support.valkey import ValkeyServer

RING = KeyRing.from_json(make_ring("test", now_s=0))
TOKEN = new_token()


def invitation(life: timedelta = timedelta(days=3)) -> Invitation:
    expires = datetime.now(UTC) + life
    return Invitation(domain="contoso.example", tenant_id=TenantId("t"), contact="Ada Adler", expires=expires)


@pytest.fixture
def invitations(store: Store) -> Invitations:
    return Invitations(store, RING)


@pytest.mark.each_topology
async def test_a_link_leads_to_what_was_put_and_the_store_shows_neither(invitations: Invitations, raw: Redis):
    put = invitation()
    await invitations.put(TOKEN, put)
    assert await invitations.load(TOKEN) == put
    (key,) = await raw.keys("*")
    assert TOKEN.encode() not in key
    assert b"Ada" not in await raw.get(key)
    assert "Ada" not in repr(put)
    assert 2 * 86_400_000 < await raw.pttl(key) <= 3 * 86_400_000


async def test_of_many_that_use_a_link_one_may(invitations: Invitations):
    await invitations.put(TOKEN, invitation())
    used = await asyncio.gather(*(invitations.use(TOKEN) for _ in range(10)))
    assert sorted(used) == [False] * 9 + [True]
    assert await invitations.load(TOKEN) is None


async def test_a_link_that_expired_or_never_was_leads_nowhere(invitations: Invitations):
    await invitations.put(TOKEN, invitation(timedelta(seconds=-1)))
    async with asyncio.timeout(30):
        while await invitations.load(TOKEN) is not None:  # noqa: ASYNC110  there is nobody to tell of it
            await asyncio.sleep(0)
    for token in ("", "x", new_token(), "x" * 1_000_000):
        assert await invitations.load(token) is None


async def test_a_link_moved_to_another_token_or_damaged_does_not_open(invitations: Invitations, raw: Redis):
    await invitations.put(TOKEN, invitation())
    (key,) = await raw.keys("*")
    other = new_token()
    await invitations.put(other, invitation())
    (another,) = set(await raw.keys("*")) - {key}
    await raw.set(another, await raw.get(key))
    assert await invitations.load(other) is None
    await raw.set(key, b"garbage")
    assert await invitations.load(TOKEN) is None


async def test_a_link_and_its_use_survive_a_crash(invitations: Invitations, valkey: ValkeyServer):
    kept, used = new_token(), new_token()
    for token in (kept, used):
        await invitations.put(token, invitation())
    await invitations.use(used)
    valkey.kill()
    valkey.start()
    with contextlib.suppress(StoreUnavailable):  # the first command after a restart may find its connection gone
        await invitations.load(kept)
    assert await invitations.load(kept) is not None
    assert await invitations.load(used) is None
