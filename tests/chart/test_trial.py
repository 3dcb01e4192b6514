"""The trial of the chart's README, step by step, as far as a machine without a cluster can: its pod runs here as processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.chart.pods import FOLDER, environment, mounted
from tests.chart.test_documents import given, starting
from tests.support.valkey import free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from redis.asyncio import Redis

    from tests.chart.engine import Helm, Rendering
    from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def trial(helm: Helm) -> Rendering:
    [install] = starting("helm", "-n", "telephony", "install")
    return helm.render(given(install), release=install[4])


@asynccontextmanager
async def started(variables: dict[str, str], *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def output_of(variables: dict[str, str], *words: str) -> tuple[int, str]:
    async with started(variables, *words) as process:
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()


async def is_ready(port: int) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_the_trial_of_the_readme_comes_up_and_passes_helms_test(
    trial: Rendering, valkey: ValkeyServer, raw: Redis, tmp_path: Path
):
    pod = trial.one("Deployment")["spec"]["template"]["spec"]
    [relay] = pod["containers"]
    mounted(pod, tmp_path)
    # Step 2: the certificate is that of the README's command.
    [openssl] = starting("openssl")
    making = await asyncio.create_subprocess_exec(*openssl, cwd=tmp_path / "edge-tls", stderr=subprocess.DEVNULL)
    assert await making.wait() == 0

    # Steps 3 and 4: the pod starts, and is ready by its probe.
    edge, ops = free_port(), free_port()
    variables = environment(relay, tmp_path) | {
        "RELAY_REDIS_URL": valkey.url,
        "RELAY_EDGE_PORT": str(edge),
        "RELAY_OPS_PORT": str(ops),
        "RELAY_WEB_PORT": "0",
        "RELAY_EDGE_DRAIN_DELAY": "100ms",
        "HTTPS_PROXY": "http://127.0.0.1:1",  # nothing leaves this machine
    }
    async with started(variables, "-m", "relay.cli", *relay["args"]) as process:
        await eventually(lambda: is_ready(ops), 60)
        test = trial.one("Pod", "-test")["spec"]
        (tmp_path / "ca").mkdir()
        (tmp_path / "ca" / "ca.crt").write_bytes((tmp_path / "edge-tls" / "tls.crt").read_bytes())
        words = [word.replace(FOLDER, str(tmp_path)) for word in test["containers"][0]["args"]]
        words[words.index("--address") + 1] = f"127.0.0.1:{edge}"
        code, shown = await output_of({}, "-m", "suite.cli", *words)
        assert (code, "serving" in shown) == (0, True), shown

        # In the same container, a command reaches the same store.
        code, shown = await output_of(variables, "-m", "relay.cli", "tenants", "list")
        assert code == 0, shown

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(pod["terminationGracePeriodSeconds"]):
            assert await process.wait() == 0
