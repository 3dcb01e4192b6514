"""What a role's Redis password is good for when somebody steals it: tried against a real server, as an attacker would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.errors import NotPermitted
from relay.settings.env import SettingsInvalid
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import RingMarks
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.support.valkey import ValkeyServer

TENANT = TenantId("6b5f4a3e-1111-4222-8333-944445555666")
ROLES = [client for client in Client if client is not Client.OPERATOR]

ALL_OF_REDIS: list[tuple[str, ...]] = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("CONFIG", "GET", "requirepass"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "default", "on", "nopass"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("EVAL", "while true do end", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("REPLICAOF", "203.0.113.7", "6379"),
    ("MONITOR",),
    ("MIGRATE", "203.0.113.7", "6379", "suite-key:0123456789abcdef", "0", "10"),
    ("PUBLISH", "anything", "x"),
    ("FUNCTION", "LOAD", "#!lua name=x\n"),
]
TAKES: dict[str, list[tuple[str, ...]]] = {
    "a suite key": [("HSET", "suite-key:0123456789abcdef", "tenant", TENANT, "hash", "x")],
    "settings": [("HSET", keys.tenant(TENANT).decode(), "settings", "{}")],
    "a grant": [("HGETALL", f"{keys.grant_prefix(TENANT).decode()}ada")],
    "answers": [("HGETALL", keys.answers(TENANT).decode()), ("HGET", keys.answers(TENANT).decode(), "ada")],
    "a flow": [("GET", "flow:0123")],
    "a lease": [("SET", keys.lease(keys.partition_of(TENANT)).decode(), "mine")],
    "who manages it": [
        ("HSET", keys.tenant_managers(TENANT).decode(), "ben", "{}"),
        ("HGETALL", keys.tenant_managers(TENANT).decode()),
    ],
    "a request": [
        ("HSET", keys.tenant_requests(TENANT).decode(), "ben", "{}"),
        ("GET", keys.request(TENANT, UserId("ben")).decode()),
    ],
    "a suite key's record": [("HGETALL", "suite-key:0123456789abcdef")],
}
REFUSED = {
    Client.WEBHOOK: list(TAKES),
    Client.EDGE: ["a suite key", "settings", "a grant", "a flow", "a lease", "who manages it", "a request"],
    Client.WORKER: ["a suite key", "a flow", "a suite key's record", "who manages it", "a request"],
    Client.WEB: ["a lease"],
    Client.CONSOLE: ["a suite key", "a lease", "a request"],
}


@pytest.fixture(params=ROLES)
async def thief(request: pytest.FixtureRequest, valkey: ValkeyServer) -> AsyncIterator[Redis]:
    """Whoever has a role's password and a client of their own."""
    async with Redis.from_url(valkey.url_of(request.param), protocol=2) as client:
        client.role = request.param  # type: ignore[attr-defined]
        yield client


@pytest.mark.finding(10)
@pytest.mark.parametrize("command", ALL_OF_REDIS, ids=lambda command: " ".join(command[:2]))
async def test_no_roles_password_reaches_beyond_its_keys(thief: Redis, command: tuple[str, ...]) -> None:
    with pytest.raises(NoPermissionError):
        await thief.execute_command(*command)


@pytest.mark.finding(10)
async def test_a_roles_password_reads_and_writes_nothing_that_is_anothers(thief: Redis) -> None:
    for what in REFUSED[thief.role]:  # type: ignore[attr-defined]
        for command in TAKES[what]:
            with pytest.raises(NoPermissionError):
                await thief.execute_command(*command)


@pytest.mark.finding(10)
async def test_a_roles_password_runs_no_script_of_its_own(thief: Redis) -> None:
    sha = await thief.execute_command("SCRIPT", "LOAD", "return redis.call('FLUSHALL')")
    for command in ("EVALSHA", "EVALSHA_RO"):
        with pytest.raises(NoPermissionError):
            await thief.execute_command(command, sha, "0")
    with pytest.raises((NoPermissionError, ResponseError)):
        await thief.execute_command("FCALL", "x", "0")


@pytest.mark.finding(10)
@pytest.mark.parametrize("role", [Client.WEBHOOK, Client.EDGE, Client.WORKER])
async def test_only_pages_and_operator_can_issue_a_suite_key(valkey: ValkeyServer, role: Client) -> None:
    marks = RingMarks(KeyRing.from_json(make_ring("test", now_s=0)))  # more than they have
    async with Store(StoreSettings(url=valkey.url)) as mine, Store(StoreSettings(url=valkey.url_of(role))) as stolen:
        await Tenants(mine).put(Tenant(tenant_id=TENANT, state=TenantState.ACTIVE, created=datetime.now(UTC)))
        with pytest.raises(NotPermitted):
            await SuiteKeys(stolen, marks).issue(TENANT, "stolen")
        assert "stolen" not in {key.label for key in await SuiteKeys(mine).list(TENANT)}
    async with Store(StoreSettings(url=valkey.url_of(Client.WEB))) as pages:
        await SuiteKeys(pages, marks).issue(TENANT, "theirs")


@pytest.mark.finding(17)
@pytest.mark.parametrize("variable", ["RELAY_REDIS_URL", "RELAY_VAULT_REDIS_URL"])
def test_a_password_goes_to_another_host_in_the_clear_only_when_that_is_meant(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    from relay.settings import roles
    from relay.settings.load import load

    monkeypatch.setenv("RELAY_REDIS_URL", "unix:///run/valkey.sock")
    for url in ("redis://:hunter2@redis:6379", "redis://:hunter2@10.0.0.7", "redis://127.0.0.1.example/0"):
        monkeypatch.setenv(variable, url)
        with pytest.raises(SettingsInvalid, match=variable) as caught:
            load(roles.STORE)
        assert "hunter2" not in str(caught.value.faults)
    for url in ("rediss://:hunter2@redis:6379", "redis://localhost", "redis://:x@127.0.0.1:7", "redis://[::1]:7"):
        monkeypatch.setenv(variable, url)
        load(roles.STORE)
    monkeypatch.setenv(variable, "redis://redis")
    monkeypatch.setenv(variable.replace("REDIS_URL", "REDIS_PLAINTEXT"), "true")
    load(roles.STORE)


@pytest.mark.finding(17)
@pytest.mark.parametrize(
    ("group", "given", "address", "meant"),
    [
        ("telemetry", {}, "otlp_endpoint", "RELAY_TELEMETRY_OTLP_ENDPOINT"),
        ("mail", {"tls": "none", "sender": "relay@contoso.example"}, "host", "RELAY_MAIL_TLS"),
    ],
)
def test_nothing_else_goes_to_another_host_in_the_clear_unless_that_is_meant(
    group: str, given: dict[str, object], address: str, meant: str
) -> None:
    from relay.settings.load import load

    def load_with(host: str, **more: object) -> None:
        url = f"http://{host}:4317" if group == "telemetry" else host
        load((), {group: {**given, address: url, **more}})

    for host in ("collector", "10.0.0.7", "127.0.0.1.example"):
        with pytest.raises(SettingsInvalid, match=f"{meant}: goes to another host without TLS.*_PLAINTEXT"):
            load_with(host)
        load_with(host, plaintext=True)
    load_with("localhost")
    load_with("127.0.0.1")
    if group == "telemetry":
        load((), {group: {address: "https://collector:4317"}})
    else:
        load_with("mail", tls="starttls")
