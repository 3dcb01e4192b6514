"""Fifty customers' agents on one relay: what happens to one of them is nobody else's matter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from presence_api.v1 import presence_pb2 as pb
from relay.core.presence import TenantId
from relay.core.reading.ordering import Order
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.presence.values import Observed
from relay.store.server.connection import Store
from suite.agent.board import Board
from suite.agent.run import Agent
from tests.edge.worker import PlayedWorker, item, name, user
from tests.suite.agent.agents import Premises
from tests.support.ring import MARKS
from tests.support.valkey import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

AGENTS = 50
ONE = 17
"""The one whose key is revoked."""
TENANTS = [TenantId(f"6b5f4a3e-1111-4222-8333-{number:012x}") for number in range(AGENTS)]


class Customers(PlayedWorker):
    """Fifty organisations, in each of which there is one colleague by the same name, and with the same id."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, *TENANTS)
        self._number = 0

    async def say(self, status: pb.ConsoleStatus.ValueType) -> None:
        """The presence of the colleague of each."""
        self._number += 1
        encoded = item(user(0), pb.UserPresence(console_status=status))
        for tenant in TENANTS:
            order = Order(self.lease(tenant).fence, self._number)
            await self.presences.accept(self.lease(tenant), tenant, [Observed(user(0), encoded, order)])

    @asynccontextmanager
    async def in_contact(self) -> AsyncIterator[None]:
        """Say all the time that Microsoft answers: fifty agents may take longer to start than an answer counts as new."""
        contact = asyncio.create_task(self._contact())
        try:
            yield
        finally:
            contact.cancel()
            await asyncio.wait({contact})

    async def _contact(self) -> None:
        while True:
            for tenant in TENANTS:
                await self.contact(contact_ms=int(datetime.now(UTC).timestamp() * 1000), tenant_id=tenant)
            await asyncio.sleep(1.0)


def shows(agent: Agent) -> str:
    return status_on(agent.board)


def status_on(board: Board) -> str:
    """The status of the colleague, or the reason for which there is none; `?` behind what is uncertain."""
    [entry] = board.entries.values()
    return entry.shown.reason or f"{entry.shown.status.value}{'?' if entry.shown.is_uncertain else ''}"


@pytest.mark.timeout(240)
async def test_one_revoked_key_stops_one_agent_which_says_what_to_do_and_forty_nine_others_notice_nothing(
    store: Store, start_edge: Any, authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO, "suite")
    customers, keys = Customers(store), []
    await customers.own()
    for tenant in TENANTS:
        keys.append(await customers.enrol(tenant))
        await customers.resolve({name(0): user(0)}, tenant)
    await customers.say(pb.CONSOLE_STATUS_AVAILABLE)
    edge = await start_edge()
    async with customers.in_contact(), AsyncExitStack() as stack:
        premises, agents = [], []
        for number, key in enumerate(keys):
            folder = tmp_path / str(number)
            folder.mkdir()
            premises.append(Premises(folder, f"localhost:{edge.port}", free_port()))
            premises[-1].write(f"login,upn\nada,{name(0)}\n", authority.cert_pem.bytes(), key.text)
            agents.append(await stack.enter_async_context(premises[-1].agent(look_every_s=1.0)))
        await eventually(lambda: {shows(agent) for agent in agents} == {"available"})
        others = [agent for number, agent in enumerate(agents) if number != ONE]
        before = caplog.text

        await SuiteKeys(store, MARKS).revoke(keys[ONE].key_id)
        await eventually(lambda: shows(agents[ONE]) == "forbidden")
        async with httpx.AsyncClient(trust_env=False) as client:
            told = [(await client.get(f"{one.url}/v1/sources")).json()["sources"]["MSTeams"] for one in premises]
        assert told.pop(ONE) == {
            "state": "forbidden",
            "detail": "This suite key was revoked. Create a new one on the relay's onboarding page. "
            f"(Key id {keys[ONE].key_id}.)",
        }
        assert [one["state"] for one in told] == ["up_and_running"] * (AGENTS - 1)
        await customers.say(pb.CONSOLE_STATUS_BUSY)
        await eventually(lambda: {shows(agent) for agent in others} == {"busy"})
        assert shows(agents[ONE]) == "forbidden"

        new = await customers.issue(TENANTS[ONE])
        (tmp_path / str(ONE) / "suite.key").write_text(new.text)
        await eventually(lambda: shows(agents[ONE]) == "busy")
        logged = caplog.text.removeprefix(before)
    assert [record.levelname for record in caplog.records if "Create a new one" in record.getMessage()] == ["WARNING"]
    assert "connection_error" not in logged  # none of the others lost its stream
    assert logged.count("teams: up_and_running") == 1
    assert not any(key.text in caplog.text for key in [*keys, new])
