"""gRPC streams that only write the same bytes as the edge, at the same pace: the minimum cost of gRPC."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from bench.fanout.schedule import INITIAL, USERS, Items
from bench.processes import message
from relay.edge import encode
from relay.ops import loop

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PATH: Final = "/bench.Bare/Stream"


def serve(pipe: Connection) -> None:
    """Run such a server and send its port. A message `(mark, seconds, begin, items, period)` makes it write."""
    loop.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    bare = _Bare()
    server = grpc.aio.server()
    handler: Any = grpc.unary_stream_rpc_method_handler(bare.stream)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Bare", {"Stream": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gc.collect()
    gc.freeze()
    pipe.send(port)
    while True:
        mark, seconds, begin_ns, items, period_s = await message(pipe)
        await bare.play(mark, seconds, begin_ns, items, period_s)
        pipe.send(0)


def writes(seconds: float, period_s: float) -> int:
    """Return the number of writes of a stream in this time."""
    return max(1, round(seconds / period_s))


class _Bare:
    def __init__(self) -> None:
        self._contexts: list[Any] = []
        self._items = Items()

    async def stream(self, _request: bytes, context: Any) -> None:
        await context.write(self._batch(INITIAL, 1))
        self._contexts.append(context)
        await asyncio.Event().wait()

    async def play(self, mark: str, seconds: float, begin_ns: int, items: int, period_s: float) -> None:
        response = self._batch(mark, items)
        async with asyncio.TaskGroup() as streams:
            for number, context in enumerate(self._contexts):
                begin_s = begin_ns / 1e9 + number / len(self._contexts) * period_s
                streams.create_task(_write(context, response, begin_s, period_s, writes(seconds, period_s)))

    def _batch(self, mark: str, items: int) -> bytes:
        body = b"".join(self._items.item(n % USERS, mark, 0) for n in range(items))
        return b"\x1a" + encode.varint(len(body)) + body


async def _write(context: Any, response: bytes, begin_s: float, period_s: float, times: int) -> None:
    for step in range(times):
        wait_s = begin_s + step * period_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await context.write(response)
