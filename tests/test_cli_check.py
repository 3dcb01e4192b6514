"""`presence-relay check --before-start`: what new processes cannot work with stops an update, and what can wait does not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from typer.testing import CliRunner, Result

from emulator import Config, Emulator
from emulator.demo import CLIENT_ID, SECRET
from relay.cli import app
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.sealing.keyring import make_ring
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.support.valkey import ValkeyServer, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulator import Cloud


@pytest.fixture
async def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    """A cloud, and a Redis with an active tenant that no worker reads and one that waits; the edge's certificate ends in a week."""
    leaf = trustme.CA().issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=7))
    with ValkeyServer(tmp_path) as server:
        async with Emulator.start(Config()) as running:
            given = {
                "REDIS_URL": server.url_of(Client.OPERATOR), "VAULT_KEY_RING": make_ring("k1", now_s=1),
                "EDGE_TLS_CERT": leaf.cert_chain_pems[0].bytes().decode(),
                "EDGE_TLS_KEY": leaf.private_key_pem.bytes().decode(),
                "CLOUD": "custom", "CLOUD_AUTHORITY_URL": running.url, "CLOUD_GRAPH_URL": running.url,
                "CLOUD_CA": running.ca_pem.decode(), "CLOUD_CLIENT_ID": CLIENT_ID, "CLOUD_CLIENT_SECRET": SECRET,
            }  # fmt: skip
            for name, value in given.items():
                monkeypatch.setenv(f"RELAY_{name}", value)
            async with Store(StoreSettings(url=server.url)) as store:
                for number, state in enumerate((TenantState.ACTIVE, TenantState.PENDING)):
                    identity = TenantId(f"00000000-0000-0000-0000-00000000000{number}")
                    await Tenants(store).put(Tenant(tenant_id=identity, state=state, created=datetime.now(UTC)))
            yield running


async def checked(*options: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["check", *options])


async def test_what_can_wait_is_told_and_stops_no_update_that_may_be_its_cure(cloud: Cloud):
    result = await checked("--before-start")
    later = [line for line in result.output.splitlines() if line.startswith("later ")]
    for words in ("RELAY_EDGE_TLS_CERT: expires on", "Workers: none runs", "Tenants that wait for your approval: 1"):
        assert any(words in line for line in later), result.output
    assert (result.exit_code, "WRONG" in result.output) == (0, False), result.output
    assert (await checked()).exit_code == 1


async def test_what_new_processes_cannot_work_with_stops_an_update(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELAY_CLOUD_GRAPH_URL", f"https://127.0.0.1:{free_port()}")
    result = await checked("--before-start")
    assert (result.exit_code, "WRONG Graph" in result.output) == (1, True), result.output
