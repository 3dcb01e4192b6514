"""Show colleagues in Home Assistant: a sensor for each, by MQTT discovery.

    pip install aiomqtt httpx
    MQTT_USERNAME=presence MQTT_PASSWORD=… python bridge.py http://127.0.0.1:8790 BROKER [PORT]

    homeassistant/sensor/presence_agent/ID/config    the definition of the sensor; empty once the colleague is removed
    presence_agent/ID                                its state and attributes
    presence_agent/availability                      online while the agent is connected, else offline: sensors are unavailable

All messages are retained, so that Home Assistant has them after a restart. The broker therefore stores people's presence: let only
Home Assistant read it. ID is a digest of the colleague's name, because a topic may not contain every character.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import aiomqtt
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SILENCE_S = 60
"""The agent sends a comment every 15 seconds."""
AGAIN_S = 2
PREFIX = "homeassistant/sensor/presence_agent"
AVAILABILITY = "presence_agent/availability"


class Bridge:
    """Follows the agent and updates the broker. One for each connection to the broker."""

    def __init__(self, agent: str, mqtt: aiomqtt.Client) -> None:
        self.agent = agent
        self.mqtt = mqtt
        self.shown: dict[str, dict[str, Any]] = {}
        self.left_over: set[str] = set()
        self.is_complete = False

    async def run(self) -> None:
        """Follow the agent until the connection to the broker ends.

        Raises:
            aiomqtt.MqttError: the connection to the broker was lost.
        """
        await self.mqtt.subscribe(f"{PREFIX}/+/config", qos=1)
        cleaning = asyncio.create_task(self.find_left_over())
        try:
            while True:
                try:
                    await self.follow()
                except httpx.HTTPError as error:
                    say(f"The agent does not answer ({type(error).__name__}).")
                self.is_complete = False
                await self.publish(AVAILABILITY, "offline")
                await asyncio.sleep(AGAIN_S)
        finally:
            cleaning.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await cleaning

    async def follow(self) -> None:
        """Read one stream of the agent until it ends."""
        timeout = httpx.Timeout(10, read=SILENCE_S)
        async with (
            httpx.AsyncClient(timeout=timeout, trust_env=False) as client,
            client.stream("GET", f"{self.agent}/v1/events") as response,
        ):
            response.raise_for_status()
            async for name, data in events(response):
                if name == "everything":
                    self.left_over |= self.shown.keys()
                    self.shown.clear()
                elif name == "state":
                    await self.show(data)
                elif name == "removed":
                    await self.forget(identity(data["user"]))
                elif name == "complete":
                    self.is_complete = True
                    await self.clean_up()
                    await self.publish(AVAILABILITY, "online")
                    say(f"{len(self.shown)} colleagues are shown.")

    async def show(self, colleague: dict[str, Any]) -> None:
        """Publish the state of a colleague, after the definition of a new colleague's sensor."""
        key = identity(colleague["user"])
        is_new = key not in self.shown
        # Before publishing: the broker echoes messages, and `find_left_over` must know the colleague by then.
        self.shown[key] = colleague
        self.left_over.discard(key)
        if is_new:
            await self.publish(f"{PREFIX}/{key}/config", json.dumps(sensor(key, colleague)))
        told = ("status", "reason", "uncertain", "since", "rule", "telephony")
        await self.publish(f"presence_agent/{key}", json.dumps({name: colleague[name] for name in told}))

    async def forget(self, key: str) -> None:
        """Remove the sensor of a colleague."""
        self.shown.pop(key, None)
        self.left_over.discard(key)
        for topic in (f"{PREFIX}/{key}/config", f"presence_agent/{key}"):
            await self.publish(topic, "")

    async def find_left_over(self) -> None:
        """Remove sensors of colleagues who were removed while this program did not run: the broker has retained them."""
        async for message in self.mqtt.messages:
            key = message.topic.value.split("/")[-2]
            if message.payload and key not in self.shown:
                self.left_over.add(key)
                if self.is_complete:
                    await self.clean_up()

    async def clean_up(self) -> None:
        """Remove the sensors of all colleagues who are not shown."""
        for key in self.left_over - self.shown.keys():
            await self.forget(key)

    async def publish(self, topic: str, payload: str) -> None:
        """Publish a retained message."""
        await self.mqtt.publish(topic, payload, qos=1, retain=True)


def sensor(key: str, colleague: dict[str, Any]) -> dict[str, Any]:
    """Return the discovery message of a colleague's sensor."""
    return {
        "name": colleague["login"] or colleague["user"],
        "unique_id": f"presence_agent_{key}",
        "state_topic": f"presence_agent/{key}",
        "value_template": "{{ value_json.status }}",
        "json_attributes_topic": f"presence_agent/{key}",
        "availability_topic": AVAILABILITY,
        "icon": "mdi:account-voice",
        "device": {"identifiers": ["presence_agent"], "name": "Presence agent", "manufacturer": "Teams presence relay"},
        "origin": {"name": "Presence agent"},
    }


def identity(user: str) -> str:
    """Return the part of a topic that identifies a colleague."""
    return hashlib.sha256(user.encode()).hexdigest()[:16]


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield name and data of each server-sent event."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        field, _, value = line.partition(":")
        if field:
            event[field] = value.removeprefix(" ")
        elif not line:
            if "event" in event:
                yield event["event"], json.loads(event["data"])
            event = {}


def say(words: str) -> None:
    """Print a message to stderr."""
    print(words, file=sys.stderr, flush=True)


async def main() -> None:
    """Connect to the broker, and reconnect when the connection ends."""
    if not 3 <= len(sys.argv) <= 4:
        sys.exit("usage: bridge.py URL BROKER [PORT]")
    agent, broker = sys.argv[1:3]
    port = int(sys.argv[3]) if len(sys.argv) == 4 else 1883
    gone = aiomqtt.Will(AVAILABILITY, "offline", qos=1, retain=True)  # the broker publishes it when this program dies
    while True:
        try:
            async with aiomqtt.Client(
                broker,
                port,
                username=os.environ.get("MQTT_USERNAME"),
                password=os.environ.get("MQTT_PASSWORD"),
                will=gone,
                identifier="presence-agent",
            ) as mqtt:
                await Bridge(agent, mqtt).run()
        except aiomqtt.MqttError as error:
            say(f"The broker does not answer: {error}")
        await asyncio.sleep(AGAIN_S)


if __name__ == "__main__":
    if sys.platform == "win32":  # the library needs a selector's loop
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
