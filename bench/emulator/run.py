"""Reads of 650 from one client at its maximum rate; the emulator's CPU for each, and its share of a core at 2,000 a minute."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
from httpx_aiohttp import AiohttpTransport

from bench import report
from bench.emulator import serve
from bench.emulator.serve import EmulatorOptions
from bench.processes import Child, Others, cpu_s
from relay.ops import loop

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH: Final = "/v1.0/communications/getPresencesByUserId"
READS_A_MINUTE: Final = 2_000
MOST_SHARE: Final = 0.5
"""Limit on the share of a core at that rate, which leaves room for the rest of a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCost:
    """Time and CPU of one round of reads."""

    reads_s: float
    cpu_ms: float
    """CPU of the server for one read."""


def run(options: EmulatorOptions) -> int:
    """Measure; return the exit code."""
    report.say(f"load of the machine before: {report.load_before()}")
    verdict = report.Verdict("emulator")
    others = Others()
    costs = loop.run(_measure(options))
    rows = []
    for name, rounds in costs.items():
        least = min(cost.cpu_ms for cost in rounds)
        rows.append([name, max(cost.reads_s for cost in rounds), least, 100 * least / 1000 * READS_A_MINUTE / 60])
    head = ["server", "reads/s", "CPU ms a read", f"% of a core at {READS_A_MINUTE:,} a minute"]
    report.table(f"bulk reads of {serve.PEOPLE} over TLS, best of {options.rounds} rounds", head, rows)
    report.say(f"others used {others.cores():.2f} cores meanwhile")
    own, bare = (min(cost.cpu_ms for cost in rounds) for rounds in costs.values())
    share = own / 1000 * READS_A_MINUTE / 60
    verdict.ratios |= {"emulator / bare": round(own / bare, 2), "share of a core": round(share, 3)}
    verdict.must[f"share of a core at {READS_A_MINUTE} reads a minute <= {MOST_SHARE}"] = share <= MOST_SHARE
    return verdict.say()


async def _measure(options: EmulatorOptions) -> dict[str, list[ReadCost]]:
    with Child(serve.emulator, options) as emulator, Child(serve.bare) as bare:
        url, ca, token, body = emulator.hear()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with _client(url, ca, headers) as reader:
            answer = (await reader.post(PATH, content=body)).content
            bare_url, bare_ca = bare.ask(answer)
            async with _client(bare_url, bare_ca, headers) as bare_reader:
                sides = {"emulator": (reader, emulator.pid), "bare uvicorn": (bare_reader, bare.pid)}
                for client, _ in sides.values():
                    await _read(client, body, options.at_once, 50)  # warm
                costs: dict[str, list[ReadCost]] = {name: [] for name in sides}
                for _ in range(options.rounds):  # in turn, so that a disturbance affects both
                    for name, (client, pid) in sides.items():
                        costs[name].append(await _round(client, body, pid, options))
                return costs


async def _round(client: httpx.AsyncClient, body: bytes, pid: int, options: EmulatorOptions) -> ReadCost:
    before, began = cpu_s([pid])[pid], time.perf_counter()
    await _read(client, body, options.at_once, options.reads)
    took, used = time.perf_counter() - began, cpu_s([pid])[pid] - before
    return ReadCost(reads_s=options.reads / took, cpu_ms=1000 * used / options.reads)


async def _read(client: httpx.AsyncClient, body: bytes, at_once: int, reads: int) -> None:
    async def some(own: Sequence[int]) -> None:
        for _ in own:
            assert (await client.post(PATH, content=body)).status_code == 200

    await asyncio.gather(*(some(range(first, reads, at_once)) for first in range(at_once)))


def _client(url: str, ca: str, headers: dict[str, str]) -> httpx.AsyncClient:
    context = ssl.create_default_context(cadata=ca)
    return httpx.AsyncClient(
        base_url=url, headers=headers, trust_env=False, timeout=30, transport=AiohttpTransport(verify=context)
    )
