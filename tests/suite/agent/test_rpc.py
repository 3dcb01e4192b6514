"""The relay's own API, served by the agent: the project's own client and command against it, unchanged; and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import trustme
from grpc import aio
from hypothesis import given, settings
from hypothesis import strategies as st

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite import events as ev
from suite.agent.answers import RelayAnswers
from suite.agent.api.sign_in import WRONG_AT_ONCE, SignIn
from suite.agent.rpc import stream as stream_module
from suite.agent.rpc.server import rpc_serving
from suite.agent.rpc.service import PresenceService
from suite.agent.rpc.watch import Watch
from suite.agent.settings.load import load
from suite.client import PresenceClient
from suite.error_details import parse_error_details
from suite.held import Answer, Resolution
from suite.names import key_of
from suite.state import WatchState
from suite.values import Outcome, Presence, Status, presence_of
from tests.suite.agent.agents import LAN, TOKEN, Premises, write_lan_files
from tests.suite.recorder import Recorder
from tests.suite.scripted_relay import OpenedStream, Response, ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

OTHER = "psk_agent_another-one-0123456789"


@dataclass
class Scene:
    """An agent on a folder, whose relay the test plays; and its consoles."""

    premises: Premises
    relay: ScriptedRelay
    port: int
    ca_pem: bytes
    stack: contextlib.AsyncExitStack

    async def console(self, *users: str, key: str = TOKEN, **settings) -> Recorder:
        client = PresenceClient(f"localhost:{self.port}", key, ca_pem=self.ca_pem, proxy="", users=users, **settings)
        await self.stack.enter_async_context(client)
        return await self.stack.enter_async_context(Recorder(client))


@pytest.fixture
async def scene(tmp_path: Path, relay: ScriptedRelay, cert: trustme.LeafCert, ca_pem: bytes) -> AsyncIterator[Scene]:
    port = free_port()
    write_lan_files(tmp_path, cert)
    premises = Premises(tmp_path, f"localhost:{relay.port}", free_port(), more=f"{LAN}GrpcPort={port}\n")
    premises.write("login;upn\nada;ada@x.org\n", ca_pem)
    async with contextlib.AsyncExitStack() as stack:
        yield Scene(premises, relay, port, ca_pem, stack)


def tell(stream: OpenedStream, token: str = "t", **users: str | int) -> None:
    """login=raw availability, or the reason why there is none; the id of the user is the login in capitals."""
    stream.batch({f"{login}@x.org": login.upper() for login in users}, {login.upper(): to for login, to in users.items()},
                 complete=True, token=token)  # fmt: skip


def raw(console: Recorder, name: str) -> str | None:
    _, answer = console.client.find(name)
    return None if answer is None or answer.presence is None else answer.presence.raw_availability


def is_asked_for(stream: OpenedStream, name: str) -> bool:
    """Whether the agent's stream watches a user who is no colleague; answers before that are for nobody."""
    return name in stream.asked or any(name in change.subscribe_users for change in stream.changes)


# A program written for the relay


async def test_consoles_written_for_the_relay_share_the_agents_one_stream(
    scene: Scene, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    contact = datetime(2026, 11, 29, 12, tzinfo=UTC)
    async with scene.premises.agent():
        assert f" and gRPC on port {scene.port} with a token" in caplog.text
        first = await scene.console("ada@x.org", "eve@x.org")
        stream = await scene.relay.stream()
        await stream.until(lambda: is_asked_for(stream, "eve@x.org"))
        stream.started()
        event = Response.TenantStatus()
        event.contact_time.FromDatetime(contact)
        stream.send(tenant_status=event)
        tell(stream, ada="Available", eve="Busy")
        await first.next(ev.TenantStatus, lambda event: event.status is Status.NONE)
        await eventually(lambda: (raw(first, "ada@x.org"), raw(first, "sip:EVE@x.org")) == ("Available", "Busy"))
        assert first.client.names["eve@x.org"] == Resolution("EVE", None)

        second = await scene.console("ada@x.org", form="stream")
        await second.next(ev.SnapshotComplete)
        assert raw(second, "ada@x.org") == "Available"  # known already: nobody had to be asked
        tell(stream, token="t2", ada="DoNotDisturb")
        await eventually(lambda: raw(first, "ada@x.org") == raw(second, "ada@x.org") == "DoNotDisturb")

        await first.client.subscribe(["ben@x.org", "nonsense"])
        await stream.until(lambda: any("ben@x.org" in change.subscribe_users for change in stream.changes))
        stream.batch(
            {"ben@x.org": "BEN", "nonsense": pb.UNKNOWN_REASON_MALFORMED}, {"BEN": pb.UNKNOWN_REASON_NOT_REPORTED}
        )
        await eventually(lambda: first.client.find("ben@x.org")[1] == Answer(None, Status.NOT_REPORTED))
        assert first.client.find("nonsense")[0] == Resolution(None, Status.MALFORMED)
        assert scene.relay.open_now == 1
    ended = await first.next(ev.Disconnected)
    assert ended.error_reason in ("ERROR_REASON_SHUTDOWN", "")  # asked to leave, or told so by its old stream


async def test_a_console_that_comes_back_is_sent_only_what_changed(scene: Scene):
    async with scene.premises.agent():
        console = await scene.console("ada@x.org", "ben@x.org")
        stream = await scene.relay.stream()
        await stream.until(lambda: is_asked_for(stream, "ben@x.org"))
        stream.started()
        tell(stream, ada="Available", ben="Busy")
        await eventually(lambda: (raw(console, "ada@x.org"), raw(console, "ben@x.org")) == ("Available", "Busy"))
        await eventually(lambda: console.client.held(["ada@x.org"]).token)
        held = console.client.held(["ada@x.org", "ben@x.org"])
        await scene.stack.aclose()
        tell(stream, token="t2", ben="Away")
        again = await scene.console("ada@x.org", "ben@x.org", held=held)
        connected = await again.next(ev.Connected)
        assert connected.outcome is Outcome.RESUMED
        await again.next(ev.SnapshotComplete)
        assert {event.user_id for event in again.seen if isinstance(event, ev.Changed)} <= {"BEN"}
        await eventually(lambda: raw(again, "ben@x.org") == "Away")
        assert raw(again, "ada@x.org") == "Available"


@pytest.mark.long
async def test_the_command_of_suites_watches_over_the_agent(scene: Scene):
    key = scene.premises.folder / "token"
    ca = scene.premises.folder / "ca.pem"
    async with scene.premises.agent():
        stream = await scene.relay.stream()
        stream.started()
        tell(stream, ada="InAMeeting")
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "suite.cli", "watch", "--address", f"localhost:{scene.port}", "--proxy", ""),
            *("--key-file", str(key), "--ca-file", str(ca), "--json", "--once", "ada@x.org"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(command.communicate(), 30)
    assert (command.returncode, errors) == (0, b"")
    assert any("InAMeeting" in json.dumps(json.loads(line)) for line in out.splitlines())


async def test_a_relay_that_is_gone_is_told_and_its_answers_are_not_shown_for_ever(scene: Scene):
    scene.premises.more += "UnknownAfter=1s\n"
    scene.premises.write_settings()
    async with scene.premises.agent():
        console = await scene.console("ada@x.org")
        stream = await scene.relay.stream()
        stream.started()
        tell(stream, ada="Available")
        await eventually(lambda: raw(console, "ada@x.org") == "Available")
        await scene.relay.kill()
        await console.next(ev.TenantStatus, lambda event: event.status is Status.SOURCE_UNREACHABLE)
        await eventually(lambda: console.client.find("ada@x.org")[1] == Answer(None, Status.STALE))


# What is refused


class Door:
    """A served API without an agent, and calls of it that no client of ours would make."""

    def __init__(self, service: PresenceService, answers: RelayAnswers, channel: aio.Channel, key: str) -> None:
        self.service, self.answers, self.channel = service, answers, channel
        self.metadata = (("authorization", f"Bearer {key}"),)

    def call(self, *requests: bytes, method: str = "WatchPresence", metadata=None) -> aio.StreamStreamCall:
        async def sent() -> AsyncIterator[bytes]:
            for request in requests:
                yield request
            await asyncio.Event().wait()

        opened = self.channel.stream_stream(f"/relay.api.presence.v1.PresenceService/{method}")
        return opened(sent(), metadata=self.metadata if metadata is None else metadata)

    async def ended(self, *requests: bytes, **given) -> tuple[grpc.StatusCode, str]:
        """The code and the reason with which the call ends."""
        # Where the server ends a call while gRPC's client begins it, the client says INTERNAL in place of the server's code, or waits for ever.
        for _ in range(10):
            call = self.call(*requests, **given)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await read_to_the_end(call)
                    code = await call.code()
                    details = dict(await call.trailing_metadata()).get("grpc-status-details-bin", b"")
                if code is not grpc.StatusCode.INTERNAL:
                    return code, parse_error_details(details, "presence.relay").reason.removeprefix("ERROR_REASON_")
            call.cancel()
        raise AssertionError("the server did not end the call")


async def read_to_the_end(call: aio.StreamStreamCall) -> None:
    with contextlib.suppress(aio.AioRpcError):
        while await call.read() is not aio.EOF:
            pass


@contextlib.asynccontextmanager
async def served(token: str = "", consoles: int = 5) -> AsyncIterator[Door]:
    answers, port = RelayAnswers(), free_port()
    options = [("grpc.http2.bdp_probe", 0), ("grpc.max_receive_message_length", 8 << 20)]
    async with (
        rpc_serving("127.0.0.1", port, answers, SignIn(token), consoles, None) as service,
        aio.insecure_channel(f"127.0.0.1:{port}", options) as channel,
    ):
        yield Door(service, answers, channel, token or "psk_whatever")


def start(*users: str, **fields) -> bytes:
    return api.WatchPresenceRequest(start=api.WatchStart(subscribe_users=users, **fields)).SerializeToString()


def change(*users: str) -> bytes:
    return api.WatchPresenceRequest(change={"subscribe_users": users}).SerializeToString()


async def test_requests_that_break_the_protocol_end_their_stream_with_its_reason():
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    full = grpc.StatusCode.RESOURCE_EXHAUSTED
    names = tuple(f"u{number}@x.org" for number in range(10_001))
    one = api.StreamPresenceRequest(start=api.WatchStart(more_follows=True)).SerializeToString()
    async with served() as door:
        assert await door.ended(b"\xff\xff") == (invalid, "START_EXPECTED")
        assert await door.ended(b"") == (invalid, "START_EXPECTED")
        assert await door.ended(change("a@x.org")) == (invalid, "START_EXPECTED")
        assert await door.ended(start("x" * 1025)) == (invalid, "START_EXPECTED")
        assert await door.ended(one, method="StreamPresence") == (invalid, "START_EXPECTED")
        assert await door.ended(start(*names)) == (full, "TOO_MANY_USERS")
        assert await door.ended(start(), start()) == (invalid, "ACTION_EXPECTED")
        assert await door.ended(start(), b"\xff\xff") == (invalid, "ACTION_EXPECTED")
        assert await door.ended(start(), change(*names)) == (full, "TOO_MANY_USERS")
        assert (len(door.service), door.answers.listeners) == (0, 0)
        door.answers.sweep(0)
        assert len(door.answers) == 0


async def test_more_users_than_the_relays_stream_may_have_are_refused():
    async with served() as door:
        door.answers.want(f"u{number}@x.org" for number in range(99_999))
        assert await door.ended(start("a@x.org", "b@x.org")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_USERS")


async def test_a_call_without_the_token_is_refused_and_wrong_ones_are_limited():
    async with served(TOKEN) as door:
        for metadata in ((), (("authorization", f"Bearer {OTHER}"),), (("authorization", TOKEN),), door.metadata * 2):
            refused = await door.ended(start("a@x.org"), metadata=metadata)
            assert refused == (grpc.StatusCode.UNAUTHENTICATED, "SUITE_KEY_UNKNOWN")
        for _ in range(WRONG_AT_ONCE):
            refused = await door.ended(start("a@x.org"), metadata=())
        assert refused == (grpc.StatusCode.UNAVAILABLE, "BUSY")
        call = door.call(start("a@x.org"))
        assert await call.read()  # the right one is let in all the same
        call.cancel()


async def test_more_streams_than_may_be_are_refused_and_a_program_takes_its_own_place():
    async with served(consoles=1) as door:
        first = door.call(start(client={"instance_id": "one"}))
        await first.read()
        assert await door.ended(start()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES")
        second = door.call(start(client={"instance_id": "one"}))
        await second.read()
        await read_to_the_end(first)
        assert await first.code() is grpc.StatusCode.ABORTED
        assert len(door.service) == 1
        second.cancel()


async def test_a_console_that_reads_nothing_is_ended_and_holds_one_mark_for_each_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream_module, "WRITE_S", 0.5)
    names = [f"{'u' * 200}{number}@x.org" for number in range(5000)]
    async with served() as door:
        slow = door.call(start(*names))
        await eventually(lambda: door.service)
        for turn in range(20):
            for name in names[:100]:
                door.answers.put(name, Resolution(name[-80:], None), Answer(None, Status(1 + turn % 4)))
            await asyncio.sleep(0)
        [listener] = door.answers._listeners
        assert len(listener._changed) <= len(names)
        await eventually(lambda: not len(door.service))
        await read_to_the_end(slow)
        assert await slow.code() is grpc.StatusCode.ABORTED


async def test_health_is_told_as_by_a_relay():
    async with served() as door:
        check = door.channel.unary_unary("/grpc.health.v1.Health/Check")
        assert await check(b"") == b"\x08\x01"
        door.service.drain()
        assert await check(b"") == b"\x08\x02"
        assert await door.ended(start()) == (grpc.StatusCode.UNAVAILABLE, "SHUTDOWN")


@pytest.mark.parametrize("lines", ["GrpcPort=8790", "GrpcPort=0", "GrpcPort=yes"])
def test_a_port_that_cannot_be_is_refused(tmp_path: Path, lines: str):
    (tmp_path / "Presence.ini").write_text(f"[Agent]\n{lines}\n")
    assert load(tmp_path / "Presence.ini").settings is None


# The rules


NAMES = ("a@x.org", "b@x.org", "sip:A@x.org", "c@x.org")


def presence(number: int) -> Presence:
    return presence_of(pb.UserPresence(raw_availability=str(number), availability=pb.AVAILABILITY_BUSY, source=1))


STEPS = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("abc"), st.sampled_from(["A", "B", ""]), st.integers(0, 2)),
    st.tuples(st.just("read"), st.integers(1, 3)),
    st.tuples(st.just("watch"), st.sampled_from(NAMES)),
    st.tuples(st.just("leave"), st.sampled_from(NAMES)),
    st.tuples(st.just("resume"), st.booleans()),
    st.tuples(st.just("hide"), st.booleans()),
    st.tuples(st.just("renew")),
    st.tuples(st.just("sweep")),
)


class Schedule:
    """One console with the client's own rules, and the agent's answers, in one order of events after another."""

    def __init__(self) -> None:
        self.answers = RelayAnswers(clock=lambda: 0.0)
        self.answers.trust(Status.NONE, is_hidden=False)
        self.known: dict[str, tuple[Resolution, Answer | None]] = {}
        self.answers.find = lambda name: self.known.get(key_of(name), (Resolution(None, Status.PENDING), None))
        self.state = WatchState()
        self.state.subscribe(NAMES[:2])
        self.open = contextlib.ExitStack()
        self.connect()

    def connect(self) -> None:
        self.open.close()
        self.listener = self.open.enter_context(self.answers.listening())
        self.watch = Watch(self.answers, self.listener)
        begun = self.state.start()
        held = {
            one.user: Resolution(one.user_id, None) if one.user_id else Resolution(None, Status(one.unknown_reason))
            for one in begun.held
        }
        outcome = self.watch.begin(begun.subscribe, held, begun.token)
        self.state.began(begun)
        self.is_complete = False
        self.state.apply(api.WatchPresenceResponse(started={"outcome": int(outcome)}))

    def read(self, most: int) -> bool:
        """Let the console read one batch; True when there was nothing left."""
        items, token = self.watch.take(most)
        batch = api.WatchPresenceResponse.Batch.FromString(b"".join(items))
        if token and not self.is_complete:
            batch.snapshot_complete = self.is_complete = True
        self.state.apply(api.WatchPresenceResponse(batch=batch, resume_token=token))
        return bool(token)

    def step(self, step: tuple) -> None:
        match step:
            case ("put", user, user_id, number):
                answer = Answer(presence(number), None) if user_id else None
                resolution = Resolution(user_id or None, None if user_id else Status.NOT_FOUND)
                for name in self.known:  # one user has one answer, whatever the name
                    if user_id and self.known[name][0].user_id == user_id:
                        self.known[name] = resolution, answer
                        self.answers.put(name, resolution, answer)
                self.known[f"{user}@x.org"] = resolution, answer
                self.answers.put(f"{user}@x.org", resolution, answer)
            case ("read", most):
                self.read(most)
            case ("watch", name):
                new, _ = self.state.subscribe([name])
                self.watch.changes_seen += bool(new)
                self.watch.subscribe([name] if new else [])
            case ("leave", name):
                gone = self.state.unsubscribe([name])
                self.watch.unsubscribe([name] if gone else [])
            case ("resume", is_read):
                if is_read:
                    self.read(1)
                self.connect()
            case ("hide", is_hidden):
                self.answers.trust(Status.NONE, is_hidden=is_hidden)
            case ("renew",):
                self.known.clear()
                find = self.answers.find
                self.answers.renew()
                self.answers.find = find
                self.answers.trust(Status.NONE, is_hidden=False)
                self.connect()
            case ("sweep",):
                self.answers.sweep(0.0)


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_a_console_ends_with_the_newest_answers_however_it_reads_resumes_and_changes_its_mind(steps: list[tuple]):
    schedule = Schedule()
    for step in steps:
        schedule.step(step)
    schedule.connect()  # the client asks anew for names that left and came back
    while not schedule.read(1):
        pass
    for name in schedule.state.names:
        resolution, answer = schedule.answers.shown(key_of(name))
        seen, told = schedule.state.find(name)
        assert seen == resolution
        if resolution.user_id is not None:
            assert told == (answer or Answer(None, Status.PENDING))
    schedule.open.close()
    schedule.answers.sweep(0.0)
    assert len(schedule.answers) == 0
