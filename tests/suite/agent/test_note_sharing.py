"""Several real agents that share notes through one of them, with consoles."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from suite.agent.notekeeping.event_reader import MOST_BYTES, events_of
from suite.agent.settings.load import load
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.support.valkey import free_port
from tests.support.waiting import eventually

COLLEAGUES = "login;upn\nada;ada@x.org\nben;ben@x.org\n"
TOKEN = "hub_Zb3vXq9LmT2yWk7PcR5dUq"


@pytest.fixture
def place(tmp_path: Path, ca_pem: bytes) -> Callable[..., Premises]:
    """Return a maker of premises, by name; Teams presence is off there."""

    def make(name: str, follows: Premises | None = None, more: str = "") -> Premises:
        folder = tmp_path / name
        folder.mkdir()
        hub = f"[Notes]\nHub = {follows.url}\n" if follows is not None else ""
        made = Premises(folder, "localhost:1", free_port(), more=f"{more}\n{hub}", enable=0)
        made.write(COLLEAGUES, ca_pem)
        return made

    return make


@contextlib.asynccontextmanager
async def console_of(place: Premises) -> AsyncIterator[Console]:
    console = Console(place.url)
    async with listening(console):
        await eventually(lambda: "complete" in console.seen)
        yield console


async def put(place: Premises, user: str, text: str, **more: Any) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        body = {"text": text, "author": "Eva", **more}
        answer = await client.put(f"{place.url}/v1/users/{user}/note", json=body)
        assert answer.status_code == 200, answer.text


async def clear(place: Premises, user: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.delete(f"{place.url}/v1/users/{user}/note?author=Leo")).status_code == 200


async def history(place: Premises, user: str) -> list[str]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return [one["text"] for one in (await client.get(f"{place.url}/v1/users/{user}/notes")).json()["notes"]]


def sharing(console: Console) -> str:
    return str(console.notes_state["sharing"]["state"])


def detail(console: Console) -> str:
    return str(console.notes_state["sharing"]["detail"])


async def test_consoles_of_two_agents_see_the_same_notes_at_once(place: Callable[..., Premises]):
    hub = place("hub")
    branch = place("branch", hub)
    async with hub.agent(), branch.agent(), console_of(hub) as first, console_of(branch) as second:
        await eventually(lambda: sharing(second) == "up_and_running")
        assert sharing(first) == "disabled"
        await put(hub, "ada", "written at the hub")
        await eventually(lambda: second.note_of("ada") == "written at the hub")
        await put(branch, "ada", "written at the branch", expires_s=3600)
        await eventually(lambda: first.note_of("ada") == "written at the branch")
        assert first.notes["ada"]["expires_at"] is not None
        await clear(hub, "ada")
        await eventually(lambda: (first.note_of("ada"), second.note_of("ada")) == (None, None))
        told = ["", "written at the branch", "written at the hub"]
        assert [await history(hub, "ada"), await history(branch, "ada")] == [told, told]
        assert second.notes_state["sharing"]["unsent"] == 0


@pytest.mark.long
async def test_what_is_written_while_the_hub_is_away_is_sent_later_and_both_of_a_conflict_are_in_the_history(
    place: Callable[..., Premises],
):
    hub = place("hub")
    branch = place("branch", hub)
    async with branch.agent(), console_of(branch) as second:
        await put(branch, "ada", "at the branch")
        await put(branch, "ben", "only at the branch")
        await eventually(lambda: sharing(second) == "connection_error")
        await eventually(lambda: second.notes_state["sharing"]["unsent"] == 2)
        async with hub.agent(), console_of(hub) as first:
            await put(hub, "ada", "at the hub, later")
            await eventually(lambda: first.note_of("ben") == "only at the branch")
            await eventually(lambda: second.note_of("ada") == "at the hub, later")
            await eventually(lambda: second.notes_state["sharing"]["unsent"] == 0)
            assert await history(hub, "ada") == await history(branch, "ada") == ["at the hub, later", "at the branch"]
        await eventually(lambda: sharing(second) == "connection_error")
        await clear(branch, "ben")
        async with hub.agent(), console_of(hub) as first:  # a restart
            await eventually(lambda: first.note_of("ben") is None)
            await eventually(lambda: first.note_of("ada") == "at the hub, later")


async def test_a_hub_that_lost_its_disk_gets_everything_back(place: Callable[..., Premises]):
    hub = place("hub")
    branch = place("branch", hub)
    async with branch.agent(), console_of(branch) as second:
        async with hub.agent():
            await put(hub, "ada", "kept")
            await eventually(lambda: second.note_of("ada") == "kept")
        (hub.folder / "presence-agent.db").write_bytes(b"nonsense" * 1000)
        async with hub.agent(), console_of(hub) as first:
            await eventually(lambda: first.note_of("ada") == "kept")
            assert "damaged" in first.notes_state["store"]["detail"]


@pytest.mark.long
async def test_a_chain_and_a_circle_of_agents_agree_and_nothing_goes_round(place: Callable[..., Premises]):
    top = place("top")
    middle = place("middle", top)
    leaf = place("leaf", middle)
    async with top.agent() as one, middle.agent() as two, leaf.agent() as three, console_of(leaf) as console:
        await eventually(lambda: "follows another agent" in detail(console))
        await put(top, "ada", "from the top")
        await eventually(lambda: console.note_of("ada") == "from the top")
        top.more = f"[Notes]\nHub = {leaf.url}"  # now it is a circle
        top.write_settings()
        async with console_of(top) as first:
            await eventually(lambda: sharing(first) == "up_and_running")
            await put(leaf, "ben", "from the leaf")
            await eventually(lambda: first.note_of("ben") == "from the leaf")
            await put(middle, "ben", "from the middle")
            await eventually(lambda: (first.note_of("ben"), console.note_of("ben")) == ("from the middle",) * 2)
        positions = [agent._notes.feed.position for agent in (one, two, three) if agent._notes is not None]
        assert positions == [3, 3, 3]  # each version came once


async def test_a_wrong_token_a_missing_one_and_an_agent_that_follows_itself_are_told(
    place: Callable[..., Premises], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    hub = place("hub", more="[Agent]\nTokenFile = token")
    write_token(hub, TOKEN)
    branch = place("branch", hub)
    async with hub.agent(), branch.agent(), console_of(branch) as console:
        await eventually(lambda: sharing(console) == "credentials_not_found")
        assert "Notes.HubTokenFile" in detail(console)
        write_token(branch, f"wrong_{TOKEN}")
        hub_of_branch = branch.more
        branch.more = f"{hub_of_branch}HubTokenFile = token\n"
        branch.write_settings()
        await eventually(lambda: sharing(console) == "forbidden")
        write_token(branch, TOKEN)
        await eventually(lambda: sharing(console) == "up_and_running")
        await put(branch, "ada", "kept meanwhile")
        branch.more = f"[Notes]\nHub = {branch.url}\n"
        branch.write_settings()
        await eventually(lambda: "this agent itself" in detail(console))
        branch.more = ""
        branch.write_settings()
        await eventually(lambda: sharing(console) == "disabled")
    assert TOKEN not in caplog.text


async def test_a_hub_on_the_lan_is_followed_with_tls_and_a_token_and_one_that_is_not_trusted_is_told(
    place: Callable[..., Premises], cert: trustme.LeafCert, ca_pem: bytes
):
    hub = place("hub", more="[Agent]\nTokenFile = token\nCertificateFile = lan.crt\nPrivateKeyFile = lan.key")
    write_token(hub, TOKEN)
    (hub.folder / "lan.crt").write_bytes(b"".join(pem.bytes() for pem in cert.cert_chain_pems))
    (hub.folder / "lan.key").touch(0o600)
    (hub.folder / "lan.key").write_bytes(cert.private_key_pem.bytes())
    url = f"https://localhost:{hub.port}"
    branch = place("branch", more=f"[Notes]\nHub = {url}\nHubTokenFile = token\nHubCaFile = ca.pem")
    (branch.folder / "ca.pem").write_bytes(
        "# F\u0151tan\u00fas\u00edtv\u00e1ny\n".encode() + ca_pem
    )  # as bundles of CAs name them
    write_token(branch, TOKEN)
    trusting = ssl.create_default_context(cadata=ca_pem.decode())
    async with (
        hub.agent(),
        branch.agent(),
        console_of(branch) as console,
        httpx.AsyncClient(
            base_url=url, verify=trusting, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
        ) as client,
    ):
        await eventually(lambda: sharing(console) == "up_and_running")
        await put(branch, "ada", "over TLS")

        async def is_at_hub() -> bool:
            note = (await client.get("/v1/users/ada/note")).json()["note"]
            return note is not None and note["text"] == "over TLS"

        await eventually(is_at_hub)
        (branch.folder / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
        await eventually(lambda: "not trusted" in detail(console))


def write_token(place: Premises, token: str) -> None:
    (place.folder / "token").touch(0o600)
    (place.folder / "token").write_text(token)


async def test_what_an_agent_brings_is_checked_and_the_rest_counts(place: Callable[..., Premises]):
    hub = place("hub")
    good = {"subject": "ada@x.org", "stamp": 7, "agent": "other", "text": "brought\x00", "author": "Eva", "written_ms": 7, "lifetime_s": None, "ends_in_s": None}  # fmt: skip
    async with hub.agent(), console_of(hub) as console, httpx.AsyncClient(base_url=hub.url, trust_env=False) as client:
        for body, status in (
            ({}, 400),
            ({"versions": 5}, 400),
            ({"versions": [good] * 101}, 400),
            ({"versions": [], "more": 1}, 400),
        ):
            assert (await client.post("/v1/notes/versions", json=body)).status_code == status
        answer = await client.post("/v1/notes/versions", json={"versions": [5, {**good, "stamp": -1}, good]})
        assert answer.json() == {"refused": 2}
        await eventually(lambda: console.note_of("ada") == "brought")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("agent1:8790", "https://"),
        ("http://agent1:8790", "read on the network"),
        ("https://u:p@agent1:8790", "https://host"),
        ("https://\u00e4..x:8790", "xn--"),
        ("https://\u2024:8790", "xn--"),
        ("https://agent 1:8790", "xn--"),
        ("https://[::1:8790", "https://host"),
    ],
)
def test_a_hub_that_cannot_be_one_is_told_by_line(place: Callable[..., Premises], value: str, said: str):
    made = place("branch", more=f"[Notes]\nHub = {value}")
    loaded = load(made.file)
    assert loaded.settings is None
    assert any("Notes.Hub cannot be used" in fault.text and said in fault.text for fault in loaded.faults)


@contextlib.asynccontextmanager
async def strange_hub(said: bytes) -> AsyncIterator[str]:
    """A server that is asked for its notes, and says this."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + said)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20_000)
            await writer.drain()
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


GOOD = {"subject": "ada@x.org", "stamp": 7, "agent": "other", "text": "of the hub", "author": "Eva", "written_ms": 7, "lifetime_s": None, "ends_in_s": None}  # fmt: skip


def event(name: str, event_id: str = "", **data: Any) -> bytes:
    return f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def test_a_note_of_the_hub_that_this_agent_cannot_read_is_left_out_and_the_others_count(
    place: Callable[..., Premises], caplog: pytest.LogCaptureFixture
):
    later = {**GOOD, "text": "x" * 501}  # as a later version of the agent may allow
    said = [event("hub", run="r", agent="other", follows=False, now_ms=7)]
    said += [event("version", "r-1", **later), event("version", "\ufffd", **{**GOOD, "subject": "A"}), event("version", "r-3", **GOOD)]  # fmt: skip
    async with strange_hub(b"".join([*said, event("complete")])) as url:
        branch = place("branch", more=f"[Notes]\nHub = {url}")
        async with branch.agent(), console_of(branch) as console:
            await eventually(lambda: console.note_of("ada") == "of the hub")
            await eventually(lambda: sharing(console) == "up_and_running")
    assert [record.getMessage() for record in caplog.records if "left out" in record.getMessage()] == [
        "notes: the hub sent a note that this agent cannot read: text must be a text of 1 to 500 characters. Such notes are left out."
    ]


@pytest.mark.long
async def test_whatever_the_hub_says_the_agent_goes_on(place: Callable[..., Premises]):
    hub = event("hub", run="r", agent="other", follows=False, now_ms=7)
    for number, said in enumerate(
        (b"event: hub\ndata: " + b"[" * 20_000 + b"\n\n", hub + event("complete"), hub + b"event: \xff\n\n")
    ):
        async with strange_hub(said) as url:
            branch = place(f"branch{number}", more=f"[Notes]\nHub = {url}")
            async with branch.agent(), console_of(branch) as console:
                await put(branch, "ada", "of the branch")
                await eventually(lambda console=console: sharing(console) == "connection_error")  # type: ignore[misc]
                await eventually(lambda console=console: console.note_of("ada") == "of the branch")  # type: ignore[misc]


async def pieces_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


async def test_events_are_read_in_whatever_pieces_they_come_and_not_without_bound():
    found = [
        one async for one in events_of(pieces_of(b": hi\n", b"\nid: 5\nevent: a\nda", b'ta: {"x": 1}\n\nevent: b\n\n'))
    ]
    assert [(one.name, one.data, one.event_id) for one in found] == [("a", {"x": 1}, "5"), ("b", {}, "")]
    for wrong in (b"x" * (MOST_BYTES + 1), b"event: a\ndata: [1]\n\n", b"event: a\ndata: {\n\n", b"event: \xff\n\n", b"event: a\ndata: " + b"[" * 20_000 + b"\n\n"):  # fmt: skip
        with pytest.raises(ValueError):
            _ = [one async for one in events_of(pieces_of(wrong))]
