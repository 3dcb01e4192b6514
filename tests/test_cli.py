"""The operator's commands: what they do, and that no operator ever sees a traceback."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner, Result

from relay.cli import app
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.core.push.subscription import PushFault
from relay.diagnosis.standing import push_words
from relay.errors import Rejected
from relay.store.custody.suite_key_records import parse
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.presence.push import PushStatus
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import PublicMarks
from relay.store.sealing.ring_users import RingUsers
from relay.store.sealing.signing import Purpose, public_set
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.support.ring import PUBLIC_MARKS, RING_JSON
from tests.support.valkey import ValkeyServer, free_port

TENANT = TenantId("11111111-1111-1111-1111-111111111111")


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    """A Valkey that the commands use, with one tenant in it."""
    with ValkeyServer(tmp_path) as server:
        monkeypatch.setenv("RELAY_REDIS_URL", server.url_of(Client.OPERATOR))
        asyncio.run(put_tenant(server.url))
        yield server


async def put_tenant(url: str) -> None:
    tenant = Tenant(tenant_id=TENANT, domain="contoso.example", state=TenantState.ACTIVE, created=datetime.now(UTC))
    async with Store(StoreSettings(url=url)) as store:
        await Tenants(store).put(tenant)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def done(*arguments: str) -> str:
    """What a command that must succeed says."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.long
def test_wrong_settings_are_told_all_at_once_without_a_traceback(monkeypatch):
    monkeypatch.setenv("RELAY_REDIS_URL", "nonsense")
    monkeypatch.setenv("RELAY_POLL_INTERVAL", "often")
    command = [str(Path(sys.executable).with_name("presence-relay")), "serve", "edge", "worker"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    for name in ("RELAY_REDIS_URL", "RELAY_POLL_INTERVAL", "RELAY_EDGE_TLS_CERT", "RELAY_CLOUD_CLIENT_ID"):
        assert f"\n  {name}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        (["cook"], "Roles are edge, worker, webhook, web"),
        (["edge", "all"], "or all, alone"),
    ],
)
def test_roles_that_there_are_not_are_refused(roles, said):
    result = call("serve", *roles)
    assert (result.exit_code, said in result.output) == (2, True)


@pytest.mark.parametrize(("roles", "is_meant"), [(["all"], False), (["all", "console"], True), (["console"], True)])
def test_all_roles_are_all_but_the_console_which_is_named_by_itself(roles, is_meant):
    result = call("serve", *roles)
    assert result.exit_code == 2
    assert ("RELAY_CONSOLE_URL" in result.output) is is_meant
    assert ("RELAY_EDGE_TLS_CERT" in result.output) is (roles != ["console"])


def test_dev_with_the_real_cloud_demands_an_app_registration(tmp_path):
    result = call("dev", "--state", str(tmp_path / "state"), "--cloud", "microsoft")
    assert result.exit_code == 2
    assert "RELAY_CLOUD_CLIENT_ID" in result.output
    assert "RELAY_CLOUD_CLIENT_SECRET" in result.output


def test_absent_redis_is_told_in_a_line(monkeypatch):
    monkeypatch.setenv("RELAY_REDIS_URL", f"redis://:hunter2@127.0.0.1:{free_port()}")
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", make_ring("k1", now_s=1))
    result = call("tenants", "list")
    assert result.exit_code == 1
    assert "Check RELAY_REDIS_URL" in result.output
    assert "hunter2" not in result.output
    assert len(result.output.splitlines()) == 1


def test_a_suite_key_is_issued_listed_and_revoked(redis, monkeypatch):
    assert "RELAY_VAULT_KEY_RING" in call("suite-keys", "issue", "contoso.example").output
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", RING_JSON)
    key = parse(done("suite-keys", "issue", "Contoso.example", "--label", "reception").strip())
    assert key is not None
    assert f"{key.key_id}  in force" in done("suite-keys", "list", TENANT)
    done("suite-keys", "revoke", TENANT, key.key_id)
    assert f"{key.key_id}  revoked" in done("suite-keys", "list", TENANT)
    assert key.secret not in done("suite-keys", "list", TENANT)


def test_a_key_of_another_tenant_is_not_revoked(redis):
    result = call("suite-keys", "revoke", TENANT, "0123456789abcdef")
    assert (result.exit_code, "has no suite key" in result.output) == (2, True)


def test_a_tenant_is_listed_shown_and_removed(redis, monkeypatch):
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", make_ring("k1", now_s=1))
    assert TENANT in done("tenants", "list")
    assert "state    active" in done("tenants", "show", "contoso.example")
    assert "push     not known yet" in done("tenants", "show", "contoso.example")
    done("tenants", "remove", TENANT, "--yes")
    assert TENANT not in done("tenants", "list")


def test_a_tenant_is_not_removed_by_somebody_who_hesitates(redis, monkeypatch):
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", make_ring("k1", now_s=1))
    CliRunner().invoke(app, ["tenants", "remove", TENANT], input="n\n")
    assert TENANT in done("tenants", "list")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (PushStatus(is_off=True), "off: RELAY_WEBHOOK_URL is not set, or this cloud has no change notifications"),
        (PushStatus(pushed=650, polled=12), "650 pushed, 12 polled"),
        (
            PushStatus(polled=9, reason=PushFault.WEBHOOK_UNREACHABLE),
            "0 pushed, 9 polled (Microsoft does not reach the webhook)",
        ),
        (PushStatus(0, 9, 7, "quiet"), "0 pushed, 9 polled, 7 of them because notifications fell silent (quiet)"),
    ],
)
def test_an_operator_sees_how_users_are_followed_and_why(status, words):
    assert push_words(status) == words


def test_an_unknown_tenant_is_told(redis):
    result = call("tenants", "remove", "fabrikam.example", "--yes")
    assert (result.exit_code, "There is no tenant fabrikam.example" in result.output) == (2, True)


def test_a_key_ring_is_made_for_its_owner_alone_and_never_overwritten(tmp_path):
    ring, wider = tmp_path / "ring.json", tmp_path / "wider.json"
    said = done("keyring", "new", str(ring))
    assert "RELAY_VAULT_KEY_RING_FILE" in said
    assert f"RELAY_EDGE_MARK_KEYS_FILE={ring}.pub" in said
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    public = tmp_path / "ring.json.pub"
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert json.loads(ring.read_text())["keys"][0]["k"] not in public.read_text()
    public.unlink()
    done("keyring", "public", str(ring))
    assert PublicMarks(public.read_text()).kids == tuple(key.kid for key in KeyRing.from_json(ring.read_text()).keys)
    before = ring.read_text()
    assert call("keyring", "new", str(ring)).exit_code == 1
    assert ring.read_text() == before

    done("keyring", "new", str(wider), "--add-to", str(ring))
    assert len(json.loads(wider.read_text())["keys"]) == 2
    KeyRing.from_json(wider.read_text())


def test_check_finds_everything_that_is_wrong_at_once(redis, monkeypatch):
    leaf = trustme.CA().issue_cert(
        "localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC), not_before=datetime(2019, 1, 1, tzinfo=UTC)
    )
    monkeypatch.setenv("RELAY_EDGE_TLS_CERT", leaf.cert_chain_pems[0].bytes().decode())
    monkeypatch.setenv("RELAY_EDGE_TLS_KEY", leaf.private_key_pem.bytes().decode())
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", make_ring("k1", now_s=1))
    monkeypatch.setenv("RELAY_CLOUD", "custom")
    monkeypatch.setenv("RELAY_CLOUD_AUTHORITY_URL", f"https://127.0.0.1:{free_port()}")
    monkeypatch.setenv("RELAY_CLOUD_GRAPH_URL", f"https://127.0.0.1:{free_port()}")
    monkeypatch.setenv("RELAY_CLOUD_CLIENT_ID", "app")
    monkeypatch.setenv("RELAY_CLOUD_CLIENT_SECRET", "hunter2")

    result = call("check")

    assert result.exit_code == 1
    wrong = [line for line in result.output.splitlines() if line.startswith("WRONG")]
    assert all(any(said in line for line in wrong) for said in ("renew it", "Entra", "Graph"))
    assert "ok    Redis" in result.output
    assert "hunter2" not in result.output

    async def plant() -> None:
        async with Store(StoreSettings(url=redis.url)) as store:
            record = ("tenant", TENANT, "hash", bytes(32), "created", 1)
            await store.command("HSET", keys.suite_key("0" * 16), *record)

    as_data = json.loads(call("check", "--json").stdout)
    texts = [finding["text"] for finding in as_data["findings"] if not finding["ok"]]
    assert (as_data["ok"], [f"WRONG {text}" for text in texts]) == (False, wrong)

    asyncio.run(plant())
    wrong = [line for line in call("check").output.splitlines() if line.startswith("WRONG Suite keys")]
    assert wrong == [
        "WRONG Suite keys: 1 suite key in force has no mark; edges refuse such keys: presence-relay suite-keys mark"
    ]


def test_the_audit_log_is_printed_in_both_forms(redis, monkeypatch):
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", RING_JSON)
    key = parse(done("suite-keys", "issue", TENANT, "--label", "=reception").strip())
    done("suite-keys", "revoke", TENANT, key.key_id)
    lines = [json.loads(line) for line in done("audit", "contoso.example").splitlines()]
    assert [(line["what"], line["subject_id"]) for line in lines] == [
        ("key-revoked", key.key_id),
        ("key-made", key.key_id),
    ]
    assert '"\'=reception"' in done("audit", TENANT, "--format", "csv")
    assert done("audit", TENANT, "--since", "2999-01-01") == ""
    assert call("audit", TENANT, "--since", "yesterday").exit_code == 2


@pytest.mark.long
def test_a_key_ring_is_rotated_step_by_step_and_no_key_is_retired_too_early(redis, tmp_path, monkeypatch):
    ring = tmp_path / "ring.json"
    done("keyring", "new", str(ring))
    monkeypatch.setenv("RELAY_VAULT_KEY_RING_FILE", str(ring))
    [old] = json.loads(ring.read_text())["keys"]
    asyncio.run(put_grant(redis.url, ring.read_text()))
    suite_key, ended = (done("suite-keys", "issue", TENANT).strip() for _ in range(2))
    done("suite-keys", "revoke", TENANT, parse(ended).key_id)  # has no mark any more, and holds no key back

    said = done("keyring", "add", str(ring), "--after", "1h")
    [new, same] = json.loads(ring.read_text())["keys"]
    assert (same, stat.S_IMODE(ring.stat().st_mode)) == (old, 0o600)
    assert f"{new['kid']} is known, and used from" in said
    public = tmp_path / "ring.json.pub"
    assert PublicMarks(public.read_text()).kids == (new["kid"], old["kid"])
    assert "is not in use yet" in call("keyring", "add", str(ring)).output
    assert "there is no key to retire" in call("keyring", "retire", str(ring)).output
    assert "repeat this then" in done("keyring", "reencrypt")

    ring.write_text(json.dumps({"keys": [new | {"nbf": 0}, old]}))  # an hour later
    refused = call("keyring", "retire", str(ring))
    assert refused.exit_code == 1
    assert f"{old['kid']} still has 1 grants, 1 marks of suite keys: presence-relay keyring reencrypt" in refused.output
    assert f"{old['kid']}  known  1 grants, 1 marks of suite keys" in done("keyring", "show")

    asyncio.run(announce_edge(redis.url, json.dumps({"keys": [old]})))
    refused = call("keyring", "reencrypt")
    assert refused.exit_code == 1
    assert f"No suite key was marked again:\n  process edge does not know {new['kid']}" in refused.output
    assert f"process edge verifies suite keys, does not know {new['kid']}" in done("keyring", "show")
    refused = call("keyring", "retire", str(ring))
    assert f"process edge does not know {new['kid']}" in refused.output
    asyncio.run(announce_edge(redis.url, ring.read_text()))
    said = done("keyring", "reencrypt")
    assert "1 seen, 0 rewritten" in said
    assert "1 suite keys in force seen, 1 marked again" in said
    assert "1 suite keys in force seen, 0 marked again" in done("keyring", "reencrypt")

    asyncio.run(announce(redis.url, json.dumps({"keys": [old]})))
    refused = call("keyring", "retire", str(ring))
    assert f"process lagging still encrypts with {old['kid']}" in refused.output
    assert len(json.loads(ring.read_text())["keys"]) == 2
    asyncio.run(announce(redis.url, ring.read_text()))
    done("keyring", "retire", str(ring), "--keep", str(tmp_path / "retired.json"))
    assert [key["kid"] for key in json.loads(ring.read_text())["keys"]] == [new["kid"]]
    assert PublicMarks(public.read_text()).kids == (new["kid"],)
    assert asyncio.run(verified(redis.url, suite_key, ring)) == TENANT
    assert json.loads((tmp_path / "retired.json").read_text()) == {"keys": [old]}
    assert "grant    ada@contoso.example  healthy" in done("tenants", "show", TENANT)


async def put_grant(url: str, ring: str) -> None:
    async with Store(StoreSettings(url=url)) as store:
        grant = Grant(
            tenant_id=TENANT,
            account_id=UserId("a"),
            upn="ada@contoso.example",
            token_cache="{}",
            created=datetime.now(UTC),
        )
        await Vault(store, KeyRing.from_json(ring)).save(grant, NEW)


async def announce(url: str, ring: str) -> None:
    async with Store(StoreSettings(url=url)) as store:
        await RingUsers(store).announce("lagging", KeyRing.from_json(ring))


async def announce_edge(url: str, ring: str) -> None:
    public = public_set(KeyRing.from_json(ring), Purpose.SUITE_KEY)
    async with Store(StoreSettings(url=url)) as store:
        await RingUsers(store).announce_verifier("edge", PublicMarks(public))


@pytest.mark.long
def test_suite_keys_of_releases_before_marks_are_marked_once(redis, monkeypatch):
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", RING_JSON)
    marked, old, gone, planted = (done("suite-keys", "issue", TENANT, "--label", label).strip() for label in "abcd")
    done("suite-keys", "revoke", TENANT, parse(gone).key_id)

    async def before_marks() -> None:
        async with Store(StoreSettings(url=redis.url)) as store:
            for text in (old, planted):
                await store.command("HDEL", keys.suite_key(parse(text).key_id), "mark")
            await store.command("SREM", keys.tenant_suite_keys(TENANT), parse(planted).key_id)

    async def taken(text: str) -> bool:
        async with Store(StoreSettings(url=redis.url)) as store:
            try:
                await SuiteKeys(store, PUBLIC_MARKS).verify(text)
            except Rejected:
                return False
            return True

    asyncio.run(before_marks())
    assert "2 suite keys in force have no mark: presence-relay suite-keys mark" in call("keyring", "show").output
    asked = CliRunner().invoke(app, ["suite-keys", "mark"], input="n\n")
    assert (asked.exit_code, "1 suite keys have no mark" in asked.output) == (1, True)
    assert parse(old).key_id in asked.output
    assert [asyncio.run(taken(text)) for text in (marked, old, gone, planted)] == [True, False, False, False]

    said = call("suite-keys", "mark", "--yes").output
    assert "1 marked." in said
    assert f"{parse(planted).key_id}  made" in said
    assert "NOT marked: its tenant does not list it" in said
    assert [asyncio.run(taken(text)) for text in (marked, old, gone, planted)] == [True, True, False, False]
    assert "There is no suite key to mark." in done("suite-keys", "mark")


@pytest.mark.long
def test_a_backup_is_made_and_restored_by_command(redis, tmp_path, monkeypatch):
    ring, key, backup = (tmp_path / name for name in ("ring.json", "backup.key", "today.backup"))
    done("keyring", "new", str(ring))
    monkeypatch.setenv("RELAY_VAULT_KEY_RING_FILE", str(ring))
    asyncio.run(put_grant(redis.url, ring.read_text()))
    suite_key = done("suite-keys", "issue", TENANT).strip()
    done("backup", "new-key", str(key))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (key, tmp_path / "backup.key.pub")] == [0o600, 0o600]

    assert "1 tenants, 1 grants, 1 suite keys" in done("backup", "create", str(backup), "--key", f"{key}.pub")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    again = call("backup", "create", str(backup), "--key", f"{key}.pub")
    assert (again.exit_code, "exists" in again.output.lower()) == (1, True)
    assert "public half" in call("backup", "restore", str(backup), "--key", f"{key}.pub").output
    folder = tmp_path / "backups"
    folder.mkdir()
    old = folder / "presence-relay-20200101T000000Z.backup"
    old.touch()
    assert f"{old}: deleted" in done("backup", "create", str(folder), "--key", f"{key}.pub", "--keep", "1")
    [kept] = folder.iterdir()
    assert "whole" in done("backup", "verify", str(kept), "--key", str(key))
    assert "whole" in done("backup", "verify", str(backup), "--key", str(key))
    assert "1 unchanged" in done("backup", "restore", str(backup), "--key", str(key))

    asyncio.run(flush(redis.url))
    done("keyring", "new", str(tmp_path / "other.json"))
    monkeypatch.setenv("RELAY_VAULT_KEY_RING_FILE", str(tmp_path / "other.json"))
    shut = call("backup", "restore", str(backup), "--key", str(key))
    assert shut.exit_code == 1
    assert "which the key ring lacks" in shut.output
    assert "Nothing was restored" in shut.output
    assert done("tenants", "list") == ""

    monkeypatch.setenv("RELAY_VAULT_KEY_RING_FILE", str(ring))
    assert f"{TENANT}  restored, 1 suite keys" in done("backup", "restore", str(backup), "--key", str(key))
    assert "grant    ada@contoso.example  healthy" in done("tenants", "show", TENANT)
    assert asyncio.run(verified(redis.url, suite_key, ring)) == TENANT
    damaged = tmp_path / "damaged.backup"
    damaged.write_bytes(backup.read_bytes()[:-10])
    assert "incomplete" in call("backup", "restore", str(damaged), "--key", str(key)).output


async def flush(url: str) -> None:
    async with Store(StoreSettings(url=url)) as store:
        await store.command("FLUSHALL")


async def verified(url: str, text: str, ring: Path) -> TenantId:
    """Whose key an edge takes it for, which has the public keys of the ring."""
    marks = PublicMarks(ring.with_name(f"{ring.name}.pub").read_text())
    async with Store(StoreSettings(url=url)) as store:
        return (await SuiteKeys(store, marks).verify(text)).tenant_id
