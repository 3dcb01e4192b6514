"""Measures pages and compares."""

from __future__ import annotations

import asyncio
import gc
import ssl
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
import psutil
from httpx_aiohttp import AiohttpTransport

from bench import report
from bench.poll import stub
from bench.processes import Child, valkey
from relay.core.presence import TenantId, UserId
from relay.core.reading.acceptance import People
from relay.core.reading.ordering import Order
from relay.core.revision import Epoch
from relay.graph.client import GraphClient
from relay.graph.presence.presences import PATH, PageHashes
from relay.graph.settings import MAX_BULK_SIZE, GraphSettings
from relay.ops import loop
from relay.ops.turns import OneAPass
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import Presences
from relay.store.server import keys
from relay.store.server.connection import Store, StoreSettings
from relay.worker.reads import poller
from relay.worker.reads.answers import AnswerBook

if TYPE_CHECKING:
    from redis.asyncio import Redis

TENANT_USERS: Final = 10 * MAX_BULK_SIZE
CHANGED: Final = 0.05
"""Share of a page's users that changes in 5 s: far more than in any office."""
_AT_ONCE: Final = 4
_LEASE: Final = timedelta(hours=1)
_WRITES: Final = ("set", "hset", "hdel", "del", "xadd", "xtrim", "sadd", "srem", "incr", "hincrby", "expire", "pexpire")


class _Presence(msgspec.Struct, rename="camel"):
    """The presence as decoded by a program that reads Graph without a relay."""

    id: str
    availability: str | None = None
    activity: str | None = None
    sequence_number: str | None = None


class _Body(msgspec.Struct):
    value: list[_Presence]


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOptions:
    """The options of the poll benchmark."""

    users: tuple[int, ...]
    rounds: int = 3
    pages: int = 600
    """Pages read in one measurement, over as many rounds of all users as necessary."""
    limit: float = 3.0


@dataclass(slots=True)
class Page:
    """The worker's state of one page of a tenant."""

    tenant: Tenant
    users: list[UserId]
    seen: PageHashes


@dataclass(slots=True)
class Tenant:
    """The worker's state of one tenant."""

    answers: AnswerBook
    lease: Lease
    epoch: Epoch


@dataclass(slots=True)
class PageCost:
    """CPU milliseconds of one page, by way."""

    plain: list[float]
    unchanged: list[float]
    changed: list[float]
    valkey_ms: float = 0.0
    writes: int = -1


def run(options: PollOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("poll")
    costs = {users: loop.run(_measure(users, options)) for users in options.users}
    rows = []
    for users, cost in costs.items():
        plain = min(cost.plain)
        ratios = {"unchanged": min(cost.unchanged) / plain, "changed": min(cost.changed) / plain}
        rows.append(
            [users, plain, min(cost.unchanged), min(cost.changed), *ratios.values(), cost.valkey_ms, cost.writes]
        )
        for name, ratio in ratios.items():
            verdict.ratios[f"{users} users, {name}"] = round(ratio, 2)
            verdict.must[f"{users} users, {name} <= {options.limit:g}"] = ratio <= options.limit
        verdict.must[f"{users} users: no write for unchanged pages"] = cost.writes == 0
    head = [
        "users",
        "call + decode",
        "unchanged",
        "5 % changed",
        "ratio",
        "ratio",
        "Valkey, changed",
        "writes, unchanged",
    ]
    report.table(f"CPU ms of a page of {MAX_BULK_SIZE}, least of {options.rounds} rounds", head, rows)
    if len(costs) > 1:
        _compare_sizes(costs, verdict)
    return verdict.say()


def _compare_sizes(costs: Mapping[int, PageCost], verdict: report.Verdict) -> None:
    """Compare the cost per user at each size with the smallest size."""
    per_user = {users: 1000 * min(cost.unchanged) / MAX_BULK_SIZE for users, cost in costs.items()}
    first = next(iter(per_user.values()))
    report.table("cost of a user", ["users", "CPU us a read"], [[users, cost] for users, cost in per_user.items()])
    for users, cost in per_user.items():
        verdict.ratios[f"user of {users} / user of {next(iter(per_user))}"] = round(cost / first, 2)


async def _measure(users: int, options: PollOptions) -> PageCost:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as servers:
        url, valkey_pid = servers.enter_context(valkey(Path(folder), "presence", durable=False))
        graph = servers.enter_context(Child(stub.serve))
        address, ca = graph.hear()
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(Store(StoreSettings(url=url)))
            settings = GraphSettings(
                client_id="bench", client_secret="bench", authority_url=address, graph_url=address, ca_pem=ca
            )
            client = await stack.enter_async_context(GraphClient(settings))
            plain = await stack.enter_async_context(_plain_client(address, ca))
            pages = await _pages(store, users)
            worker = _Worker(client, plain)
            return await _rounds(worker, pages, options, graph, store, valkey_pid)


async def _rounds(
    worker: _Worker, pages: Sequence[Page], options: PollOptions, graph: Child, store: Store, valkey_pid: int
) -> PageCost:
    cost = PageCost([], [], [])
    [node] = await store.topology.presence.nodes()
    process = psutil.Process(valkey_pid)
    for _ in range(2):  # first answers, then warm
        await _all(pages, worker.relay)
    await _all(pages, worker.plain)
    gc.collect()
    gc.freeze()
    for _ in range(options.rounds):
        cost.plain.append(await _cpu_ms(pages, worker.plain, options.pages))
        before = await _writes(node.client)
        cost.unchanged.append(await _cpu_ms(pages, worker.relay, options.pages))
        cost.writes = max(cost.writes, await _writes(node.client) - before)
        graph.ask(CHANGED)
        before_s = sum(process.cpu_times()[:2])
        cost.changed.append(await _cpu_ms(pages, worker.relay, options.pages))
        cost.valkey_ms = 1000 * (sum(process.cpu_times()[:2]) - before_s) / max(options.pages, len(pages))
        graph.ask(0.0)
        await _all(pages, worker.relay)
    gc.unfreeze()
    return cost


async def _cpu_ms(pages: Sequence[Page], way: Callable[[Page], Awaitable[None]], least: int) -> float:
    """Return the CPU of this process for one page, in milliseconds."""
    times = max(1, -(-least // len(pages)))
    before = time.process_time()
    for _ in range(times):
        await _all(pages, way)
    return 1000 * (time.process_time() - before) / (times * len(pages))


async def _all(pages: Sequence[Page], way: Callable[[Page], Awaitable[None]]) -> None:
    async def some(first: int) -> None:
        for page in pages[first::_AT_ONCE]:
            await way(page)

    await asyncio.gather(*(some(first) for first in range(_AT_ONCE)))


class _Worker:
    """The two ways of reading a page."""

    def __init__(self, client: GraphClient, plain: httpx.AsyncClient) -> None:
        self._client = client
        self._plain = plain
        self._polls = 0
        self._turns = OneAPass()
        self._decode = msgspec.json.Decoder(_Body).decode

    async def plain(self, page: Page) -> None:
        """Only make the call and decode the answer."""
        content = msgspec.json.encode({"ids": page.users})
        headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
        response = await self._plain.post(PATH, content=content, headers=headers)
        assert len(self._decode(response.content).value) == len(page.users)

    async def relay(self, page: Page) -> None:
        """Read pages as the worker does."""
        self._polls += 1
        tenant = page.tenant
        found = await poller.read(
            self._client, _token, page.users, page.seen, _nothing, lambda _: True, self._turns.turn
        )
        decision = tenant.answers.judge_read(found.observations)
        order = Order(tenant.lease.fence, self._polls)
        refused = await tenant.answers.accept(tenant.lease, tenant.epoch, order, decision.changed, seen=decision.seen)
        assert not refused
        assert found.page is not None
        page.seen.keep(found.page)


async def _token(refused: str = "") -> str:
    del refused
    return "bench"


async def _nothing(_users: int) -> None: ...


def _plain_client(address: str, ca: str) -> httpx.AsyncClient:
    context = ssl.create_default_context(cadata=ca)
    return httpx.AsyncClient(
        base_url=address,
        transport=AiohttpTransport(verify=context),
        headers={"Accept-Encoding": "gzip"},
        trust_env=False,
    )


async def _pages(store: Store, users: int) -> list[Page]:
    leases: dict[int, tuple[Lease, Epoch]] = {}
    pages = []
    for first in range(0, users, TENANT_USERS):
        tenant_id = TenantId(str(uuid.uuid4()))
        partition = keys.partition_of(tenant_id)
        if partition not in leases:
            lease = await Leases(store).acquire(partition, "bench", _LEASE)
            assert lease is not None
            leases[partition] = (lease, await Presences(store).renew_epoch(lease))
        ids = [UserId(str(uuid.uuid4())) for _ in range(min(TENANT_USERS, users - first))]
        upns = {user: f"person{n}@contoso.example" for n, user in enumerate(ids)}
        tenant = Tenant(AnswerBook(tenant_id, Presences(store), people=People(upns, {})), *leases[partition])
        await tenant.answers.load()
        # Pages of one size, so that the costs of a page are comparable.
        pages += [Page(tenant, part, PageHashes()) for part in _cut(ids)]
    return pages


def _cut(ids: list[UserId]) -> list[list[UserId]]:
    size = min(MAX_BULK_SIZE, len(ids))
    return [ids[start : start + size] for start in range(0, len(ids) - size + 1, size)]


async def _writes(client: Redis) -> int:
    """Return the number of write commands that the server has executed."""
    stats: Mapping[str, Any] = await client.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in _WRITES)
