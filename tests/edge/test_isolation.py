"""No suite ever receives anything of a tenant that its key does not belong to: attempts to break it."""

from __future__ import annotations

import grpc
import pytest

from presence_api.v1 import presence_pb2
from relay.store.custody.tenants import Tenants
from tests.edge.suite import SuiteStream
from tests.edge.worker import OTHER, TENANT, name, user


@pytest.fixture
async def other_key(worker) -> str:
    return (await worker.enrol(OTHER)).text


def everything(stream: SuiteStream) -> str:
    return "".join(str(response) for response in stream.responses)


async def test_the_same_names_and_ids_in_two_tenants_are_two_people(worker, suite, other_key) -> None:
    await worker.users(3, TENANT, "mine")
    await worker.users(3, OTHER, "theirs")
    mine = await suite().open(name(0), name(1)).ready()
    theirs = await suite(other_key).open(name(0), name(1)).ready()
    for n in range(20):
        await worker.found({user(n % 3): f"mine-{n}"}, TENANT)
        await worker.found({user(n % 3): f"theirs-{n}"}, OTHER)
    await mine.shows({user(0): "mine-18", user(1): "mine-19"})
    await theirs.shows({user(0): "theirs-18", user(1): "theirs-19"})
    assert "theirs" not in everything(mine)
    assert "mine" not in everything(theirs)


async def test_headers_that_name_another_tenant_change_nothing(worker, suite, other_key) -> None:
    await worker.users(1, TENANT, "mine")
    await worker.users(1, OTHER, "theirs")
    forged = [("tenant", TENANT), ("x-tenant-id", TENANT), ("tenant-id", TENANT), ("x-forwarded-for", "127.0.0.1")]
    theirs = await suite(other_key, metadata=forged).open(name(0)).ready()
    assert theirs.activity(user(0)) == "theirs-0"


async def test_two_credentials_in_one_call_are_refused(worker, suite, key, other_key) -> None:
    for first, second in ((key, other_key), (other_key, key)):
        forged = [("authorization", f"Bearer {first}"), ("authorization", f"Bearer {second}")]
        stream = suite(None, metadata=forged).open(name(0))
        assert (await stream.ending()).code is grpc.StatusCode.UNAUTHENTICATED


async def test_half_of_one_key_and_half_of_another_is_no_key(worker, suite, key, other_key) -> None:
    mixed = key[: len("psk_") + 17] + other_key[len("psk_") + 17 :]
    assert (await suite(mixed).open(name(0)).ending()).code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_and_held_users_of_another_tenant_give_nothing_away(worker, suite, other_key) -> None:
    await worker.users(2, TENANT, "mine")
    mine = await suite().open(name(0)).ready()
    thief = suite(other_key).open(name(0), resume_token=mine.token, held_users=mine.held())
    assert (await thief.ending()).reason == "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT"
    assert thief.responses == []
    # Without the token, ids of the other tenant's users stand for nobody.
    held = [presence_pb2.ResolvedName(user=name(0), user_id=user(0))]
    asked = await suite(other_key).open(user(0), user(1), held_users=held).ready()
    assert "mine" not in everything(asked)
    assert asked.answers == {}


async def test_keys_of_two_tenants_on_one_connection_stay_apart_while_streams_come_and_go(
    worker, suite, channel, key, other_key
) -> None:
    await worker.users(2, TENANT, "mine")
    await worker.users(2, OTHER, "theirs")
    streams = []
    for n in range(20):
        owner = (key, other_key)[n % 2]
        stream = await suite(owner, channel).open(name(0)).ready()
        await stream.change([name(1)], [name(0)] if n % 3 else [])
        streams.append(stream)
        if n % 4 == 3:
            await streams[n - 3].kill()
    await worker.found({user(1): "mine-last"}, TENANT)
    await worker.found({user(1): "theirs-last"}, OTHER)
    for n, stream in enumerate(streams):
        if n % 4 != 0 or n >= 20:
            await stream.shows({user(1): ("mine-last", "theirs-last")[n % 2]})
        assert ("theirs", "mine")[n % 2] not in everything(stream)


async def test_one_tenants_removal_does_not_end_the_others_streams(worker, suite, store, other_key) -> None:
    await worker.users(1, TENANT, "mine")
    mine = await suite().open(name(0)).ready()
    theirs = await suite(other_key).open(name(0)).ready()
    await Tenants(store).remove(OTHER)
    assert (await theirs.ending()).reason in ("ERROR_REASON_SUITE_KEY_REVOKED", "ERROR_REASON_TENANT_REMOVED")
    await worker.found({user(0): "still"}, TENANT)
    await mine.shows({user(0): "still"})
