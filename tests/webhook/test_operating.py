"""An operator's work with the webhook: make certificates, check the way to it, run the role."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme
from typer.testing import CliRunner, Result

from emulator.demo import CLIENT_ID
from relay import app
from relay.app import Running
from relay.cli import app as commands
from relay.core.consent.tenant import TenantState
from relay.diagnosis import checks as preflight
from relay.graph.push.certificates import Certificates, make
from relay.settings.load import Settings, load
from relay.settings.roles import Role, needs_of
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.server.connection import Store, StoreSettings
from tests.support.valkey import ValkeyServer, free_port
from tests.webhook.conftest import CONTOSO, NOW, Hook


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands, list(arguments))


def test_a_certificate_is_made_for_its_owners_eyes_and_never_overwritten(tmp_path: Path):
    folder = tmp_path / "certificates"
    made = call("certificates", "make", str(folder), "--name", "2026-11")
    assert made.exit_code == 0, made.output
    assert f"RELAY_WEBHOOK_CERTIFICATES={folder}" in made.output
    assert stat.S_IMODE((folder / "2026-11.pem").stat().st_mode) == 0o600
    assert Certificates.load(folder).newest.private_key.key_size == 2048
    again = call("certificates", "make", str(folder), "--name", "2026-11")
    assert (again.exit_code, "exists" in again.output) == (1, True)
    assert call("certificates", "make", str(folder), "--name", "../x").exit_code == 2
    assert call("certificates", "make", str(folder)).exit_code == 0
    assert len(Certificates.load(folder).all()) == 2


def test_the_list_says_which_certificate_may_go(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificates: Certificates
):
    async def prepare() -> None:
        async with Store(StoreSettings(url=valkey.url)) as store:
            await store.command("FLUSHALL")
            await Tenants(store).put(Tenant(tenant_id=CONTOSO, state=TenantState.ACTIVE, created=NOW))
            hook = Hook("", None, store, None, certificates)  # type: ignore[arg-type]
            for name in ("new", newest, "lost.01234567"):  # the first as earlier releases wrote it
                await hook.subscribed(certificate_id=name)

    for name, days in (("old", 300), ("new", 1)):
        (tmp_path / f"{name}.pem").write_bytes(make(name, NOW - timedelta(days=days)))
    newest = Certificates.load(tmp_path).newest.certificate_id
    asyncio.run(prepare())
    monkeypatch.setenv("RELAY_REDIS_URL", valkey.url)
    monkeypatch.setenv("RELAY_WEBHOOK_URL", "https://hook.example")
    monkeypatch.setenv("RELAY_WEBHOOK_CERTIFICATES", str(tmp_path))
    listed = call("certificates", "list")
    assert listed.exit_code == 0, listed.output
    old, new, *lost = [line.split() for line in listed.output.splitlines()]
    assert (old[0], old[-2]) == ("old", "0")
    assert (new[0], new[1], new[-2]) == ("new", "newest", "2")
    assert "MISSING" in " ".join(lost[0])


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate for loopback."""

    ca: str
    chain: str
    key: str

    @classmethod
    def make(cls) -> Tls:
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1")
        chain = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
        return cls(authority.cert_pem.bytes().decode(), chain, leaf.private_key_pem.bytes().decode())


def settings(redis: str, folder: Path, tls: Tls, port: int, url: str = "") -> Settings:
    if not (folder / "made.pem").exists():
        (folder / "made.pem").write_bytes(make("made", datetime.now(UTC)))
    away = f"https://127.0.0.1:{free_port()}"
    given = {
        "redis": {"url": redis},
        "cloud": {
            "name": "custom", "client_id": CLIENT_ID, "client_secret": "x", "authority_url": away, "graph_url": away,
            "ca": tls.ca,
        },
        "webhook": {
            "url": url or f"https://127.0.0.1:{port}", "certificates": str(folder), "host": "127.0.0.1", "port": port,
            "tls_cert": tls.chain or None, "tls_key": tls.key or None,
        },
        "ops": {"host": "127.0.0.1", "port": 0},
    }  # fmt: skip
    return load(needs_of([Role.WEBHOOK]), given)


@asynccontextmanager
async def role_running(which: Settings) -> AsyncIterator[Running]:
    stop = asyncio.Event()
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(which, [Role.WEBHOOK], stop, ready.set_result))
    try:
        async with asyncio.timeout(20):
            yield await ready
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


async def findings(which: Settings) -> dict[str, bool]:
    found = [one for one in await preflight.run_checks(which) if "WEBHOOK" in one.text]
    return {one.text: one.is_good for one in found}


async def test_the_role_runs_alone_and_the_preflight_finds_the_way_to_it(valkey: ValkeyServer, tmp_path: Path):
    tls, port = Tls.make(), free_port()
    which = settings(valkey.url, tmp_path, tls, port)
    away = await findings(which)
    assert [text for text, is_good in away.items() if not is_good and "does not answer" in text]
    async with role_running(which) as running:
        assert running.webhook_port == port
        found = await findings(which)
        assert all(found.values()), found
        assert [text for text in found if "answers a handshake" in text]
        assert [text for text in found if "RELAY_WEBHOOK_CERTIFICATES, made: valid until" in text]


async def test_the_preflight_tells_the_webhook_from_whatever_else_answers(
    valkey: ValkeyServer, tmp_path: Path, hook: Hook
):
    tls = Tls(hook.cloud.ca_pem.decode(), "", "")
    which = settings(valkey.url, tmp_path, tls, 0, url=hook.cloud.url)  # Graph itself is no webhook
    found = await findings(which)
    assert [text for text, is_good in found.items() if not is_good and "something other" in text]


async def test_an_expiring_certificate_is_told(valkey: ValkeyServer, tmp_path: Path):
    (tmp_path / "made.pem").write_bytes(make("made", datetime.now(UTC) - timedelta(days=360)))
    found = await findings(settings(valkey.url, tmp_path, Tls.make(), free_port()))
    assert [text for text, is_good in found.items() if not is_good and "made: expires on" in text]


async def test_a_port_that_is_taken_ends_the_role_with_its_name(valkey: ValkeyServer, tmp_path: Path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(OSError) as caught:
            await app.run(settings(valkey.url, tmp_path, Tls.make(), port), [Role.WEBHOOK], asyncio.Event())
        assert caught.value.filename == f"127.0.0.1:{port}"


async def test_health_knows_the_role(valkey: ValkeyServer, tmp_path: Path):
    which = settings(valkey.url, tmp_path, Tls.make(), free_port())
    async with role_running(which) as running, httpx.AsyncClient(verify=False, trust_env=False) as http:
        assert (await http.get(f"http://127.0.0.1:{running.ops_port}/readyz")).status_code == 200
