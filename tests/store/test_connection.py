from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from relay.errors import Bug, NotPermitted, NotPrimary, NotSaved, StoreUnavailable
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.data_layout import layout_fault
from relay.store.server.layout import Client
from relay.store.server.scripting import Script
from tests.store.samples import TENANT
from tests.support.valkey import ValkeyServer, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.one_server

SECOND = timedelta(seconds=1)


def test_settings_do_not_show_passwords() -> None:
    assert "hunter2" not in repr(StoreSettings(url="redis://:hunter2@a", vault_url="redis://:hunter2@b"))


def test_a_partition_does_not_depend_on_letter_case_and_never_moves() -> None:
    assert keys.partition_of(TENANT) == keys.partition_of(TENANT.upper()) == 17  # type: ignore[arg-type]
    assert keys.lease(7) == b"{p07}:lease"


async def test_the_preflight_is_content_with_a_durable_server(store: Store, raw: Redis) -> None:
    assert await store.preflight() == []
    assert await raw.get(keys.PARTITION_COUNT) == b"64"
    assert await store.preflight() == []


async def test_the_preflight_names_every_fault_at_once(tmp_path) -> None:
    with ValkeyServer(tmp_path, appendonly="no", appendfsync="everysec", maxmemory_policy="allkeys-lru") as server:
        async with Store(StoreSettings(url=server.url, replicas=1)) as store:
            faults = "\n".join(await store.preflight())
        for fault in ("appendonly", "appendfsync is everysec", "allkeys-lru", "min-replicas-to-write"):
            assert fault in faults
        assert len(faults.splitlines()) == 4


async def test_with_a_vault_of_its_own_only_the_vault_must_sync(tmp_path, valkey: ValkeyServer, raw: Redis) -> None:
    with ValkeyServer(tmp_path, appendonly="no") as plain:
        async with Store(StoreSettings(url=plain.url, vault_url=valkey.url)) as store:
            assert await store.preflight() == []
        async with Store(StoreSettings(url=valkey.url, vault_url=plain.url)) as store:
            (fault,) = await store.preflight()
            assert fault.startswith(f"the vault's Redis at 127.0.0.1:{plain.port}: appendonly")


async def test_data_in_another_number_of_partitions_is_refused(store: Store, raw: Redis) -> None:
    await raw.set(keys.PARTITION_COUNT, 16)
    (fault,) = await store.preflight()
    assert "16 partitions" in fault
    assert await raw.get(keys.PARTITION_COUNT) == b"16"


async def test_an_older_release_refuses_data_of_a_newer_one_and_changes_nothing(store: Store, raw: Redis) -> None:
    await store.preflight()
    assert await raw.get(keys.LAYOUT) == b"1"
    await raw.set(keys.LAYOUT, 2)
    (fault,) = await store.preflight()
    assert "holds data of layout 2, and this release reads up to 1. A newer release has used it" in fault
    assert await raw.get(keys.LAYOUT) == b"2"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (b"1", "reads 2 and newer. Run the releases between first"),
        (b"2", ""),
        (b"3", ""),
        (b"4", "reads up to 3. A newer release has used it"),
        (b"x", "layout x, and this release reads up to 3"),
        (b"", "reads up to 3"),
    ],
)
def test_a_release_reads_the_layouts_that_it_knows(found: bytes, said: str) -> None:
    fault = layout_fault(found, 2, 3)
    assert (said in fault) if said else (fault == "")


async def test_the_preflight_tells_apart_nobody_there_and_a_wrong_password(valkey: ValkeyServer, raw: Redis) -> None:
    async with Store(StoreSettings(url=f"redis://:hunter2@127.0.0.1:{free_port()}", operation_timeout=SECOND)) as store:
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:\d+: The store does not answer") as caught:
            await store.preflight()
        assert "hunter2" not in str(caught.value)
    await raw.config_set("requirepass", "right")
    try:
        async with Store(StoreSettings(url=f"redis://:hunter2@127.0.0.1:{valkey.port}")) as store:
            (fault,) = await store.preflight()
            assert "refuses the user name or password" in fault
            assert "hunter2" not in fault
        async with Store(StoreSettings(url=valkey.url)) as store:
            (fault,) = await store.preflight()
            assert "requires a password" in fault
    finally:
        async with Redis.from_url(f"redis://:right@127.0.0.1:{valkey.port}") as allowed:
            await allowed.config_set("requirepass", "")


@pytest.mark.parametrize("client", list(Client))
async def test_each_role_passes_the_preflight_as_its_own_user(client: Client, valkey: ValkeyServer, raw: Redis) -> None:
    async with Store(StoreSettings(url=valkey.url_of(client))) as store:
        assert await store.preflight() == []


async def test_who_may_not_read_settings_is_told_of_faults_that_the_server_shows_anyhow(tmp_path) -> None:
    with ValkeyServer(tmp_path, appendonly="no", maxmemory_policy="allkeys-lru") as server:
        async with Store(StoreSettings(url=server.url_of(Client.EDGE), replicas=1)) as store:
            faults = await store.preflight()
    assert [word for word in ("maxmemory-policy", "appendonly", "min-replicas") if word not in "".join(faults)] == []


async def test_a_user_without_the_rights_is_told_what_to_give_them(valkey: ValkeyServer, raw: Redis) -> None:
    await raw.execute_command("ACL", "SETUSER", "app", "on", ">pw", "+ping", "+get", "~nothing", "+info")
    async with Store(StoreSettings(url=f"redis://app:pw@127.0.0.1:{valkey.port}")) as store:
        (fault,) = await store.preflight()
        assert "redis-acl" in fault
        with pytest.raises(NotPermitted, match="keys of suite_key, which GET needs"):
            await store.command("GET", keys.suite_key("0123456789abcdef"))
        with pytest.raises(NotPermitted, match="the command hgetall, which HGETALL needs"):
            await store.command("HGETALL", keys.suite_key("0123456789abcdef"))
    await raw.execute_command("ACL", "DELUSER", "app")


async def test_the_store_works_over_a_unix_socket(tmp_path) -> None:
    path = tmp_path / "valkey.sock"
    with ValkeyServer(tmp_path, unixsocket=str(path)):
        async with Store(StoreSettings(url=f"unix://{path}")) as store:
            await store.ping()
            assert await store.preflight() == []
            streams = store.streams()
            reading = asyncio.create_task(streams.read({b"s": b"0"}))
            await asyncio.sleep(0.01)
            await streams.wake()
            assert await reading == []
            await streams.aclose()


async def test_a_replica_cannot_be_written_and_is_no_place_to_start(valkey: ValkeyServer, raw: Redis, tmp_path) -> None:
    with ValkeyServer(tmp_path) as replica:
        async with Redis.from_url(replica.url) as client:
            await client.replicaof("127.0.0.1", str(valkey.port))
        async with Store(StoreSettings(url=replica.url, operation_timeout=SECOND)) as store:
            assert (await store.identity(0)).role == "slave"
            with pytest.raises(StoreUnavailable):
                await store.command("SET", "x", 1)
            with pytest.raises(NotPrimary, match="is a replica"):
                await store.preflight()
            with pytest.raises(NotPrimary, match="is a replica"):
                await store.check()


async def test_a_read_that_is_blocked_when_its_server_is_demoted_says_so(tmp_path) -> None:
    with ValkeyServer(tmp_path) as server:
        async with Store(StoreSettings(url=server.url)) as store, Redis.from_url(server.url) as client:
            before = await store.identity(0)
            streams = store.streams()
            reading = asyncio.create_task(streams.read({b"s": b"0"}))

            async def blocked() -> bool:
                return (await client.info("clients"))["blocked_clients"] == 1

            await eventually(blocked)
            await client.replicaof("127.0.0.1", "1")
            with pytest.raises(StoreUnavailable):
                await reading
            assert (await store.identity(0)).role == "slave"
            await client.replicaof("no", "one")  # type: ignore[arg-type]
            after = await store.identity(0)
            assert after.role == "master"
            assert after.replid != before.replid
            await streams.aclose()


# ----------------------------------------------------------- durable writes


async def test_a_confirmed_write_survives_kill_9(tmp_path) -> None:
    with ValkeyServer(tmp_path) as server:
        async with Store(StoreSettings(url=server.url)) as store:
            for n in range(20):
                async with store.durable() as vault:
                    await vault.execute("SET", f"k{n}", n)
                    await vault.confirm()
        server.kill()
        server.start()
        async with Redis.from_url(server.url) as client:
            assert await client.mget([f"k{n}" for n in range(20)]) == [str(n).encode() for n in range(20)]


async def test_too_few_acknowledgements_are_not_saved(valkey: ValkeyServer, raw: Redis) -> None:
    settings = StoreSettings(url=valkey.url, replicas=1, operation_timeout=timedelta(milliseconds=500))
    async with Store(settings) as store, store.durable() as vault:
        await vault.execute("SET", "k", 1)
        with pytest.raises(NotSaved):
            await vault.confirm()
        assert await vault.execute("GET", "k") == b"1"


async def test_a_server_that_does_not_append_confirms_nothing(tmp_path) -> None:
    with ValkeyServer(tmp_path, appendonly="no") as server:
        async with Store(StoreSettings(url=server.url)) as store, store.durable() as vault:
            await vault.execute("SET", "k", 1)
            with pytest.raises(NotSaved):
                await vault.confirm()


async def test_an_acknowledging_replica_has_the_write(valkey: ValkeyServer, raw: Redis, tmp_path) -> None:
    with ValkeyServer(tmp_path) as replica:
        async with Redis.from_url(replica.url) as client:
            await client.replicaof("127.0.0.1", str(valkey.port))
            async with Store(StoreSettings(url=valkey.url, replicas=1)) as store:

                async def saved() -> bool:
                    async with store.durable() as vault:
                        await vault.execute("SET", "k", 1)
                        try:
                            await vault.confirm()
                        except NotSaved:
                            return False
                    return True

                await eventually(saved)
            assert await client.get("k") == b"1"


@pytest.mark.fault("V9")
async def test_a_cancellation_is_lost_at_no_moment_of_a_command(store: Store) -> None:
    """redis-py sends under `asyncio.wait_for`, which before Python 3.12 swallows one that comes when the send is done."""
    await store.ping()  # connected
    moments = 0
    while True:
        task = asyncio.create_task(store.ping())
        for _ in range(moments):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        moments += 1
    assert moments > 3


async def test_a_cancelled_durable_write_does_not_mix_up_replies(store: Store) -> None:
    async with store.durable() as vault:
        await vault.execute("SET", "k", "value")
        waiting = asyncio.create_task(vault.execute("BLPOP", "nothing", 5))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await vault.execute("GET", "k") == b"value"


async def test_a_refused_command_leaves_the_durable_connection_in_step(store: Store) -> None:
    async with store.durable() as vault:
        await vault.execute("SET", "k", "value")
        with pytest.raises(Bug):
            await vault.execute("LPUSH", "k", 1)
        assert await vault.execute("GET", "k") == b"value"


async def test_durable_writes_take_turns(store: Store) -> None:
    async def write(n: int) -> None:
        async with store.durable() as vault:
            await vault.execute("SET", f"k{n}", n)
            assert await vault.execute("GET", f"k{n}") == str(n).encode()
            await vault.confirm()

    await asyncio.gather(*(write(n) for n in range(50)))


# ----------------------------------------------------------------- errors


@pytest.mark.parametrize("code", ["READONLY", "UNBLOCKED", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF"])
async def test_a_server_that_cannot_serve_now_is_unavailable(store: Store, raw: Redis, code: str) -> None:
    refusing = Script("test", text=f"return redis.error_reply('{code} no')")
    with pytest.raises(StoreUnavailable):
        await store.run_once(refusing())


@pytest.mark.fault("V12")
@pytest.mark.parametrize("setting", ["maxmemory", "min-replicas-to-write"])
async def test_a_look_at_the_store_finds_that_it_takes_no_writes(
    setting: str, valkey: ValkeyServer, raw: Redis
) -> None:
    async with Store(StoreSettings(url=valkey.url_of(Client.WEBHOOK))) as store:
        await store.check()
        await raw.config_set(setting, "1")
        try:
            for check in (store.check, store.preflight):
                with pytest.raises(StoreUnavailable, match=setting):
                    await check()
        finally:
            await raw.config_set(setting, "0")
        await store.check()


async def test_a_server_that_answers_too_late_is_unavailable(valkey: ValkeyServer, raw: Redis) -> None:
    async with Store(StoreSettings(url=valkey.url, operation_timeout=timedelta(milliseconds=100))) as store:
        await store.ping()
        await raw.execute_command("CLIENT", "PAUSE", 1500, "ALL")
        with pytest.raises(StoreUnavailable):
            await store.ping()


async def test_no_argument_gets_into_an_exception(store: Store) -> None:
    with pytest.raises(Bug) as caught:
        await store.command("NOSUCHCOMMAND", "hunter2")
    assert "hunter2" not in str(caught.value)


async def test_a_script_unknown_to_the_server_is_sent(store: Store, raw: Redis) -> None:
    await raw.script_flush()
    call = Script("interest_edges")(edges=b"{p01}:x", shared=b"{p01}:y", interest_prefix=b"z")
    assert await store.run(call) == []
    assert await store.run(call) == []


async def test_the_first_durable_write_after_a_restart_of_the_server_is_kept(tmp_path: Path):
    with ValkeyServer(tmp_path) as server:
        async with Store(StoreSettings(url=server.url)) as store:
            for value in ("before", "after"):
                async with store.durable() as vault:
                    await vault.execute("SET", "key", value)
                    await vault.confirm()
                if value == "before":
                    server.kill()
                    server.start()
            assert await store.command("GET", "key") == b"after"
