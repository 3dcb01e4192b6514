"""Colleagues in Home Assistant: what a real broker keeps while the agent, the example and colleagues come and go."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.examples import tools
from tests.examples.premises import program, site
from tests.support.valkey import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

CONFIG = "homeassistant/sensor/presence_agent/"
BRIDGE = [sys.executable, str(tools.EXAMPLES / "agent/homeassistant/bridge.py")]


class Home:
    """What Home Assistant knows from a broker: of each topic, the newest message."""

    def __init__(self) -> None:
        self.topics: dict[str, str] = {}

    async def listen(self, port: int) -> None:
        """Subscribe, and take messages, until cancelled."""
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("#")
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                self.topics[message.topic.value] = message.payload.decode()

    @property
    def is_available(self) -> bool:
        return self.topics.get("presence_agent/availability") == "online"

    def sensors(self) -> dict[str, str]:
        """Name -> state of each sensor, as Home Assistant would draw it."""
        found = {}
        for topic, payload in self.topics.items():
            if topic.startswith(CONFIG) and payload:
                config: dict[str, Any] = json.loads(payload)
                assert config["availability_topic"] == "presence_agent/availability"
                state = self.topics.get(config["state_topic"])
                found[config["name"]] = (
                    "unavailable" if not self.is_available else json.loads(state)["status"] if state else "unknown"
                )
        return found


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[int]:
    """mosquitto on loopback; yields its port."""
    assert tools.is_built("agent/homeassistant"), "mosquitto is not here: run make examples"
    port = free_port()
    (config := folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
    )
    process = await asyncio.create_subprocess_exec(
        *tools.broker_command(), "-c", str(config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    async def answers() -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    try:
        await eventually(answers)
        yield port
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def home(port: int) -> AsyncIterator[Home]:
    """Home Assistant, as far as MQTT goes."""
    made = Home()
    listening = asyncio.create_task(made.listen(port))
    try:
        yield made
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await listening


@pytest.mark.timeout(240)
async def test_each_colleague_is_a_sensor_that_is_unavailable_without_the_agent(tmp_path: Path):
    async with broker(tmp_path) as port, site(tmp_path) as here:
        command = [*BRIDGE, here.premises.url, "127.0.0.1", str(port)]
        async with program(command) as bridge, home(port) as now:

            async def until(condition) -> None:
                await eventually(condition, timeout=60, explain=lambda: f"{now.topics}\n{bridge.told()}")

            await until(lambda: now.topics.get("presence_agent/availability") == "offline")
            async with here.premises.agent():
                await here.begin()
                await until(lambda: now.sensors() == {"ada": "busy", "ben": "unknown"})
                (tmp_path / "colleagues.csv").write_text("login;upn\nada;ada@x.org\na/#+;eve@x.org\n")
                await until(lambda: set(now.sensors()) == {"ada", "a/#+"})
            await until(lambda: set(now.sensors().values()) == {"unavailable"})
            async with here.premises.agent():
                await until(lambda: now.sensors().get("ada") == "busy")

                # The example dies; the broker says so. A colleague goes meanwhile. The next run clears up, also for who comes later.
                bridge.process.kill()
                await until(lambda: not now.is_available)
                (tmp_path / "colleagues.csv").write_text("login;upn\nada;ada@x.org\n")
                async with program(command), home(port) as later:
                    await until(lambda: now.sensors() == {"ada": "busy"} == later.sensors())
    assert "Traceback" not in bridge.told()
