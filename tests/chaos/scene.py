"""A relay with its tenants and suites, and people whose presence changes: what every run does, whatever goes wrong in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from relay.core.presence import TenantId
from suite.backoff import Backoff
from suite.client import PresenceClient
from tests.chaos import record as lines
from tests.chaos.console import Console
from tests.chaos.lives import Life, life_of
from tests.chaos.processes import Relay
from tests.chaos.record import Record

SPEED: Final = 300.0
"""World seconds in a second: an hour of Graph's takes 12 s, so that a run sees a few renewals."""
CONTOSO: Final = tuple(
    f"{name}@contoso.example" for name in ("ada", "ben", "chloe", "david", "emma", "farid", "grace", "hugo")
)
FABRIKAM: Final = tuple(f"{name}@fabrikam.example" for name in ("mia", "noah", "olga", "paul"))
NEWCOMER: Final = "ines@contoso.example"
"""Whom a suite watches for a while only."""
POLL_S, RECONCILE_S, LEASE_S = 1.0, 3.0, 2.0
SETTINGS: Final = {
    "RELAY_POLL_INTERVAL": f"{POLL_S}s",
    "RELAY_POLL_RECONCILE_INTERVAL": f"{RECONCILE_S}s",
    "RELAY_WORKER_LEASE": f"{LEASE_S}s",
    "RELAY_WATCH_LINGER": "1s",
    "RELAY_SUBSCRIPTION_USERS": "3",
    # Graph takes the 50 minutes for the world's, which are 10 seconds; 4.5 to 5.4 are 22 to 27 of its minutes.
    "RELAY_SUBSCRIPTION_RENEW_AFTER": "4500ms",
    "RELAY_SUBSCRIPTION_GATHER": "200ms",
    "RELAY_SUBSCRIPTION_REMAKE_SOON": "1s",
    "RELAY_SUBSCRIPTION_REMAKE_LATE": "1500ms",
    "RELAY_SUBSCRIPTION_RETRY_LEAST": "500ms",
    "RELAY_SUBSCRIPTION_RETRY_MOST": "2s",
    "RELAY_SUBSCRIPTION_LOOK_AFTER": "500ms",
    "RELAY_SUBSCRIPTION_ANNOUNCED_WITHIN": "2s",
    "RELAY_SUBSCRIPTION_SILENT_PAUSE": "3s",
}
"""Of every role: times of seconds rather than minutes."""
MARKER: Final = "Zq7Mark"
"""Activities begin with it, so that a presence in an output is recognised."""
_PROGRESS_S: Final = 1.0
_PAGE: Final = 20_000
_NOISE: Final = ("Traceback", " broke")


class Scene:
    """A relay at work, two tenants, and the suites that come and go.

    Attributes:
        relay: the processes.
        record: what happens.
        consoles: the suites that are there.
        watched: suite -> the names that it asks for.
        contoso: the tenant that has two grants.
        fabrikam: the other one.
    """

    contoso: TenantId
    fabrikam: TenantId

    def __init__(self, relay: Relay, record: Record, addresses: Sequence[str]) -> None:
        self.relay = relay
        self.record = record
        self.addresses = list(addresses)
        self.consoles: dict[str, Console] = {}
        self.watched: dict[str, set[str]] = {}
        self.gone: list[Console] = []
        self.ids: dict[str, str] = {}
        self._keys: dict[TenantId, str] = {}
        self._truth: dict[str, tuple[str, str]] = {}

    async def begin(self) -> None:
        """Take the tenants in, let three suites come, and wait until they show what there is to see."""
        relay = self.relay
        self.contoso = await relay.onboard("presence-relay@contoso.example")
        await relay.onboard("ben@contoso.example")
        self.fabrikam = await relay.onboard("presence-relay@fabrikam.example")
        self._keys = {tenant: await relay.suite_key(tenant) for tenant in (self.contoso, self.fabrikam)}
        await self._know_people()
        await relay.ask("PUT", "history", {"enabled": True})
        await relay.ask("PUT", "journal", {"keep_ids": True})
        await self.come("console", CONTOSO)
        await self.come("second", CONTOSO[2:7])
        await self.come("fabrikam", FABRIKAM)
        deadline = time.monotonic() + 90
        while wrong := self.wrong():
            assert time.monotonic() < deadline, f"the relay did not begin: {wrong}"
            await asyncio.sleep(0.05)

    async def _know_people(self) -> None:
        for tenant in (self.contoso, self.fabrikam):
            for each in (await self.relay.ask("GET", "people", tenant=tenant))["people"]:
                self.ids[each["upn"]] = each["id"]
                self._truth[each["upn"]] = (each["availability"], each["activity"])
                self.record.note(lines.Person(each["id"], tenant, each["upn"]))
                self.record.note(
                    lines.Truth(0.0, each["id"], each["availability"], each["activity"], each["sequence_number"])
                )

    # Suites

    async def come(self, suite: str, users: Sequence[str]) -> None:
        """Let a suite come; whose it is follows from its users."""
        tenant = self.fabrikam if users[0] in FABRIKAM else self.contoso
        client = PresenceClient(
            self.addresses[len(self.consoles) % len(self.addresses)],
            self._keys[tenant],
            ca_pem=self.relay.ca_pem,
            proxy="",
            users=users,
            progress_interval=timedelta(seconds=_PROGRESS_S),
            backoff=Backoff(lambda _, high: min(high, 0.2)),
        )
        console = self.consoles[suite] = Console(suite, client, self.record)
        self.watched[suite] = set(users)
        await console.open(tenant, users)

    async def go(self, suite: str) -> None:
        """Let a suite leave."""
        console = self.consoles.pop(suite)
        await console.close()
        self.gone.append(console)

    async def subscribe(self, suite: str, who: str) -> None:
        """Let a suite watch somebody too."""
        self.watched[suite].add(who)
        await self.consoles[suite].subscribe([who])

    async def unsubscribe(self, suite: str, who: str) -> None:
        """Let a suite watch somebody no longer."""
        self.watched[suite].discard(who)
        await self.consoles[suite].unsubscribe([who])

    def wrong(self) -> list[str]:
        """Return who is shown otherwise than there is to see, and which suites are not told that all is well."""
        unwell = [f"{name} is not told that all is well" for name, each in self.consoles.items() if not each.is_well]
        return unwell + [
            f"{console.name} shows {name} as {shown}, and there is {self._truth[name]}"
            for console in self.consoles.values()
            for name in self.watched[console.name]
            if (shown := console.shows(name)) != self._truth[name]
        ]

    async def not_back(self) -> str:
        """Return which process is not ready or which suites are not connected; empty when all are."""
        for name in self.relay.ops:
            if not await self.relay.is_ready(name):
                return f"{name} is not ready"
        away = [name for name, console in self.consoles.items() if not console.is_connected]
        return f"{away} are not connected" if away else ""

    # People

    async def show(self, who: str, availability: str, activity: str) -> None:
        """Change somebody's presence at Graph."""
        self._truth[who] = (availability, activity)
        await self.relay.ask("PUT", f"people/{who}/presence", {"availability": availability, "activity": activity})

    def truth(self, who: str) -> tuple[str, str]:
        """Return how somebody is to be seen now."""
        return self._truth[who]

    async def lives(self) -> list[Life]:
        """Return every subscription there was at Graph."""
        told = await self.relay.ask("GET", "subscriptions", limit=_PAGE)
        return [life_of(each) for each in told["subscriptions"]]

    # The record

    async def note_graph(self) -> None:
        """Note what there was to see, and what Graph was asked."""
        for each in (await self.relay.ask("GET", "history", limit=_PAGE))["changes"]:
            self.record.note(
                lines.Truth(
                    each["utc"], each["person"], each["availability"], each["activity"], each["sequence_number"]
                )
            )
        for each in (await self.relay.ask("GET", "journal", path="/v1.0/", limit=_PAGE))["entries"]:
            self.record.note(lines.Request(each["utc"], each["tenant"], each["status"]))

    async def note_outputs(self) -> None:
        """Note which process ended by itself, stumbled, or said a secret or a presence."""
        for name, process in self.relay.processes.items():
            if why := process.died():
                self.record.note(lines.Output(name, why))
            output = process.log.read_text(errors="replace")
            for word in _NOISE:
                if word in output:
                    self.record.note(lines.Output(name, f"the log has {word.strip()}"))
        for name, what in await self.relay.leaks(marker=MARKER):
            self.record.note(lines.Output(name, what, is_secret=True))
