"""The rights of a Redis user as `check` reports them, asked of a real server."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from relay.store.server.user_rights import describe
from tests.store.samples import TENANT
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.one_server


async def asked(url: str, *clients: Client):  # type: ignore[no-untyped-def]
    async with Store(StoreSettings(url=url)) as store:
        ((_, found),) = await store.compare_rights(clients)
        return found


@pytest.mark.parametrize("client", list(Client))
async def test_each_roles_own_user_may_do_neither_more_nor_less(client: Client, valkey: ValkeyServer) -> None:
    found = await asked(valkey.url_of(client), client)
    assert (found.more, found.less) == ((), ())


async def test_one_user_for_everything_may_do_more_than_each_role_needs(valkey: ValkeyServer, raw: Redis) -> None:
    await raw.hset(keys.tenant(TENANT), "state", "active")
    found = await asked(valkey.url, Client.WEBHOOK)
    assert {"run FLUSHALL", "run CONFIG SET", "run EVAL", "write suite_key", "read answers", "read grant"} <= set(
        found.more
    )
    assert found.less == ()
    assert await raw.exists(keys.tenant(TENANT))  # nothing of what was asked about was done


async def test_a_user_of_another_role_may_do_less(valkey: ValkeyServer) -> None:
    found = await asked(valkey.url_of(Client.WEBHOOK), Client.EDGE)
    assert {"read answers", "read suite_key", "run the script snapshot of this release"} <= set(found.less)


async def test_a_user_of_an_earlier_release_is_told_the_command_that_gives_what_it_lacks(
    valkey: ValkeyServer, raw: Redis
) -> None:
    url = valkey.url_of(Client.EDGE)
    await raw.execute_command("ACL", "SETUSER", "edge", "-cluster|slots", "-client|tracking")
    found = await asked(url, Client.EDGE)
    assert found.less == ("run CLUSTER SLOTS", "run CLIENT TRACKING")
    ((is_good, text),) = describe(found, "Redis", ["edge"])
    assert not is_good
    assert found.remedy in text
    await raw.execute_command(*found.remedy.split())
    assert (await asked(url, Client.EDGE)).less == ()


async def test_a_user_who_may_not_even_ask_is_not_guessed_about(valkey: ValkeyServer, raw: Redis) -> None:
    await raw.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "-multi")
    assert await asked(valkey.url.replace("://", "://mute:pw@"), Client.EDGE) is None
    await raw.execute_command("ACL", "DELUSER", "mute")
