"""The guide for developers of suites is true: its simple client runs as it stands there, and its tables are complete."""

from __future__ import annotations

import asyncio
import re
import threading
import tomllib
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from presence_api.v1 import error_reason_pb2, presence_pb2
from relay.core.presence import Status
from relay.core.showing.mapping import LOOKS
from relay.edge.server import EdgeServer
from relay.store.custody.suite_keys import SuiteKeys
from tests.edge.worker import PlayedWorker, name, user
from tests.support.ring import MARKS
from tests.support.waiting import eventually

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "suites.md").read_text()
UNKNOWN_VALUE: Any = 999  # of an enum; a later relay may send it
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in GUIDE.splitlines() if line.startswith("| `")]


def simple_client() -> dict[str, Any]:
    """Return the names that the guide's simple client defines."""
    [code] = re.findall(r"```python\n(import random.*?)```", GUIDE, re.DOTALL)
    room: dict[str, Any] = {}
    exec(compile(code, "docs/suites.md", "exec"), room)
    return room


class SimpleClient:
    """The guide's, in a thread of its own; `seen` is what it draws, `sure` what it says of all of it."""

    def __init__(self, edge: EdgeServer, key: str, users: list[str], authority: trustme.CA) -> None:
        self._room = simple_client()
        self.seen: dict[str, str] = {}
        self.sure: list[bool] = []
        self.ended: grpc.RpcError | None = None
        draw = (self.seen.__setitem__, self.sure.append)
        arguments = (f"localhost:{edge.port}", key, users, *draw, authority.cert_pem.bytes())
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def _run(self, *arguments: Any) -> None:
        try:
            self._room["watch"](*arguments)
        except grpc.RpcError as error:
            self.ended = error

    async def joined(self) -> None:
        await asyncio.to_thread(self._thread.join, 10)


async def test_the_simple_client_shows_everybody_and_outlives_its_edge(
    worker: PlayedWorker, key: str, start_edge: Callable[..., Any], authority: trustme.CA, store: Any
) -> None:
    [ada] = await worker.users(1)
    await worker.resolve({name(7): Status.NOT_FOUND})
    edge = await start_edge()
    client = SimpleClient(edge, key, [ada, name(7), name(8)], authority)
    await eventually(lambda: len(client.seen) == 3)
    assert client.seen[name(7)] == "UNKNOWN_REASON_NOT_FOUND"
    assert client.seen[name(8)] == "UNKNOWN_REASON_PENDING"
    await worker.found({user(0): Status.NOT_REPORTED})
    await eventually(lambda: client.seen[ada] == "UNKNOWN_REASON_NOT_REPORTED")
    await edge.drain()
    await worker.found({user(0): Status.ACCESS_DENIED})
    again = await start_edge(port=edge.port)
    await eventually(lambda: client.seen[ada] == "UNKNOWN_REASON_ACCESS_DENIED", timeout=60)  # it waits before it tries
    assert again.port == edge.port
    [held] = await SuiteKeys(store, MARKS).list(worker.tenants[0])
    await SuiteKeys(store, MARKS).revoke(held.key_id)
    await client.joined()
    assert client.ended is not None
    assert client.ended.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_simple_client_says_when_what_it_shows_may_be_old(
    worker: PlayedWorker, key: str, start_edge: Callable[..., Any], authority: trustme.CA
) -> None:
    [ada] = await worker.users(1)
    await worker.contact()
    edge = await start_edge()
    client = SimpleClient(edge, key, [ada], authority)
    await eventually(lambda: client.sure[-1:] == [True])
    assert ada in client.seen
    await worker.contact(status=Status.STALE)
    await eventually(lambda: client.sure[-1] is False)
    await worker.contact()
    await eventually(lambda: client.sure[-1] is True)
    await edge.__aexit__(None, None, None)
    await eventually(lambda: client.sure[-1] is False)
    await start_edge(port=edge.port)
    await eventually(lambda: client.sure[-1] is True, timeout=60)


def test_the_simple_client_draws_values_that_it_does_not_know() -> None:
    words, later = simple_client()["words"], presence_pb2.UserAnswer
    reason = later()
    reason.unknown_reason = UNKNOWN_VALUE
    assert words(None, reason).startswith("UNKNOWN_REASON_")
    presence = later()
    presence.presence.console_status = UNKNOWN_VALUE
    assert words(None, presence) == "CONSOLE_STATUS_UNKNOWN"


async def test_the_line_for_buf_shows_presence(
    worker: PlayedWorker, key: str, start_edge: Callable[..., Any], authority: trustme.CA, tmp_path: Path
) -> None:
    await worker.users(1)
    edge = await start_edge()
    ca, secret = tmp_path / "ca.pem", tmp_path / "suite.key"
    ca.write_bytes(authority.cert_pem.bytes())
    secret.write_text(key)
    [line] = re.findall(r"    (\.venv/bin/buf curl (?:.*\\\n)*.*)", GUIDE)
    line = line.replace(".state/dev/ca.pem", str(ca)).replace(".state/dev/suite.key", str(secret))
    line = line.replace("127.0.0.1:8443", f"localhost:{edge.port}").replace("ada@contoso.example", name(0))
    watching = await asyncio.create_subprocess_shell(
        f"exec {line}", cwd=DOCS.parent, stdout=PIPE, stderr=STDOUT, limit=2**20
    )
    try:
        async with asyncio.timeout(30):
            told = await watching.stdout.readuntil(b'"snapshotComplete": true') if watching.stdout else b""
    finally:
        with suppress(ProcessLookupError):
            watching.kill()
        await watching.wait()
    assert user(0).encode() in told


def test_every_console_status_has_its_icon_colour_and_words() -> None:
    told = {row[0].strip("`"): row for row in ROWS if "icons/" in row[1]}
    assert set(told) == {status.name for status in LOOKS}
    for status, look in LOOKS.items():
        _, icon, colour, *words, order = told[status.name]
        assert icon == f"![](icons/{look.icon}.svg) {look.icon}"
        assert (DOCS / "icons" / f"{look.icon}.svg").is_file()
        assert colour == look.colour.value
        assert all(words)
        assert order.isdecimal()
    assert sorted(int(row[-1]) for row in told.values()) == list(range(1, len(told) + 1))


def test_the_guides_words_are_those_of_the_pages() -> None:
    pages = {}
    for path in (DOCS.parent / "relay" / "locale").glob("*.toml"):
        messages = tomllib.loads(path.read_text())["message"]
        pages |= {one["en"]: one["it"] for one in messages if isinstance(one["en"], str)}
    told = {row[3]: row[4] for row in ROWS if "icons/" in row[1]}
    assert told == {english: pages[english] for english in told}


def test_every_reason_has_words_and_every_error_a_remedy() -> None:
    said = {cell.strip("`") for row in ROWS for cell in row[0].split(", ")}
    reasons = {value.removeprefix("UNKNOWN_REASON_") for value in presence_pb2.UnknownReason.keys()}  # noqa: SIM118
    assert reasons - {"UNSPECIFIED"} <= said
    assert set(error_reason_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"} <= said


@pytest.mark.fault("L7")
def test_grpc_web_is_nowhere_offered_without_a_proxy_that_translates_it() -> None:
    protos = "".join(path.read_text() for path in (DOCS.parent / "protos").rglob("*.proto"))
    about = [line for line in (protos + GUIDE).splitlines() if "gRPC-Web" in line]
    assert about
    assert all("proxy" in line.lower() or "not served" in line for line in about), about
