"""Sentinels, clusters and servers that are set up wrongly or refuse for ever: told in an operator's words, and not hammered."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from relay.errors import NotPrimary, StoreUnavailable
from relay.store.server import inspection
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.election import SentinelAnswer, SentinelView
from relay.store.server.inspection import ReplicaState, replica_faults
from relay.store.server.slots import SLOTS, SlotRange
from tests.support.scripted_redis import ScriptedRedis, bulk, listed, number
from tests.support.valkey import ValkeyServer, free_port
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)
REFUSED = 15
REPLICA = bulk("role:slave\r\nmaster_replid:aa\r\n")
READONLY = b"-READONLY You can't write against a read only replica.\r\n"


def sentinel(port: int, epoch: int = 1, others: int = 0, **said: str) -> ScriptedRedis:
    """A sentinel that names a primary."""
    fields = {
        "ip": "127.0.0.1",
        "port": str(port),
        "flags": "master",
        "config-epoch": str(epoch),
        "quorum": "1",
        "num-other-sentinels": str(others),
        "num-slaves": "1",
        **said,
    }
    return ScriptedRedis({"SENTINEL": listed(*(bulk(word) for pair in fields.items() for word in pair))})


def url_of(*sentinels: ScriptedRedis) -> str:
    return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in sentinels)}/relay"


def slots(*ranges: tuple[int, int, str, int]) -> bytes:
    """An answer to CLUSTER SLOTS."""
    return listed(
        *(
            listed(number(first), number(last), listed(bulk(host), number(port), bulk("id")))
            for first, last, host, port in ranges
        )
    )


async def test_an_address_that_nobody_answers_at_is_told_with_who_said_it(valkey: ValkeyServer) -> None:
    async with (
        sentinel(port := free_port()) as one,
        Store(StoreSettings(url=url_of(one), operation_timeout=SECOND)) as store,
    ):
        with pytest.raises(
            StoreUnavailable, match=rf"127\.0\.0\.1:{port} \(as the sentinels say\): The store does not"
        ):
            await store.preflight()


async def test_a_service_that_the_sentinels_do_not_know_is_told_by_name() -> None:
    async with ScriptedRedis({"SENTINEL": b"-ERR No such master with that name\r\n"}) as one:
        url = f"redis+sentinel://127.0.0.1:{one.port},127.0.0.1:{free_port()}/oter"
        async with Store(StoreSettings(url=url, operation_timeout=SECOND)) as store:
            with pytest.raises(StoreUnavailable, match="No sentinel names a primary for 'oter'") as caught:
                await store.preflight()
            assert "does not know the service" in str(caught.value)
            assert "does not answer" in str(caught.value)


async def test_of_two_sentinels_that_disagree_the_newer_configuration_is_followed_and_both_are_told(
    valkey: ValkeyServer,
) -> None:
    async with (
        sentinel(free_port(), epoch=1) as older,
        sentinel(valkey.port, epoch=2) as newer,
        Store(StoreSettings(url=url_of(older, newer))) as store,
    ):
        await store.command("SET", "k", 1)
        faults = await store.inspect()
    assert any("the sentinels disagree" in fault for fault in faults)
    assert any("knows 0 other sentinels" in fault for fault in faults)


async def test_what_a_server_refuses_for_ever_is_told_and_neither_flooded_nor_followed_in_circles(
    valkey: ValkeyServer,
) -> None:
    async with (
        ScriptedRedis({"SET": READONLY, "INFO": REPLICA}) as server,
        sentinel(server.port) as one,
        Store(StoreSettings(url=url_of(one))) as store,
    ):
        for _ in range(REFUSED):
            with pytest.raises(NotPrimary):
                await store.command("SET", "k", 1)
        assert server.asked["SET"] == REFUSED, "none is repeated while no other server is named"
        assert server.connections <= 20
        with pytest.raises(NotPrimary, match="is a replica"):
            await store.preflight()


async def test_a_failing_crowd_asks_the_sentinels_no_more_often_than_one() -> None:
    async with (
        ScriptedRedis({"SET": READONLY}) as server,
        sentinel(server.port) as one,
        Store(StoreSettings(url=url_of(one), operation_timeout=60 * SECOND)) as store,
    ):

        async def fail() -> None:
            with pytest.raises(NotPrimary):
                await store.command("SET", "k", 1)

        await asyncio.gather(*(fail() for _ in range(200)))
        assert one.asked["SENTINEL"] < 100


async def test_a_slow_server_is_waited_for_and_its_sentinels_are_asked_all_the_same(valkey: ValkeyServer) -> None:
    async with (
        ScriptedRedis({"GET": bulk("v")}, pause_s=0.3) as server,
        sentinel(server.port) as one,
        Store(StoreSettings(url=url_of(one), operation_timeout=5 * SECOND)) as store,
    ):
        assert await store.command("GET", "k") == b"v"
        asking = asyncio.gather(*(store.command("GET", "k") for _ in range(10)))
        one.answers["SENTINEL"] = sentinel(valkey.port, epoch=2).answers["SENTINEL"]
        await eventually(lambda: one.asked["SENTINEL"] >= 2)
        await asyncio.gather(asking, return_exceptions=True)
        assert await eventually(lambda: _set(store))


async def _set(store: Store) -> bool:
    try:
        return bool(await store.command("SET", "moved", 1))
    except StoreUnavailable:
        return False


async def test_a_cluster_that_announces_addresses_nobody_reaches_is_told(valkey: ValkeyServer) -> None:
    port = free_port()
    answer = slots((0, SLOTS - 1, "127.0.0.1", port))
    async with (
        ScriptedRedis({"CLUSTER": answer}) as node,
        Store(StoreSettings(url=f"redis+cluster://127.0.0.1:{node.port}", operation_timeout=SECOND)) as store,
    ):
        with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{port} \(as the cluster says\)"):
            await store.preflight()


async def test_slots_that_nobody_has_are_told_and_the_others_work(valkey: ValkeyServer) -> None:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(ScriptedRedis({}))
        node.answers["CLUSTER"] = slots((0, 8191, "", node.port))
        settings = StoreSettings(url=f"redis+cluster://127.0.0.1:{node.port}", operation_timeout=SECOND)
        store = await stack.enter_async_context(Store(settings))
        assert await store.command("SET", "b", 1)  # slot 3300
        with pytest.raises(StoreUnavailable, match="CLUSTERDOWN"):
            await store.command("SET", "a", 1)  # slot 15495
        servers = store.topology.presence
        assert any("8192 of 16384 slots" in fault for fault in await servers.inspect())


async def test_a_slot_that_is_said_to_be_elsewhere_for_ever_is_not_followed_for_ever() -> None:
    async with ScriptedRedis({}) as node:
        node.answers |= {
            "CLUSTER": slots((0, SLOTS - 1, "127.0.0.1", node.port)),
            "SET": f"-MOVED 15495 127.0.0.1:{node.port}\r\n".encode(),
        }
        settings = StoreSettings(url=f"redis+cluster://127.0.0.1:{node.port}", operation_timeout=SECOND)
        async with Store(settings) as store:
            with pytest.raises(StoreUnavailable, match="MOVED"):
                await store.command("SET", "a", 1)
        assert node.asked["SET"] <= 8


async def test_a_node_that_others_have_not_heard_of_yet_is_kept_for_a_while() -> None:
    async with ScriptedRedis({}) as known, ScriptedRedis({}) as new:
        known.answers |= {
            "CLUSTER": slots((0, SLOTS - 1, "127.0.0.1", known.port)),
            "SET": f"-MOVED 15495 127.0.0.1:{new.port}\r\n".encode(),
        }
        new.answers["CLUSTER"] = known.answers["CLUSTER"]
        settings = StoreSettings(url=f"redis+cluster://127.0.0.1:{known.port}", operation_timeout=SECOND)
        async with Store(settings) as store:
            looks = known.asked["CLUSTER"] + new.asked["CLUSTER"]
            while known.asked["CLUSTER"] + new.asked["CLUSTER"] < looks + 4:
                assert await store.command("SET", "a", 1)
                await asyncio.sleep(0.02)
        assert new.connections <= 3, "its connections are not closed with each look"


@pytest.mark.parametrize("kind", ["redis+sentinel", "redis+cluster"])
async def test_what_is_no_sentinel_and_no_cluster_is_told(kind: str, valkey: ValkeyServer) -> None:
    async with Store(StoreSettings(url=f"{kind}://127.0.0.1:{valkey.port}" + "/relay" * (kind[6] == "s"))) as store:
        with pytest.raises(StoreUnavailable, match=r"No sentinel|No node of the cluster"):
            await store.preflight()


def test_the_views_of_sentinels_are_told_in_an_operators_words() -> None:
    answer = SentinelAnswer("10.0.0.1", 6379, 1)
    good = SentinelView("a:1", answer, quorum=2, others=2, replicas=1)
    assert inspection.sentinel_faults("m", [good, good, good]) == []
    away = SentinelView("b:1", fault="does not answer")
    assert inspection.sentinel_faults("m", [good, good, away]) == ["sentinel b:1: does not answer"]
    (_, _, fault) = inspection.sentinel_faults("m", [good, away, away])
    assert fault == "no quorum: 1 of 3 sentinels answer for 'm', and a failover needs 2"
    (fault,) = inspection.sentinel_faults("m", [SentinelView("a:1", answer, quorum=1, others=0)])
    assert "knows no replica" in fault


def test_nodes_that_see_the_cluster_differently_are_told() -> None:
    whole, half = (SlotRange(0, SLOTS - 1, ("a", 1)),), (SlotRange(0, 8191, ("a", 1)),)
    assert inspection.cluster_faults({("a", 1): whole, ("b", 1): whole}) == []
    faults = inspection.cluster_faults({("a", 1): whole, ("b", 1): half, ("c", 1): "does not answer"})
    assert [fault.split(":")[0] for fault in faults[:1]] == ["node c"]
    assert "disagree" in faults[-1]


def test_replicas_that_are_behind_are_told() -> None:
    good = ReplicaState("r:1", is_online=True, lag_s=1, behind_bytes=0)
    assert replica_faults("Redis", [good], 1) == []
    assert replica_faults("Redis", [], 0) == []
    (fault,) = replica_faults("Redis", [], 1)
    assert "RELAY_VAULT_REPLICAS demands 1" in fault
    late = ReplicaState("r:1", is_online=True, lag_s=60, behind_bytes=0)
    lacking = ReplicaState("r:2", is_online=True, lag_s=1, behind_bytes=1 << 25)
    loading = ReplicaState("r:3", is_online=False, lag_s=0, behind_bytes=0)
    said = "\n".join(replica_faults("Redis", [late, lacking, loading], 1))
    assert [word for word in ("nothing for 60 s", "32 MiB behind", "r:3 is not in step") if word not in said] == []
