"""The two servers, each in a separate process: the emulator, and bare uvicorn."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trustme
import uvicorn

from bench.processes import free_port, message
from emulator import Config, Emulator, generate_world
from emulator.generate import BENCH_CLIENT_ID

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PEOPLE: Final = 650


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """The options of the emulator benchmark."""

    reads: int = 1_000
    rounds: int = 3
    at_once: int = 4
    day: bool = False
    """Whether people live a working day meanwhile."""


def emulator(pipe: Connection, options: EmulatorOptions) -> None:
    """Run the emulator; send its address, its certificate, an access token and the body of a bulk read."""
    asyncio.run(_emulator(pipe, day=options.day))


async def _emulator(pipe: Connection, *, day: bool) -> None:
    async with Emulator.start(Config(world=generate_world(tenants=1, people=PEOPLE), day=day)) as cloud:
        tenant = next(iter(cloud.world.tenants.values()))
        application = cloud.world.application(BENCH_CLIENT_ID)
        assert application is not None
        cloud.set_switches(presence_limit=1_000_000_000, global_limit=1_000_000_000)
        relay = tenant.upns[f"relay@{tenant.domain}"]
        token = cloud.tokens.access_token(relay, application, {"Presence.Read.All"}, 86_400)
        ids = [person.oid for person in tenant.people.values() if person is not relay]
        pipe.send((cloud.url, cloud.ca_pem.decode(), token, msgspec.json.encode({"ids": ids})))
        await message(pipe)


def bare(pipe: Connection) -> None:
    """Run a bare server; it receives the bytes, then sends its address and certificate."""
    (answer,) = pipe.recv()
    asyncio.run(_bare(pipe, answer))


async def _bare(pipe: Connection, answer: bytes) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        while (await receive())["more_body"]:
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pem = Path(folder) / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
        context.load_cert_chain(pem)
    port = free_port()
    config = uvicorn.Config(
        application, host="127.0.0.1", port=port, lifespan="off", http="httptools", loop="none", log_config=None,
        access_log=False, ssl_context_factory=lambda *_: context,
    )  # fmt: skip
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    pipe.send((f"https://127.0.0.1:{port}", authority.cert_pem.bytes().decode()))
    await server.main_loop()
