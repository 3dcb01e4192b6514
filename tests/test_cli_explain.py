"""`presence-relay explain` at a terminal: readable, for programs, and for an operator who is mistaken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relay.cli import app
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.sealing.keyring import make_ring
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.support.valkey import ValkeyServer

TENANT = TenantId("11111111-1111-1111-1111-111111111111")


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as server:
        monkeypatch.setenv("RELAY_REDIS_URL", server.url_of(Client.OPERATOR))
        monkeypatch.setenv("RELAY_VAULT_KEY_RING", make_ring("test", now_s=0))
        asyncio.run(_put(server.url))
        yield server


async def _put(url: str) -> None:
    tenant = Tenant(tenant_id=TENANT, domain="contoso.example", state=TenantState.PENDING, created=datetime.now(UTC))
    async with Store(StoreSettings(url=url)) as store:
        await Tenants(store).put(tenant)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments])


def test_a_user_is_explained_in_lines_that_say_what_to_do(redis: ValkeyServer):
    said = call("contoso.example", "ada@contoso.example")
    assert said.exit_code == 0, said.output
    lines = {line[:12].strip(): line[12:] for line in said.stdout.splitlines() if line[:12].strip()}
    assert lines["user"] == "ada@contoso.example"
    assert lines["state"] == "not requested by anyone"
    assert lines["what to do"].startswith("Add the user in a suite")
    assert lines["worker"].startswith("none answered")
    assert lines["connector"].startswith("not configured: ")


def test_programs_get_one_object(redis: ValkeyServer):
    said = json.loads(call(TENANT, "not a name", "--json").stdout)
    assert said["word"] == "user not configured"
    assert said["absence"]["remedy"].endswith(".")
    assert said["connector"]["state"] == "not configured"
    assert said["presence"] is None


def test_names_cannot_write_on_the_terminal(redis: ValkeyServer):
    said = call(TENANT, "\x1b[2Jada")
    assert said.exit_code == 0
    assert "\x1b" not in said.stdout


def test_a_tenant_that_is_none_is_told(redis: ValkeyServer):
    said = call("fabrikam.example", "ada@contoso.example")
    assert said.exit_code == 2
    assert "Traceback" not in said.output
