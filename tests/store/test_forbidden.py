"""Operators read in the log which right a Redis user lacks, and what to do; once a minute."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay.errors import NotPermitted
from relay.store.server import forbidden, keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.store.samples import TENANT
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.one_server


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forbidden, "_said", {})


async def test_a_refusal_names_user_kind_of_key_and_command_and_what_to_do(valkey: ValkeyServer, raw: Redis) -> None:
    await raw.execute_command("ACL", "SETUSER", "relay-webhook", "on", ">pw", "+get", "+mget", "~nothing")
    settings = StoreSettings(url=valkey.url.replace("://", "://relay-webhook:pw@"))
    try:
        async with Store(settings) as store:
            for ask in (
                lambda: store.command("GET", keys.answers(TENANT)),
                lambda: store.many([("GET", keys.answers(TENANT))]),
                lambda: store.many([("GET", keys.answers(TENANT))], vault=True),
            ):
                with pytest.raises(NotPermitted) as caught:
                    await ask()
                words = str(caught.value)
                assert "The Redis user relay-webhook may not use keys of answers, which GET needs" in words
                assert "`presence-relay redis-acl webhook`" in words
                assert TENANT not in words
    finally:
        await raw.execute_command("ACL", "DELUSER", "relay-webhook")


async def test_it_is_in_the_log_once_a_minute_and_not_with_each_request(
    valkey: ValkeyServer, raw: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(forbidden.time, "monotonic", lambda: now)
    async with Store(StoreSettings(url=valkey.url_of(Client.WEBHOOK))) as store:

        async def try_both() -> list[str]:
            with capture_logs() as logs:
                for _ in range(50):
                    for key in (keys.answers(TENANT), keys.suite_key("0123456789abcdef")):
                        with pytest.raises(NotPermitted):
                            await store.command("GET", key)
            return [line["event"] for line in logs]

        assert await try_both() == ["redis_permission_denied"] * 2
        assert await try_both() == []
        now += 60
        assert await try_both() == ["redis_permission_denied"] * 2


def test_kinds_of_refusals_do_not_fill_memory() -> None:
    for number in range(1000):
        forbidden.refused(f"S{number}", (), "", "No permissions to access a key")
    assert len(forbidden._said) <= 200
