"""A relay of real processes with a proxy in each line, tenants, suites and changes, scraped by a real Prometheus in scaled time.

suites ──► edge ─┐                    ┌──► cloud (Graph, Entra)
      worker ×2 ─┼─ proxy each ─► Redis│
        webhook ─┤                    └──► proxy ──► webhook
            web ─┘
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import httpx
import trustme

from bench.load.world import CLIENT_ID, SECRET, Organisation, admit, organisations, write
from suite.backoff import Backoff
from suite.client import PresenceClient
from tests.chaos.clocks import SteppedClock
from tests.chaos.console import Console
from tests.chaos.processes import Relay, at_work
from tests.chaos.scene import SETTINGS, SPEED
from tests.chaos.servers import StandaloneServer
from tests.emulator.driver import form
from tests.monitoring.prometheus import Prometheus, Target, scraping
from tests.onboarding.person import APPLICANT
from tests.support.fault_proxy import FaultProxy
from tests.support.ring import MARKS
from tests.support.valkey import free_port
from tests.support.waiting import eventually

FACTOR: Final = 60
"""A minute of the rules' windows takes a second."""
ROLES: Final = {"edge": "edge", "worker-1": "worker", "worker-2": "worker", "webhook": "webhook", "web": "web"}
TENANTS: Final = 5
USERS: Final = 12
CHANGES_A_SECOND: Final = 4.0
_SPARE: Final = 1
"""Tenants that a stage may take in."""
_AVAILABILITIES: Final = ("Available", "Busy", "Away", "DoNotDisturb", "BeRightBack")
_SWITCHES: Final = {"notification_delay_s": [0.2, 1.0]}
_SLOWER: Final = {
    "RELAY_CLOUD_CLIENT_ID": CLIENT_ID,
    "RELAY_CLOUD_CLIENT_SECRET": SECRET,
    "RELAY_WORKER_LEASE": "12s",  # twice that of production: the machine may be busy
}


@dataclass
class World:
    """The relay and what stands around it.

    Attributes:
        relay: the processes.
        servers: Redis.
        prometheus: scrapes all roles.
        lines: process -> the proxy between it and Redis; `hook` -> the one between the cloud and the webhook.
        tenants: those that were taken in; `spare` was not yet.
        web_certificate: the files of the pages' certificate and its key.
        authority: signs certificates of the pages.
        edge_clock: the clock of the edge's node.
        consoles: the suites that stay.
        keys: number of a tenant -> its suite key.
    """

    relay: Relay
    servers: StandaloneServer
    prometheus: Prometheus
    lines: dict[str, FaultProxy]
    tenants: list[Organisation]
    spare: Organisation
    web_certificate: tuple[Path, Path]
    authority: trustme.CA
    edge_clock: SteppedClock
    consoles: list[Console] = field(default_factory=list)
    keys: dict[int, str] = field(default_factory=dict)

    async def admit(self, each: Organisation) -> str:
        """Take a tenant in; returns a suite key."""
        body = {"client_id": CLIENT_ID, "scopes": ["Presence.Read.All", "User.ReadBasic.All"]}
        tokens = {
            account: (await self.relay.ask("POST", "grants", {**body, "account": account}))["refresh_token"]
            for account in each.accounts
        }
        return await admit(self.relay.store, self.relay.vault, MARKS, self.relay.cloud.url, each, tokens)

    async def come(self, tenant: Organisation, key: str) -> None:
        """Let a suite come that watches all users of a tenant."""
        console = Console(str(tenant.number), self.client(key, tenant.names))
        self.consoles.append(console)
        await console.open(tenant.tenant_id, tenant.names)

    def client(self, key: str, users: list[str]) -> PresenceClient:
        """Return a suite's client."""
        return PresenceClient(
            self.relay.address, key, ca_pem=self.relay.ca_pem, proxy="", users=users,
            backoff=Backoff(lambda _, high: min(high, 0.5)),
        )  # fmt: skip

    def write_web_certificate(self, days: float) -> None:
        """Give the pages a certificate that ends after so many days."""
        write_certificate(self.authority, self.web_certificate, days)

    async def begin(self) -> None:
        """Take the tenants in, let a suite of each come, and wait until all show everybody."""
        for each in self.tenants:
            self.keys[each.number] = await self.admit(each)
            await self.come(each, self.keys[each.number])
        await eventually(lambda: all(console.is_well for console in self.consoles), 180)

    async def change(self) -> None:
        """Change somebody's presence again and again, until cancelled."""
        chance = random.Random(1)
        for mark in itertools.count():
            await asyncio.sleep(1 / CHANGES_A_SECOND)
            who = chance.choice(chance.choice(self.tenants).names)
            body = {"availability": chance.choice(_AVAILABILITIES), "activity": f"Staged{mark}"}
            with suppress(httpx.HTTPError):
                await self.relay.ask("PUT", f"people/{who}/presence", body)

    async def come_and_go(self) -> None:
        """Let a suite come for a moment again and again, until cancelled."""
        for tenant in itertools.cycle(self.tenants):
            async with self.client(self.keys[tenant.number], tenant.names[:1]):
                await asyncio.sleep(2.0)
            await asyncio.sleep(2.0)

    async def visit(self) -> None:
        """Begin to connect an organisation again and again, as somebody who then looks at something else, until cancelled."""
        url = self.relay.processes["web"].environment["RELAY_WEB_PUBLIC_URL"]
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=10, follow_redirects=True) as client:
            while True:
                with suppress(httpx.HTTPError, AssertionError, LookupError):
                    page = await client.get(f"{url}/onboarding")
                    action, fields = form(page.text, "start")
                    await client.post(
                        urljoin(str(page.url), action),
                        data={**fields, **APPLICANT, "domain": "t0.example"},
                        headers={"origin": url},
                    )
                await asyncio.sleep(2.0)


def write_certificate(authority: trustme.CA, files: tuple[Path, Path], days: float) -> None:
    """Write a certificate for this machine, which ends after so many days, and its key."""
    leaf = authority.issue_cert("127.0.0.1", "localhost", not_after=datetime.now(UTC) + timedelta(days=days))
    files[0].write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    files[1].write_bytes(leaf.private_key_pem.bytes())


def _pages(folder: Path, authority: trustme.CA) -> dict[str, str]:
    """Return the settings of the role `web`."""
    files = folder / "web.pem", folder / "web-key.pem"
    write_certificate(authority, files, 90)
    port = free_port()
    return {
        "RELAY_WEB_HOST": "127.0.0.1",
        "RELAY_WEB_PORT": str(port),
        "RELAY_WEB_PUBLIC_URL": f"https://127.0.0.1:{port}",
        "RELAY_WEB_SUITE_ADDRESS": "relay.example:443",
        "RELAY_WEB_TLS_CERT_FILE": str(files[0]),
        "RELAY_WEB_TLS_KEY_FILE": str(files[1]),
        "RELAY_WEB_SIGN_UP": "open",
        "RELAY_WEB_FORMS_PER_MINUTE": "1000",
    }


@asynccontextmanager
async def world(folder: Path, *, roles: dict[str, str] = ROLES, tenants: int = TENANTS) -> AsyncIterator[World]:
    """A relay at work in an empty folder, with these processes (name -> role) and so many tenants.

    All that it starts ends with it.
    """
    everybody = organisations([USERS] * (tenants + _SPARE))
    write(folder / "world.json", everybody)
    authority = trustme.CA()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(StandaloneServer(folder))
        redis = ("127.0.0.1", servers.valkey.port)
        hook_port = free_port()
        lines = {name: await stack.enter_async_context(FaultProxy(redis)) for name in roles}
        lines["hook"] = await stack.enter_async_context(FaultProxy(("127.0.0.1", hook_port)))
        edge_clock = SteppedClock(folder / "edge.clock")
        own = {name: {"RELAY_REDIS_URL": f"redis://{lines[name].address}"} for name in roles}
        if "web" in own:
            own["web"] |= _pages(folder, authority)
        if "edge" in own:
            own["edge"] |= edge_clock.environment
        settings = {
            **SETTINGS, **_SLOWER, "RELAY_WEBHOOK_URL": f"https://{lines['hook'].address}",
            "RELAY_WEBHOOK_PORT": str(hook_port), "RELAY_MAIL_HOST": "127.0.0.1", "RELAY_MAIL_PORT": str(free_port()),
            "RELAY_MAIL_TLS": "none", "RELAY_MAIL_FROM": "relay@relay.example",
            "RELAY_TELEMETRY_TENANTS": ",".join(each.tenant_id for each in everybody[:2]),
        }  # fmt: skip
        relay = await stack.enter_async_context(
            at_work(
                folder, speed=SPEED, switches=_SWITCHES, settings=settings, roles=roles, servers=servers, own=own,
                world=folder / "world.json",
            )
        )  # fmt: skip
        targets = [Target(relay.ops[name], role, name) for name, role in roles.items()]
        prometheus = await stack.enter_async_context(
            scraping(targets, folder / "prometheus", every="1s", factor=FACTOR)
        )
        at = World(
            relay, servers, prometheus, lines, everybody[:tenants], everybody[tenants],
            (folder / "web.pem", folder / "web-key.pem"), authority, edge_clock,
        )  # fmt: skip
        await at.begin()
        stack.push_async_callback(_left, at)
        suites = [at.change, at.come_and_go] if tenants else []
        async with _under_way(*suites, *([at.visit] if "web" in roles else [])):
            yield at


async def _left(at: World) -> None:
    for console in at.consoles:
        await console.close()


@asynccontextmanager
async def _under_way(*works: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
