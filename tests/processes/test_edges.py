"""`presence-relay serve edge --processes`: whole edges that share a port, from their start to the last exit code."""

from __future__ import annotations

import os
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from typer.testing import CliRunner

from relay.cli import app
from tests.abuse.edge_process import EdgeProcess, edge_process
from tests.edge.suite import SuiteStream
from tests.edge.worker import PlayedWorker, name, user
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

STREAMS = 12
"""All of them at one of two processes: one run in two thousand."""


async def asked(edge: EdgeProcess, path: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=False, trust_env=False, timeout=10) as client:
        return await client.get(f"http://127.0.0.1:{edge.ops}{path}")


async def streams_of(edge: EdgeProcess) -> dict[str, int]:
    """Process -> its open streams, as the metrics say."""
    found = re.findall(
        r'^relay_edge_streams\{.*process="(\d)".*\} (\d+)\.0$', (await asked(edge, "/metrics")).text, re.MULTILINE
    )
    return {number: int(count) for number, count in found}


async def opened(edge: EdgeProcess, key: str, stack: AsyncExitStack) -> list[SuiteStream]:
    """Streams on a connection each."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    streams = []
    for _ in range(STREAMS):
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{edge.port}", options=options)
        await stack.enter_async_context(channel)
        streams.append(await stack.enter_async_context(SuiteStream(channel, key)))
    return streams


@pytest.mark.timeout(180)
async def test_two_processes_share_suites_survive_each_other_and_stop_in_order(
    worker: PlayedWorker, key: str, valkey: ValkeyServer, tmp_path: Path
) -> None:
    await worker.users(1)
    with edge_process(valkey, tmp_path, processes=2, RELAY_EDGE_DRAIN_DELAY="500ms") as edge:
        async with AsyncExitStack() as stack:
            streams = await opened(edge, key, stack)
            for stream in streams:
                await stream.open(name(0)).ready()
            spread = await streams_of(edge)
            assert set(spread) == {"1", "2"}
            assert sum(spread.values()) == STREAMS
            assert all(spread.values()), "Linux spreads connections over the processes"
            os.kill(dict(_started(edge.log))["1"], signal.SIGKILL)
            await eventually(lambda: sum(stream.error is not None for stream in streams) == spread["1"])

            async def serves() -> bool:
                return (await asked(edge, "/readyz")).status_code == 200

            await eventually(serves)
            for stream in streams:
                if stream.error is not None:
                    stream.error = None
                    await stream.open(resume_token=stream.token, held_users=stream.held()).until(
                        lambda stream=stream: stream.complete > 1
                    )
            await worker.found({user(0): "after"})
            for stream in streams:
                await stream.shows({user(0): "after"})
            await eventually(lambda: len(_started(edge.log)) == 3)
            edge.process.terminate()
            for stream in streams:
                assert (await stream.ending()).reason == "ERROR_REASON_SHUTDOWN"
        assert edge.process.wait(60) == 0
        assert not any(psutil.pid_exists(pid) for _, pid in _started(edge.log))


@pytest.mark.timeout(120)
async def test_no_process_outlives_its_supervisor(valkey: ValkeyServer, tmp_path: Path) -> None:
    with edge_process(valkey, tmp_path, processes=2) as edge:
        pids = [pid for _, pid in _started(edge.log)]
        assert len(pids) == 2
        edge.process.kill()
        await eventually(lambda: not any(map(psutil.pid_exists, pids)))


def test_other_roles_do_not_share_a_port() -> None:
    result = CliRunner().invoke(app, ["serve", "edge", "worker", "--processes", "2"])
    assert (result.exit_code, "name only the role edge" in result.output) == (2, True)


def _started(log: Path) -> list[tuple[str, int]]:
    """Place and process id of each start that the log has."""
    found = re.findall(r'"process": (\d+), "pid": (\d+), "event": "process_started"', log.read_text())
    return [(number, int(pid)) for number, pid in found]
