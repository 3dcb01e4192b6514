"""`presence-relay tenants list` with a thousand tenants: pages, and round trips that do not grow with their number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio.connection import AbstractConnection
from typer.testing import CliRunner, Result

from relay.cli import app
from relay.core.consent.tenant import TenantState
from relay.core.presence import Name, TenantId
from relay.diagnosis.standing import BATCH
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.presence.interest import Interest
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import RingMarks
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from tests.support.ring import RING_JSON
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.long

TENANTS = 1000
NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
MOST_ROUND_TRIPS_OF_A_BATCH = 17
"""Connecting twice, the layout of the data, the list of tenants, scripts that the server is given first, ids, and the records that they lead to."""


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(Path(tmp_path_factory.mktemp("many"))) as server:
        asyncio.run(put_tenants(server.url))
        yield server


@pytest.fixture(autouse=True)
def environment(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_REDIS_URL", valkey.url_of(Client.OPERATOR))
    monkeypatch.setenv("RELAY_VAULT_KEY_RING", RING_JSON)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What redis-py sends, an entry for each round trip."""
    trips: list[str] = []
    send = AbstractConnection.send_packed_command

    async def counted(self: AbstractConnection, command: object, *args: object, **kwargs: object) -> None:
        trips.append(type(command).__name__)
        await send(self, command, *args, **kwargs)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    return trips


async def put_tenants(url: str) -> None:
    async with Store(StoreSettings(url=url)) as store:
        tenants, suite_keys = Tenants(store), SuiteKeys(store, RingMarks(KeyRing.from_json(RING_JSON)))

        async def put(number: int) -> None:
            tenant_id = id_of(number)
            await tenants.put(Tenant(tenant_id=tenant_id, state=TenantState.ACTIVE, created=NOW))
            if number < 3:
                await suite_keys.issue(tenant_id, "reception")
                await Interest(store).add(tenant_id, "edge", [Name("ada@contoso.example"), Name("ben@contoso.example")])

        await asyncio.gather(*map(put, range(TENANTS)))


def id_of(number: int) -> TenantId:
    return TenantId(f"{number:08}-1111-1111-1111-111111111111")


def listed(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["tenants", "list", *arguments])
    assert result.exit_code == 0, result.output
    return result


def ids(result: Result) -> list[str]:
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


def test_tenants_are_printed_in_pages_and_the_next_one_is_named():
    first = listed()
    assert (len(ids(first)), first.stderr) == (100, "Tenants 1 to 100 of 1,000. Next: --page 2\n")
    pages = [listed("--page", str(page), "--page-size", "400") for page in (1, 2, 3)]
    assert pages[-1].stderr == "Tenants 801 to 1,000 of 1,000.\n"
    together = [tenant_id for page in pages for tenant_id in ids(page)]
    assert together[:100] == ids(first)
    assert sorted(together) == [*map(id_of, range(TENANTS))]
    assert listed("--page", "11").stderr == "No tenants on this page, of 1,000.\n"


def test_json_has_all_tenants_unless_a_page_is_asked_for():
    found = {one["tenant_id"]: one for one in json.loads(listed("--json").stdout)}
    assert found.keys() == set(map(id_of, range(TENANTS)))
    one = found[id_of(0)]
    assert (one["watched_users"], [key["label"] for key in one["suite_keys"]]) == (2, ["reception"])
    assert len(json.loads(listed("--json", "--page-size", "7").stdout)) == 7


def test_the_round_trips_do_not_grow_with_the_tenants(sent: list[str]):
    listed("--page-size", "1")
    of_one = len(sent)
    sent.clear()
    listed("--page-size", str(BATCH))
    of_a_batch = len(sent)
    sent.clear()
    listed("--json")
    of_all = len(sent)
    assert of_one <= MOST_ROUND_TRIPS_OF_A_BATCH
    assert of_a_batch <= MOST_ROUND_TRIPS_OF_A_BATCH
    assert of_all <= MOST_ROUND_TRIPS_OF_A_BATCH * TENANTS / BATCH
