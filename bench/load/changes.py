"""People of the local cloud who change their presence at a steady rate."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import httpx
from httpx_aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.load.rig import Site

STATES: Final = (("Busy", "InACall"), ("Available", "Available"), ("Away", "Away"), ("DoNotDisturb", "Presenting"))
_AT_ONCE: Final = 16


async def change_people(site: Site, names: Sequence[str], rate: float, seconds: float) -> None:
    """Change all people in turn, `rate` a second, each to a different state."""
    people = list(names)
    random.Random(1).shuffle(people)
    turns: Counter[str] = Counter()
    context = ssl.create_default_context(cadata=site.ca_pem)
    async with httpx.AsyncClient(
        base_url=f"{site.url}/_emulator/", transport=AiohttpTransport(verify=context), timeout=30
    ) as control:
        due: asyncio.Queue[str] = asyncio.Queue()

        async def send() -> None:
            while True:
                name = await due.get()
                availability, activity = STATES[turns[name] % len(STATES)]
                turns[name] += 1
                body = {"availability": availability, "activity": activity}
                (await control.put(f"people/{name}/presence", json=body)).raise_for_status()
                due.task_done()

        async with asyncio.TaskGroup() as tasks:
            senders = [tasks.create_task(send()) for _ in range(_AT_ONCE)]
            began = time.monotonic()
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                due.put_nowait(people[number % len(people)])
            await due.join()
            for sender in senders:
                sender.cancel()
