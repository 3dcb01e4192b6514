"""An edge in a process of its own, to be killed: `python -m tests.edge.killable REDIS-URL SECONDS`; it prints its port."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops import logging
from relay.store.server.connection import Store, StoreSettings
from tests.support.ring import PUBLIC_MARKS


@contextmanager
def killable_edge(url: str, forgotten_after: timedelta) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An edge in plain text, and its port."""
    command = [sys.executable, "-m", "tests.edge.killable", url, str(forgotten_after.total_seconds())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


async def main(url: str, seconds: float) -> None:
    """Serve until standard input ends."""
    logging.configure("json", "warning")  # onto standard error
    settings = EdgeSettings(host="127.0.0.1", port=0, forgotten_after=timedelta(seconds=seconds))
    async with Store(StoreSettings(url=url)) as store, EdgeServer(settings, store, PUBLIC_MARKS) as edge:
        sys.stdout.write(f"{edge.port}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
