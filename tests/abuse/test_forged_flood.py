"""Forged notifications among genuine ones, at a webhook in a process of its own: all of these are accepted, and none of those."""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path

import httpx
import pytest

from emulator import Config, Emulator
from emulator.demo import CLIENT_ID
from relay.core.presence import TenantId
from relay.graph.push.certificates import Certificates
from relay.store.server.connection import Store, StoreSettings
from tests.abuse.measured import rows
from tests.abuse.roles import Served, served
from tests.webhook.conftest import Hook
from tests.webhook.test_forged import Sender, _opened, _send

pytestmark = pytest.mark.long

TENANTS = 4


@pytest.mark.finding(14)
@pytest.mark.parametrize("number", [50, pytest.param(1000, marks=pytest.mark.soak)])
async def test_a_flood_of_forgeries_is_refused_and_what_is_genuine_is_accepted(tmp_path: Path, number: int) -> None:
    async with Emulator.start(Config()) as cloud:
        ca = tmp_path / "entra.pem"
        ca.write_bytes(cloud.ca_pem)
        webhook = served(
            tmp_path,
            only=["webhook"],
            RELAY_CLOUD_AUTHORITY_URL=cloud.url,
            RELAY_CLOUD_GRAPH_URL=cloud.url,
            RELAY_CLOUD_CA_FILE=str(ca),
            RELAY_CLOUD_CLIENT_ID=CLIENT_ID,
        )
        roles = await asyncio.to_thread(webhook.__enter__)
        try:
            role = roles["webhook"]
            async with Store(StoreSettings(url=role.redis_url)) as store, httpx.AsyncClient(timeout=30) as http:
                certificates = Certificates.load(tmp_path / "certificates")
                hook = Hook(f"http://127.0.0.1:{role.port}", http, store, cloud, certificates)
                await flood(hook, role, number)
            await asyncio.to_thread(role.is_well)
        finally:
            await asyncio.to_thread(webhook.__exit__, None, None, None)


async def flood(hook: Hook, role: Served, number: int) -> None:
    tenants = [TenantId(str(uuid.UUID(int=n + 1))) for n in range(TENANTS)]
    sender = Sender(hook, [await hook.subscribed(tenant) for tenant in tenants], random.Random(number))
    posts = [sender.genuine() for _ in range(number)] + [sender.forgery() for _ in range(number)]
    sender.chance.shuffle(posts)
    before = role.rss()
    async with asyncio.timeout(300):
        while posts:  # Graph sends again what a busy webhook answers 503
            statuses = await _send(hook, posts)
            assert set(statuses) <= {202, 400, 503}
            posts = [post for post, status in zip(posts, statuses, strict=True) if status == 503]
    accepted, _ = await _opened(hook, tenants)
    assert set(accepted) == sender.expected
    bound = rows("Forged notifications and tokens")["posts 1,000 forged notifications among genuine ones"].bytes
    assert role.rss() - before < bound
