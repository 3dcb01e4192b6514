"""The ops port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from relay.ops import health
from relay.ops.health import Health, OpsServer, OwnAnswers


@pytest.fixture
async def ops() -> AsyncIterator[tuple[Health, OpsServer]]:
    health = Health()
    health.expect("store", "edge")
    async with OpsServer(("127.0.0.1", 0), OwnAnswers(health, lambda: b"metric 1\n")) as server:
        yield health, server


async def get(server: OpsServer, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{server.port}{path}")


async def test_ready_is_said_only_when_every_expected_part_is(ops):
    health, server = ops
    health.set("store", ready=True)
    answer = await get(server, "/readyz")
    assert (answer.status_code, answer.text) == (503, "edge: not ready\nstore: ready\n")
    health.set("edge", ready=True)
    assert (await get(server, "/readyz?verbose")).status_code == 200


@pytest.mark.fault("V12")
async def test_a_part_that_is_watched_is_asked_each_time(ops):
    health, server = ops
    trouble = ""
    health.watch("store", lambda: trouble)
    health.set("store", ready=True)
    health.set("edge", ready=True)
    assert (await get(server, "/readyz")).status_code == 200
    trouble = "The store is a replica"
    answer = await get(server, "/readyz")
    assert (answer.status_code, answer.text) == (503, "edge: ready\nstore: not ready: The store is a replica\n")


async def test_alive_is_said_while_not_ready(ops):
    assert (await get(ops[1], "/livez")).status_code == 200


async def test_metrics_are_served(ops):
    assert (await get(ops[1], "/metrics")).text == "metric 1\n"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/livez", 405), ("GET", "/../x", 404)]
)
async def test_anything_else_is_refused(ops, method, path, status):
    assert (await get(ops[1], path, method)).status_code == status


@pytest.mark.parametrize(
    "said", [b"", b"\r\n\r\n", b"\x16\x03\x01 not http\r\n\r\n", b"GET /livez\r\n" + b"x" * 20_000]
)
async def test_what_is_no_request_costs_nobody_anything(ops, said):
    reader, writer = await asyncio.open_connection("127.0.0.1", ops[1].port)
    writer.write(said)
    writer.write_eof()
    await reader.read()
    writer.close()
    assert (await get(ops[1], "/livez")).status_code == 200


async def test_whoever_reads_no_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "REQUEST_S", 0.2)
    async with OpsServer(("127.0.0.1", 0), OwnAnswers(Health(), lambda: b"x" * 50_000_000)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await writer.drain()
        await _until(lambda: not server.connections)
        assert (await _first_line(server.port, "/livez")).startswith(b"HTTP/1.1 200")
        writer.close()
        del reader


async def test_connections_beyond_the_bound_are_closed_unread():
    async with OpsServer(("127.0.0.1", 0), OwnAnswers(Health(), lambda: b"")) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(health.MOST_CONNECTIONS)]
        await _until(lambda: server.connections == health.MOST_CONNECTIONS)
        assert await _first_line(server.port, "/livez") == b""
        for _, writer in held:
            writer.close()
        await _until(lambda: not server.connections)
        assert (await _first_line(server.port, "/livez")).startswith(b"HTTP/1.1 200")


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - what is waited for is the other side's
            await asyncio.sleep(0.01)


async def _first_line(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()
