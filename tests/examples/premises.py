"""A customer's premises for the examples of the agent: a real agent behind a scripted relay, and programs that run beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

from presence_api.v1 import presence_pb2 as pb
from tests.examples.running import Example
from tests.suite.agent.agents import Premises
from tests.suite.agent.test_teams import tell
from tests.suite.scripted_relay import OpenedStream, ScriptedRelay
from tests.support.loopback import LoopbackServer, pump
from tests.support.valkey import free_port

COLLEAGUES = "login;upn;extension\nada;ada@x.org;1001\nben;ben@x.org;1002\n"


@dataclass
class Site:
    """The agent's files, and the relay that it finds."""

    premises: Premises
    relay: ScriptedRelay

    async def begin(self) -> OpenedStream:
        """Let the relay say that Ada is busy, and that nobody is Ben."""
        stream = await self.relay.stream()
        stream.started()
        tell(stream, ada=("A", "BUSY"), ben=("B", pb.UNKNOWN_REASON_NOT_FOUND))
        return stream


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """A site without an agent that runs; `site.premises.agent()` starts one."""
    authority, relay = trustme.CA(), ScriptedRelay()
    await relay.listen(authority.issue_cert("localhost"))
    try:
        made = Site(Premises(folder, f"localhost:{relay.port}", free_port()), relay)
        made.premises.write(COLLEAGUES, authority.cert_pem.bytes())
        yield made
    finally:
        await relay.kill()


@asynccontextmanager
async def program(command: Sequence[str]) -> AsyncIterator[Example]:
    """A running program whose lines are read. It is ended at the end."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=kept,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    example = Example(process)
    reading = asyncio.create_task(example.read())
    try:
        yield example
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


class Front(LoopbackServer):
    """A wire to the agent that can be cut.

    Attributes:
        heads: the heads of all requests.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.heads: list[str] = []
        self._to = port
        self._open: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        # The agent answers only to its own name.
        back.write(head.replace(f":{self.port}".encode(), f":{self._to}".encode()))
        self._open.append(writer)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
