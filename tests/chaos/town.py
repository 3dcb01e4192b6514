"""A relay as large as one machine holds it: many tenants, each with suites that reach the edges by a balancer, and changes all the time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load.world import CLIENT_ID, SECRET, Organisation, admit, organisations, write
from suite.backoff import Backoff
from suite.client import PresenceClient
from tests.chaos import record as lines
from tests.chaos.asked import AskedOfGraph
from tests.chaos.console import Console
from tests.chaos.processes import Relay, at_work
from tests.chaos.record import Record
from tests.chaos.scene import MARKER
from tests.chaos.schedule import ROLES
from tests.chaos.topologies import TOPOLOGIES
from tests.support.fault_proxy import FaultProxy
from tests.support.ring import MARKS
from tests.support.valkey import free_port
from tests.support.waiting import eventually

_AVAILABILITIES: Final = ("Available", "Busy", "Away", "DoNotDisturb", "BeRightBack")
_PAGE: Final = 20_000
_SWITCHES: Final = {"notification_delay_s": [0.2, 1.0]}
_SETTINGS: Final = {
    "RELAY_CLOUD_CLIENT_ID": CLIENT_ID,
    "RELAY_CLOUD_CLIENT_SECRET": SECRET,
    "RELAY_SUBSCRIPTION_GATHER": "1s",
    "RELAY_EDGE_DRAIN_DELAY": "2s",
}
"""All else is as in production."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a town is; each tenant has so many suites, which watch all of its users."""

    tenants: int = 50
    suites: int = 2
    users: int = 400
    changes_a_second: float = 20.0


WHOLE: Final = Size()
SMALL: Final = Size(tenants=4, users=20)


class Town:
    """A town at work.

    Attributes:
        relay: its processes.
        record: what happens.
        size: how large it is.
        balancers: where suites connect.
        hook: where Microsoft connects.
        asked: what Graph was asked.
    """

    def __init__(
        self, relay: Relay, record: Record, size: Size, balancers: Sequence[FaultProxy], hook: FaultProxy
    ) -> None:
        self.relay = relay
        self.record = record
        self.size = size
        self.balancers = balancers
        self.hook = hook
        self.asked = AskedOfGraph()
        self._tenants = organisations([size.users] * size.tenants)
        self._consoles: list[Console] = []
        self._shown: dict[str, str] = {}
        self._marks = 0
        self._goes_on = asyncio.Event()

    async def begin(self) -> None:
        """Take all tenants in, let all suites come, and wait until they show everybody."""
        for each in self._tenants:
            tokens = {account: await self._consent(account) for account in each.accounts}
            key = await admit(self.relay.store, self.relay.vault, MARKS, self.relay.cloud.url, each, tokens)
            await self._know(each)
            for number in range(self.size.suites):
                await self._come(each, number, key)
        await self.relay.ask("PUT", "history", {"enabled": True})
        await eventually(lambda: all(console.is_well for console in self._consoles), 180)
        await eventually(lambda: not self._unknown(), 180, self._unknown)
        self._goes_on.set()

    async def _consent(self, account: str) -> str:
        body = {"account": account, "client_id": CLIENT_ID, "scopes": ["Presence.Read.All", "User.ReadBasic.All"]}
        return str((await self.relay.ask("POST", "grants", body))["refresh_token"])

    async def _know(self, tenant: Organisation) -> None:
        for each in (await self.relay.ask("GET", "people", tenant=tenant.tenant_id))["people"]:
            self.record.note(lines.Person(each["id"], tenant.tenant_id, each["upn"]))
            self.record.note(
                lines.Truth(0.0, each["id"], each["availability"], each["activity"], each["sequence_number"])
            )

    async def _come(self, tenant: Organisation, number: int, key: str) -> None:
        client = PresenceClient(
            self.balancers[len(self._consoles) % len(self.balancers)].address,
            key,
            ca_pem=self.relay.ca_pem,
            proxy="",
            users=tenant.names,
            backoff=Backoff(lambda _, high: min(high, 0.5)),
        )
        console = Console(f"{tenant.number}-{number}", client, self.record)
        self._consoles.append(console)
        await console.open(tenant.tenant_id, tenant.names)

    def _unknown(self) -> int:
        """The number of users whom a suite shows no presence of."""
        shown = [sum(answer.presence is not None for answer in each.client.answers.values()) for each in self._consoles]
        return self.size.users * len(shown) - sum(shown)

    async def change(self) -> None:
        """Change somebody's presence again and again, until cancelled: as often in one span of time as in another."""
        chance, due = random.Random(1), time.monotonic()
        while True:
            await asyncio.sleep(due - time.monotonic())
            if not self._goes_on.is_set():
                await self._goes_on.wait()
                due = time.monotonic()
            due += 1 / self.size.changes_a_second
            self._marks += 1
            who = chance.choice(chance.choice(self._tenants).names)
            activity = f"{MARKER}{self._marks}"
            self._shown[who] = activity
            body = {"availability": chance.choice(_AVAILABILITIES), "activity": activity}
            await self.relay.ask("PUT", f"people/{who}/presence", body)

    def missing(self) -> list[str]:
        """Return who is shown otherwise than there is to see, and the suites that are not well."""
        unwell = [console.name for console in self._consoles if not console.is_well]
        return unwell + [
            f"{console.name}: {who}"
            for who, activity in self._shown.items()
            for console in self._consoles
            if console.name.partition("-")[0] == who.partition("@t")[2].partition(".")[0]
            and console.shows(who)[1] != activity
        ]

    async def rest(self, within_s: float) -> None:
        """Change nothing until all is right, and note the calm."""
        self._goes_on.clear()
        await asyncio.sleep(1.0)  # a change that is under way
        since = time.time()
        await eventually(lambda: not self.missing(), within_s + 60, lambda: self.missing()[:5])
        self.record.note(lines.Calm(since, time.time(), time.time(), within_s))
        self._goes_on.set()

    async def end(self) -> None:
        """Let all suites leave, and note what there was to see."""
        for console in self._consoles:
            await console.close()
        after = 0
        while changes := (await self.relay.ask("GET", "history", after=after, limit=_PAGE))["changes"]:
            for each in changes:
                number = each["sequence_number"]
                self.record.note(
                    lines.Truth(each["utc"], each["person"], each["availability"], each["activity"], number)
                )
            after = changes[-1]["number"]


@asynccontextmanager
async def town(
    folder: Path, topology: str, size: Size, slack_s: float, variables: Mapping[str, str] | None = None
) -> AsyncIterator[Town]:
    """A town in an empty folder, with its changes under way; its record is `record.jsonl` there. Its processes have these variables too."""
    edges = {name: free_port() for name, role in ROLES.items() if role == "edge"}
    hooks = {name: free_port() for name, role in ROLES.items() if role == "webhook"}
    write(folder / "world.json", organisations([size.users] * size.tenants))
    record = Record(file=folder / "record.jsonl")
    record.note(lines.Begun(0, topology, slack_s))
    async with AsyncExitStack() as stack:
        stack.callback(record.close)
        servers = await stack.enter_async_context(TOPOLOGIES[topology](folder, slack_s))
        balancers = [
            await stack.enter_async_context(FaultProxy(("127.0.0.1", first), others=[("127.0.0.1", second)]))
            for first, second in (list(edges.values()), list(edges.values())[::-1])
        ]
        first_hook, *other_hooks = hooks.values()
        hook = await stack.enter_async_context(
            FaultProxy(("127.0.0.1", first_hook), others=[("127.0.0.1", port) for port in other_hooks])
        )
        settings = {**_SETTINGS, "RELAY_WEBHOOK_URL": f"https://{hook.address}", **(variables or {})}
        own = {
            **{name: {"RELAY_EDGE_PORT": str(port)} for name, port in edges.items()},
            **{name: {"RELAY_WEBHOOK_PORT": str(port)} for name, port in hooks.items()},
        }
        relay = await stack.enter_async_context(
            at_work(
                folder, speed=1.0, switches=_SWITCHES, settings=settings, roles=ROLES, servers=servers, own=own,
                world=folder / "world.json",
            )
        )  # fmt: skip
        at = Town(relay, record, size, balancers, hook)
        await at.begin()
        under_way = [asyncio.create_task(at.change()), asyncio.create_task(at.asked.keep_gathering(relay))]
        try:
            yield at
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
