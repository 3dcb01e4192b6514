"""A bad hour of Microsoft's, from a seed: any answer to any request, of anybody, for any time; and what must be true all the while.

`python -m tests.worker.bad_hour SEED…` runs seeds alone and says what happened in each.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from emulator import Config, Emulator, Fault
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.core.presence import Presence, Status, TenantId
from relay.core.reading.budget import BudgetSettings
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.server.connection import Store, StoreSettings
from tests.support.valkey import ValkeyServer
from tests.worker.conftest import SHORT_LEASES, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BULK: Final = "/v1.0/communications/getPresencesByUserId"
BATCH: Final = "/v1.0/$batch"
USERS: Final = "/v1.0/users"
TOKEN: Final = "/oauth2/v2.0/token"
CONTOSO: Final = tuple(f"{who}@contoso.example" for who in ("ada", "ben", "chloe", "david", "emma", "farid", "grace"))
FABRIKAM: Final = ("mia@fabrikam.example", "noah@fabrikam.example")
STANDBY: Final = "ada@contoso.example"
READER: Final = "presence-relay@contoso.example"
LIMIT, WINDOW_S = 150, 5.0
INTERVAL_S: Final = 0.3
HANG_MS: Final = 60_000.0
BRIEF: Final = replace(
    SHORT_LEASES,
    page_size=4,
    lag=timedelta(seconds=0.5),
    directory_found=timedelta(seconds=1.5),
    directory_not_found=timedelta(seconds=1),
    grant_refresh=timedelta(seconds=1.5),
    budget=BudgetSettings(limit=LIMIT, window_s=WINDOW_S),
)
SEEN_WITHIN_S: Final = 5.0
"""How soon a change of somebody must be seen whom no fault touches: an interval, and what a busy machine takes."""
MOST_ASKED_S: Final = 3.0
RIGHT_WITHIN_S: Final = 2 * INTERVAL_S + MOST_ASKED_S
"""Two intervals, from when Graph no longer asks anybody to wait."""
BUSY_S: Final = 25.0
"""What pauses that double, and a busy machine, may add."""
_SAYS: Final = ("Available", "Busy", "Away", "DoNotDisturb", "BeRightBack")


@dataclass(frozen=True, slots=True)
class Hour:
    """What goes wrong.

    Attributes:
        seed: it follows from.
        touches: person, account, names, tenant or all: whom it touches at most.
        faults: each in force from the start for its own time, one after the other in the emulator's order.
        begins: seconds after which each begins.
    """

    seed: int
    touches: str
    faults: tuple[Fault, ...]
    begins: tuple[float, ...]
    person: str = ""

    def __str__(self) -> str:
        shown = [
            f"+{begin:.1f}s {msgspec.to_builtins(fault, builtin_types=())}"
            for begin, fault in zip(self.begins, self.faults, strict=True)
        ]
        return "\n  ".join([f"seed {self.seed} touches {self.touches} {self.person}", *shown])


def hour(seed: int, relay: Relay) -> Hour:
    """The hour of a seed, in this world."""
    chance = random.Random(seed)
    touches = chance.choice(("person", "person", "account", "names", "tenant", "tenant", "all"))
    person = chance.choice(CONTOSO[1:]) if touches == "person" else ""
    faults = tuple(_fault(chance, touches, person, relay) for _ in range(chance.randint(1, 4)))
    return Hour(seed, touches, faults, tuple(chance.uniform(0, 2) for _ in faults), person)


def _fault(chance: random.Random, touches: str, person: str, relay: Relay) -> Fault:
    cloud = relay.microsoft
    fault = Fault(for_s=round(chance.uniform(0.5, 4), 2))
    if chance.random() < 0.4:
        fault.probability = round(chance.uniform(0.2, 0.9), 2)
    tenant = cloud.person(READER).tenant.tenant_id
    is_token = False
    if touches == "person":
        fault.path, fault.in_body = BULK, cloud.person(person).oid
        fault.probability = 1.0
    elif touches == "account":
        fault.path, fault.account = BULK, cloud.person(READER).oid
        fault.probability = 1.0
    elif touches == "names":
        fault.path, fault.tenant = chance.choice((BATCH, USERS)), tenant
    else:
        is_token = chance.random() < 0.3
        if is_token:
            fault.contains = TOKEN
        else:
            fault.path = chance.choice((BULK, BATCH, USERS, "/v1.0/"))
        if touches == "tenant":
            fault.tenant = tenant
    _answer(chance, fault, f"{cloud.url}{BULK}", touches, is_token=is_token)
    return fault


def _answer(chance: random.Random, fault: Fault, link: str, touches: str, *, is_token: bool) -> None:
    """Decide what is answered."""
    kinds = ["status", "status", "status", "html", "damage", "hang", "reset", "slow"]
    if touches == "account":
        kinds = ["refused", "status", "html", "damage", "hang", "reset"]
    elif is_token:
        kinds += ["entra", "entra"]
    elif fault.path == BULK:
        kinds += ["loop"]
    kind = chance.choice(kinds)
    if kind == "status":
        _status(chance, fault, _OF_GRAPH if not is_token else _OF_ENTRA)
    elif kind == "loop":
        fault.status, fault.body = 200, msgspec.json.encode({"value": [], "@odata.nextLink": link}).decode()
    else:
        _KINDS[kind](chance, fault)


def _status(chance: random.Random, fault: Fault, statuses: Sequence[int]) -> None:
    fault.status = chance.choice(statuses)
    fault.body = chance.choice(("", "{}", '{"error":{"code":"UnknownError"}}', '{"error":"x"}', "[", "null"))
    if fault.status in (429, 503, 509):
        asked = chance.choice((None, "0", "0.124", "-1", "NaN", "2", "3", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"))
        fault.headers = {} if asked is None else {"Retry-After": asked}


def _html(chance: random.Random, fault: Fault) -> None:
    fault.status, fault.body = chance.choice((200, 400, 502, 503)), "<html><body>The service is unavailable.</body>"


def _damage(chance: random.Random, fault: Fault) -> None:
    fault.damage = chance.choice(("truncated", "malformed", "not_json", "no_value", "empty"))


def _hang(_chance: random.Random, fault: Fault) -> None:
    fault.latency_ms = HANG_MS


def _slow(chance: random.Random, fault: Fault) -> None:
    fault.latency_ms = chance.uniform(50, 600)


def _reset(_chance: random.Random, fault: Fault) -> None:
    fault.reset = True


def _refused(chance: random.Random, fault: Fault) -> None:
    fault.status, code = chance.choice(((403, "Forbidden"), (401, "InvalidAuthenticationToken")))
    fault.body = msgspec.json.encode({"error": {"code": code}}).decode()


def _entra(chance: random.Random, fault: Fault) -> None:
    code, number = chance.choice(
        (("temporarily_unavailable", 90033), ("server_error", 90012), ("invalid_grant", 90033))
    )
    fault.status = chance.choice((400, 503))
    said = {"error": code, "error_description": f"AADSTS{number}: try again.", "error_codes": [number]}
    fault.body = msgspec.json.encode(said).decode()


_KINDS: Final[dict[str, Callable[[random.Random, Fault], None]]] = {
    "html": _html, "damage": _damage, "hang": _hang, "slow": _slow, "reset": _reset, "refused": _refused, "entra": _entra,
}  # fmt: skip
_OF_GRAPH: Final = (400, 401, 403, 404, 408, 410, 413, 418, 423, 429, 429, 500, 502, 503, 503, 504, 509)
_OF_ENTRA: Final = (429, 500, 502, 503, 504)
"""Others are Entra's word on a consent, or on the relay itself."""


@dataclass(slots=True)
class Report:
    """What came of an hour: `faults` is empty when all was well."""

    hour: Hour
    right_after_s: float = 0.0
    requests: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.hour}\n  {self.requests} requests, right {self.right_after_s:.1f} s after the end"


class _Play:
    """One hour as it is lived through."""

    def __init__(self, relay: Relay, seed: int) -> None:
        self.relay = relay
        self.report = Report(hour(seed, relay))
        self._chance = random.Random(seed + 1)
        self._known: set[str] = set()
        self._shown: dict[str, str] = {}

    async def run(self) -> Report:
        """Live through it."""
        relay, which = self.relay, self.report.hour
        contoso = await relay.onboard()
        await relay.onboard(STANDBY)
        fabrikam = await relay.onboard("presence-relay@fabrikam.example")
        tenants: dict[TenantId, Sequence[str]] = {contoso: CONTOSO, fabrikam: FABRIKAM}
        quick = timedelta(seconds=1)
        async with relay.working(settings=BRIEF, total_timeout=quick, read_timeout=quick, connect_timeout=quick):
            for tenant, names in tenants.items():
                await relay.watch(tenant, *names)
                for name in names:
                    self._show(name)
            if not await self._all_right(tenants, 10):
                self._fault("all was not right before the hour")
                return self.report
            self._known = {*CONTOSO, *FABRIKAM}
            relay.microsoft.journal.clear()
            untouched = {name for name in self._known if not self._is_touched(name)}
            putting = asyncio.create_task(self._put())
            end = time.monotonic() + max(b + (f.for_s or 0) for b, f in zip(which.begins, which.faults, strict=True))
            while time.monotonic() < end:
                await self._step(tenants, untouched)
            await putting
            relay.microsoft.faults.remove()
            began = time.monotonic()
            for name in self._known:
                self._show(name)
            is_right = await self._all_right(tenants, RIGHT_WITHIN_S + BUSY_S)
            self.report.right_after_s = time.monotonic() - began
            if not is_right:
                self._fault(f"not right after the end: {await self._wrong(tenants)}")
            await self._judge_ends(tenants)
        self._judge_requests()
        return self.report

    async def _put(self) -> None:
        which = self.report.hour
        start = time.monotonic()
        for begin, fault in sorted(zip(which.begins, which.faults, strict=True), key=lambda pair: pair[0]):
            await asyncio.sleep(max(0.0, start + begin - time.monotonic()))
            self.relay.microsoft.add_fault(msgspec.structs.replace(fault))

    def _is_touched(self, name: str) -> bool:
        touches = self.report.hour.touches
        if touches == "all":
            return True
        if touches == "person":
            return name == self.report.hour.person
        return touches == "tenant" and name in CONTOSO

    async def _step(self, tenants: dict[TenantId, Sequence[str]], untouched: set[str]) -> None:
        """Somebody whom no fault touches changes, and is seen; what is known stays meanwhile."""
        name = self._chance.choice(sorted(untouched)) if untouched else ""
        if name:
            self._show(name)
        deadline = time.monotonic() + (SEEN_WITHIN_S if name else 0.5)
        while True:
            seen = await self._answers(tenants)
            self._judge_known(seen)
            answer = seen.get(name)
            if name and isinstance(answer, Presence) and answer.raw_availability == self._shown[name]:
                break
            if time.monotonic() > deadline:
                if name:
                    self._fault(f"{name}, whom nothing touches, is shown {_said(answer)}, not {self._shown[name]}")
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)

    def _judge_known(self, seen: dict[str, Presence | Status | None]) -> None:
        for name in self._known:
            answer = seen[name]
            if isinstance(answer, Presence) or answer in _WAITING:
                continue
            if answer is Status.ACCESS_DENIED and name == self.report.hour.person:
                continue
            self._fault(f"{name} was known and became {_said(answer)}")

    async def _judge_ends(self, tenants: dict[TenantId, Sequence[str]]) -> None:
        for tenant in tenants:
            record = await self.relay.tenants.load(tenant)
            if record is None or record.state is not TenantState.ACTIVE:
                self._fault(f"the consent of {tenant} counts as ended")
            for grant in await self.relay.vault.list(tenant):
                if grant.state is GrantState.DEAD:
                    self._fault(f"the grant of {grant.upn} counts as dead: {grant.error}")

    def _judge_requests(self) -> None:
        journal = list(self.relay.microsoft.journal)
        self.report.requests = len(journal)
        for entry in journal:
            if entry.status == 429 and entry.reason != "fault":
                self._fault(f"over the limit: {entry.path} {entry.reason}")
        for tenant in {entry.tenant for entry in journal}:
            times = [e.at for e in journal if e.tenant == tenant and e.path.startswith("/v1.0/")]
            most = max((sum(at <= t < at + WINDOW_S for t in times) for at in times), default=0)
            if most > LIMIT:
                self._fault(f"{most} requests of {tenant} within {WINDOW_S} s")

    async def _all_right(self, tenants: dict[TenantId, Sequence[str]], within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while await self._wrong(tenants):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _wrong(self, tenants: dict[TenantId, Sequence[str]]) -> list[str]:
        wrong = [
            f"{name} is shown {_said(answer)}"
            for name, answer in (await self._answers(tenants)).items()
            if not isinstance(answer, Presence) or answer.raw_availability != self._shown[name]
        ]
        for tenant in tenants:
            contact = await self.relay.presences.contact_of(tenant)
            if contact is None or contact.status is not Status.NONE:
                wrong.append(f"{tenant} is {contact.status.name if contact else None}")
        return wrong

    async def _answers(self, tenants: dict[TenantId, Sequence[str]]) -> dict[str, Presence | Status | None]:
        found: dict[str, Presence | Status | None] = {}
        for tenant, names in tenants.items():
            found |= await self.relay.answers(tenant, *names)
        return found

    def _show(self, name: str) -> None:
        self._shown[name] = self._chance.choice([says for says in _SAYS if says != self._shown.get(name)])
        self.relay.microsoft.set_presence(name, self._shown[name])

    def _fault(self, text: str) -> None:
        if text not in self.report.faults:
            self.report.faults.append(text)


_WAITING: Final = (Status.STALE, Status.SOURCE_UNREACHABLE, Status.THROTTLED)
"""What may stand in place of a presence that could not be read for long."""


def _said(answer: Presence | Status | None) -> str:
    if isinstance(answer, Presence):
        return answer.raw_availability
    return answer.name if answer is not None else "nothing"


async def play(relay: Relay, seed: int) -> Report:
    """Live through the hour of a seed."""
    relay.microsoft.set_switches(presence_limit=LIMIT, presence_window_s=WINDOW_S)
    return await _Play(relay, seed).run()


async def _alone(valkey: ValkeyServer, seed: int) -> Report:
    async with AsyncExitStack() as stack:
        microsoft = await stack.enter_async_context(Emulator.start(Config(seed=seed)))
        store = await stack.enter_async_context(Store(StoreSettings(url=valkey.url)))
        ring = KeyRing.from_json(make_ring("test", now_s=0))
        return await play(Relay(store, Vault(store, ring), microsoft), seed)


def _seeds(said: Sequence[str]) -> Iterator[int]:
    for part in said:
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def main() -> int:
    """Run the seeds that are given, such as `3` or `1-50`; each in a store of its own."""
    broken = 0
    for seed in _seeds(sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder, ValkeyServer(Path(folder)) as valkey:
            report = asyncio.run(_alone(valkey, seed))
        sys.stdout.write(f"{report}\n" + "".join(f"  FAULT {fault}\n" for fault in report.faults))
        sys.stdout.flush()
        broken += bool(report.faults)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
