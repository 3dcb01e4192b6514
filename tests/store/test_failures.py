"""The server's refusals as errors of the relay: each code on purpose, in pipelines and scripts too, and no argument in any text."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, MaxConnectionsError, OutOfMemoryError, RedisError  # noqa: A004
from redis.exceptions import TimeoutError as RedisTimeout

from relay.errors import Bug, NotPermitted, NotPrimary, NotSaved, RelayError, StoreUnavailable
from relay.store.server import redis_errors as failures
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from relay.store.server.redis_errors import translated
from relay.store.server.scripting import Script
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.one_server

SECRET = "hunter2"
Way = Callable[[Store], Awaitable[object]]


WRITE = Script("test", text="local key = KEYS[1]\nlocal value = ARGV[1]\n\nreturn redis.call('SET', key, value)")


async def _durably(store: Store, *command: str) -> object:
    async with store.durable() as vault:
        return await vault.execute(*command)


WAYS: Mapping[str, Way] = {
    "command": lambda store: store.command("SET", "k", SECRET),
    "pipeline": lambda store: store.many([("GET", "k"), ("SET", "k", SECRET), ("SET", SECRET, 1)]),
    "durable": lambda store: _durably(store, "SET", "k", SECRET),
    "script": lambda store: store.run_once(WRITE(key=b"k", value=SECRET)),
    "scripts": lambda store: store.run_many([WRITE(key=b"k", value=SECRET), WRITE(key=b"l", value=SECRET)]),
}
REFUSING: Mapping[str, tuple[Mapping[str, str], type[RelayError], str]] = {
    # what the operator or a failover does -> how the relay takes it, and a word that an operator finds in it
    "OOM": ({"maxmemory": "1"}, StoreUnavailable, "maxmemory"),
    "NOREPLICAS": ({"min-replicas-to-write": "1"}, StoreUnavailable, "min-replicas-to-write"),
    "READONLY": ({"replicaof": "127.0.0.1 1"}, NotPrimary, "replica"),
}
WELL = {"maxmemory": "0", "min-replicas-to-write": "0", "replicaof": "no one"}


async def configure(raw: Redis, settings: Mapping[str, str]) -> None:
    """Change a running server."""
    for name, value in settings.items():
        if name == "replicaof":
            await raw.execute_command("REPLICAOF", *value.split())
        else:
            await raw.config_set(name, value)


@pytest.fixture
async def raw(raw: Redis) -> AsyncIterator[Redis]:
    yield raw
    await configure(raw, WELL)


def texts(error: BaseException) -> str:
    """Everything that a log or a traceback could show of an error and of those behind it."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (one := waiting.pop()) is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
    return "".join(f"{one} {one!r} {one.args} {vars(one)}" for one in seen) + "".join(
        traceback.format_exception(error, chain=True)
    )


@pytest.mark.fault("V6", "B16", "V2")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("code", REFUSING)
async def test_a_store_that_refuses_writes_for_a_while_is_away_and_says_why(
    code: str, way: str, store: Store, raw: Redis
) -> None:
    settings, expected, word = REFUSING[code]
    await store.ping()
    await configure(raw, settings)
    with pytest.raises(expected) as caught:
        await WAYS[way](store)
    assert word in str(caught.value)
    assert code in str(caught.value)
    assert SECRET not in texts(caught.value)


@pytest.mark.fault("V6", "B16")
@pytest.mark.parametrize(("code", "kind"), [(code, kind) for code, (kind, _) in failures.CODES.items()])
async def test_each_code_is_taken_as_the_table_says(
    code: str, kind: failures.ErrorKind, store: Store, raw: Redis
) -> None:
    refusing = Script("test", text=f"return redis.error_reply('{code} 1 127.0.0.1:1')")
    with pytest.raises(RelayError) as caught:
        await store.run_once(refusing())
    assert (
        type(caught.value)
        is {
            failures.ErrorKind.PASSING: StoreUnavailable,
            failures.ErrorKind.REPLICA: NotPrimary,
            failures.ErrorKind.OPERATOR: NotPermitted,
        }[kind]
    )


async def test_a_code_that_nobody_knows_is_a_bug_and_does_not_tell_arguments(store: Store, raw: Redis) -> None:
    with pytest.raises(Bug, match="NEWCODE") as caught:
        await store.run_once(Script("test", text=f"return redis.error_reply('NEWCODE {SECRET}')")())
    assert SECRET not in texts(caught.value)


@pytest.mark.fault("V2")
@pytest.mark.parametrize("way", ["command", "pipeline", "durable"])
async def test_no_argument_is_in_an_error_or_behind_it(way: str, store: Store, raw: Redis) -> None:
    refused: dict[str, Way] = {
        "command": lambda store: store.command("NOSUCHCOMMAND", SECRET),
        "pipeline": lambda store: store.many([("NOSUCHCOMMAND", SECRET)]),
        "durable": lambda store: _durably(store, "NOSUCHCOMMAND", SECRET),
    }
    with pytest.raises(Bug) as caught:
        await refused[way](store)
    assert SECRET not in texts(caught.value)


async def test_a_server_without_a_connection_left_says_so(valkey: ValkeyServer, raw: Redis) -> None:
    await raw.config_set("maxclients", "1")
    try:
        async with Store(StoreSettings(url=valkey.url)) as store:

            async def is_told() -> bool:
                # The server writes its refusal and closes: a command that was faster meets a broken connection.
                with pytest.raises(StoreUnavailable) as refused:
                    await store.ping()
                return "maxclients" in str(refused.value)

            await eventually(is_told)
    finally:
        await raw.config_set("maxclients", "10000")


async def test_what_was_acknowledged_before_the_disk_was_full_is_there_afterwards(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as server:
        server.limit_files(20_000)
        acknowledged, refused = set[str](), None
        async with Store(StoreSettings(url=server.url, operation_timeout=timedelta(seconds=1))) as store:
            while refused is None:
                key = f"k{len(acknowledged)}"
                try:
                    async with store.durable() as vault:
                        await vault.execute("SET", key, "x" * 1000)
                        await vault.confirm()
                    acknowledged.add(key)
                except (NotSaved, StoreUnavailable) as error:
                    refused = error
            assert len(acknowledged) > 5
            server.kill()
            server.start()
            assert all(await store.many([("GET", key) for key in acknowledged]))


async def test_a_wrong_password_is_the_operators_and_is_told(valkey: ValkeyServer, raw: Redis) -> None:
    wrong = valkey.url_of(Client.EDGE).replace("edge@", f"{SECRET}@")
    async with Store(StoreSettings(url=wrong)) as store:
        for way in WAYS.values():
            with pytest.raises(NotPermitted, match="password") as caught:
                await way(store)
            assert SECRET not in texts(caught.value)


@pytest.mark.fault("V2")
@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        ConnectionError(f"Error while reading {SECRET}"),
        RedisTimeout("late"),
        MaxConnectionsError("Too many connections"),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    ],
)
async def test_a_line_that_breaks_is_a_store_that_is_away(error: Exception) -> None:
    with pytest.raises(StoreUnavailable) as caught, translated("SET"):
        raise error
    assert SECRET not in texts(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("await of the same coroutine"), RecursionError(), KeyError("x")])
async def test_a_bug_of_ours_is_not_taken_for_the_store(error: Exception) -> None:
    with pytest.raises(type(error)), translated("SET"):
        raise error


async def test_an_error_of_the_client_library_that_has_no_code_is_a_bug() -> None:
    with pytest.raises(Bug), translated("SET"):
        raise RedisError("misused")
