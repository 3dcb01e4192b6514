"""A fault proxy in a process of its own, for work that takes the test's own loop, or is not asyncio's.

    with ProxyProcess(("127.0.0.1", port)) as proxy:
        proxy.set(fault=Fault.RESET_TLS)
        proxy.seen().accepted

By hand: `python -m tests.support.proxy_process 127.0.0.1 6379`, then lines of JSON such as `{"fault": "slow"}` on its input. It ends
with its input.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, Self

import msgspec

from tests.support.fault_proxy import Address, Delay, Fault, FaultProxy


class Order(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What is to change; what is absent stays."""

    fault: Fault | None = None
    upstream: Address | None = None
    delay_s: Delay | None = None
    idle_s: float | None = None
    slow_bytes_s: int | None = None
    reset: bool = False
    """Every connection there is, now."""
    forget: bool = False
    """The same, half-open."""


class Seen(msgspec.Struct):
    """What a proxy has done."""

    port: int
    accepted: int
    open: int
    resets: int


class ProxyProcess:
    """The process, as a context manager.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, upstream: Address, **settings: Any) -> None:
        self._upstream = upstream
        self._settings = settings

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__, self._upstream[0], str(self._upstream[1])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = self.set(**self._settings).port
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def set(self, **changes: Any) -> Seen:
        """Change what `Order` names; returns what there was until then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(Order(**changes)) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Seen)

    def seen(self) -> Seen:
        """What it has done so far."""
        return self.set()


async def _serve(upstream: Address) -> None:
    async with FaultProxy(upstream) as proxy:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            order = msgspec.json.decode(line, type=Order)
            for name in ("upstream", "delay_s", "idle_s", "slow_bytes_s"):
                if (value := getattr(order, name)) is not None:
                    setattr(proxy, name, value)
            await proxy.become(order.fault or proxy.fault)
            if order.reset:
                proxy.reset()
            if order.forget:
                proxy.forget()
            seen = Seen(proxy.port, proxy.accepted, proxy.open, proxy.resets)
            sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(_serve((sys.argv[1], int(sys.argv[2]))))
