"""Bad input at the local API, as any program of the machine or of the LAN can send it: refused cheaply, and bounded in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.agent.api import accepting as accepting_module
from suite.agent.api import bodies as bodies_module
from suite.agent.api import serving as serving_module
from suite.agent.api.bodies import MOST_BYTES, MOST_LARGE, SMALL_BYTES
from suite.agent.api.pace import LOOPBACK, network_of
from suite.agent.api.places import Place, Places
from suite.agent.api.serving import BoundedProtocol
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.test_api import Scene, closed_by_the_agent, served
from tests.support.waiting import eventually


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with served() as found:
        yield found


def head(scene: Scene, line: str = "GET /v1/sources HTTP/1.1", *headers: str) -> bytes:
    return "\r\n".join([line, f"Host: localhost:{scene.port}", *headers, "", ""]).encode()


async def is_well(scene: Scene) -> None:
    assert (await scene.client.get("/v1/sources")).status_code == 200


# Requests


async def test_a_body_of_10_mb_is_refused_before_it_is_kept(scene: Scene):
    post = head(scene, "POST /v1/telephony HTTP/1.1", "Content-Type: application/json", f"Content-Length: {10 << 20}")
    got = await closed_by_the_agent(scene, post + b" " * 100_000)
    assert got.startswith(b"HTTP/1.1 413")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    post = head(scene, "POST /v1/telephony HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
    got = await closed_by_the_agent(scene, post + chunk * (MOST_BYTES // 65_536 + 1))
    assert got.startswith(b"HTTP/1.1 413")
    assert not bodies_module._large_now
    await is_well(scene)


async def test_large_bodies_take_turns_and_do_not_keep_small_ones_out(scene: Scene):
    post = head(scene, "POST /v1/telephony HTTP/1.1", "Content-Type: application/json", f"Content-Length: {MOST_BYTES}")
    writers = []
    for _ in range(MOST_LARGE):
        _, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        writer.write(post + b" " * (2 * SMALL_BYTES))
        writers.append(writer)
    await eventually(lambda: len(bodies_module._large_now) == MOST_LARGE)
    large = await scene.client.post(
        "/v1/telephony", content=b" " * (2 * SMALL_BYTES), headers={"Content-Type": "application/json"}
    )
    assert (large.status_code, large.json()["error"]["code"]) == (503, "busy")
    assert (await scene.tells(states=[])).status_code == 200
    for writer in writers:
        writer.close()
    await eventually(lambda: not bodies_module._large_now)


async def test_half_a_body_is_not_waited_for_and_one_that_breaks_off_is_no_fault_of_ours(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    half = head(scene, "POST /v1/telephony HTTP/1.1", "Content-Type: application/json", "Content-Length: 1000") + b"{"
    _, writer = await asyncio.open_connection("127.0.0.1", scene.port)
    writer.write(half)
    writer.close()
    monkeypatch.setattr(bodies_module, "BODY_S", 0.1)
    assert (await closed_by_the_agent(scene, half)).startswith(b"HTTP/1.1 408")
    await is_well(scene)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/users HTTP/9.9\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(5000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/telephony HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/telephony HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/telephony HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"\r\n" * 1000 + b"\0\0\0",
    ],
    ids=lambda sent: sent[:24].decode("latin-1"),
)
async def test_what_is_no_request_is_refused_and_told_to_nobody(
    scene: Scene, sent: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(BoundedProtocol, "head_s", 0.3)
    got = await closed_by_the_agent(scene, sent)
    assert got == b"" or got[9:12] in (b"400", b"403", b"431", b"501", b"505"), got[:200]
    await is_well(scene)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_body_that_breaks_while_it_is_answered_ends_the_connection_quietly(
    scene: Scene, caplog: pytest.LogCaptureFixture
):
    events = head(scene, "GET /v1/events HTTP/1.1", "Transfer-Encoding: chunked")
    got = await closed_by_the_agent(scene, events, b"nonsense\r\n")
    assert got.startswith(b"HTTP/1.1 200")
    await eventually(lambda: scene.board.listeners == 0)
    post = head(scene, "POST /v1/telephony HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
    assert (await closed_by_the_agent(scene, post + b"nonsense\r\n")).startswith(b"HTTP/1.1 400")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("path", ["/v1/events", "/v1/notes/versions"])
async def test_an_event_stream_with_a_body_without_end_is_ended(scene: Scene, path: str):
    events = head(scene, f"GET {path} HTTP/1.1", "Content-Length: 1000000000")
    got = await closed_by_the_agent(scene, events, b"x" * 1000)
    assert got.startswith(b"HTTP/1.1 200")
    assert scene.board.listeners == 0


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GET /v1/events HTTP/1.1", ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://evil.example")),
        ("GET /v1/nothing HTTP/1.1", ("Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
        ("CONNECT intranet.example:443 HTTP/1.1", ()),
        ("TRACE /v1/users HTTP/1.1", ()),
        ("GET http://intranet.example/v1/users HTTP/1.1", ()),
        ("OPTIONS * HTTP/1.1", ()),
        ("BREW /v1/users HTTP/1.1", ()),
    ],
)  # fmt: skip
async def test_upgrades_tunnels_and_other_methods_lead_nowhere(scene: Scene, line: str, headers: tuple[str, ...]):
    got = await closed_by_the_agent(scene, head(scene, line, *headers, "Connection: close"))
    assert got[9:12] in (b"403", b"404", b"405"), got[:200]
    assert b"Sec-WebSocket" not in got


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["ada", "busy", "pbx"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["connector", "states", "user", "state", "sequence", "expires_s", "x"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_no_json_breaks_the_reader_of_states(value: object):
    text = json.dumps(value)
    body = json.loads(text)
    if isinstance(body, dict):
        with contextlib.suppress(bodies_module.ApiError):
            _, states = bodies_module.told_states(body, bodies_module.TelephonyState)
            assert all(0 <= one.sequence < 2**53 and 1 <= one.lifetime.total_seconds() <= 86_400 for one in states)


async def test_json_that_only_some_readers_take_is_refused_or_harmless(scene: Scene):
    for sequence in ("NaN", "Infinity", "-0.0", "1e400", "9" * 5000, '"1"', "[]"):
        body = f'{{"states": [{{"user": "ada", "state": "busy", "sequence": {sequence}}}]}}'
        answer = await scene.client.post("/v1/telephony", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, sequence
    lone = '{"states": [{"user": "\\ud800", "state": "busy", "sequence": 1}]}'
    answer = await scene.client.post("/v1/telephony", content=lone, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)


# Floods


async def test_a_flood_of_requests_waits_unread_and_others_are_answered(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serving_module, "REQUESTS", (5, 3600.0))
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
    flood = head(scene)
    writer.write(flood * 1000)
    got = b""
    while got.count(b"HTTP/1.1 200") < 5:
        got += await asyncio.wait_for(reader.read(65_536), 30)
    await is_well(scene)  # another connection is not kept waiting by this one
    assert got.count(b"HTTP/1.1 200") == 5
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.1)
    writer.close()


async def test_a_machine_that_connects_too_often_is_closed_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accepting_module, "LOOPBACK_ARRIVALS", (3, 3600.0))
    async with served() as scene:
        await is_well(scene)
        for _ in range(2):
            assert (await closed_by_the_agent(scene, head(scene, "GET /x HTTP/1.1", "Connection: close"))) != b""
        assert await closed_by_the_agent(scene, head(scene)) == b""
        await is_well(scene)  # what is open stays open


async def test_idle_connections_give_way_and_consoles_do_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serving_module, "MORE_CONNECTIONS", 3)
    async with served(consoles=1) as scene:
        console = Console(scene.url)
        async with listening(console):
            await eventually(lambda: "complete" in console.seen)
            idle = [socket.create_connection(("127.0.0.1", scene.port)) for _ in range(20)]
            await is_well(scene)
            scene.says("ada", "busy")
            await eventually(lambda: console.status_of("ada") == "busy")
        for one in idle:
            one.close()


@given(
    st.lists(st.tuples(st.sampled_from("elwa"), st.sampled_from([LOOPBACK, "10.0.0.1", "10.0.0.2"]), st.integers(0, 9)))
)
def test_places_are_never_more_than_they_may_be_and_whoever_is_answered_keeps_its(steps: list[tuple[str, str, int]]):
    places, open_now, answered = Places(4, 2), [], set()

    def enter(network: str) -> None:
        def abort() -> None:
            assert place not in answered
            open_now.remove(place)

        place: Place | None = places.enter(network, lambda: abort())
        if place is not None:
            open_now.append(place)

    for what, network, number in steps:
        if what == "e":
            enter(network)
        elif open_now:
            place = open_now[number % len(open_now)]
            if what == "l":
                places.leave(place)
                open_now.remove(place)
                answered.discard(place)
            elif what == "a":
                places.answer(place)
                answered.add(place)
            else:
                places.wait(place)
                answered.discard(place)
        assert len(places) == len(open_now) <= 4
        for one in ("10.0.0.1", "10.0.0.2"):
            assert sum(place.network == one for place in open_now) <= 2
    for place in open_now:
        places.leave(place)
    assert (len(places), places._networks) == (0, {})


def test_one_machine_of_the_lan_has_one_network():
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("not an address") == "not an address"
