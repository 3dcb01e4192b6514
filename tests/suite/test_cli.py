"""`presence-suite` as people and scripts meet it: through its process, and through typer's runner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys

import grpc
import pytest
import trustme
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite.cli import app

Response = api.WatchPresenceResponse
KEY = "psk_1f2e3d4c_secret"
PATIENCE_S = 30


@pytest.fixture
def files(tmp_path, ca_pem):
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(ca_pem)
    (tmp_path / "users").write_text("# colleagues\n\nbob@x.org\r\n  ada@x.org\n")
    return tmp_path


class Command:
    """A running `presence-suite watch`."""

    def __init__(self, process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self, containing: str) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while raw := await self.process.stdout.readline():
                self.lines.append(raw.decode().rstrip("\n"))
                if containing in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"no {containing!r} in {self.lines}, {await self.errors()}")

    async def errors(self) -> str:
        return (await asyncio.wait_for(self.process.stderr.read(), PATIENCE_S)).decode()

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)


@pytest.fixture
async def command(relay, files):
    async with contextlib.AsyncExitStack() as stack:

        async def start(*arguments: str) -> Command:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "suite.cli", "watch", "--address", f"localhost:{relay.port}"),
                *("--key-file", str(files / "key"), "--ca-file", str(files / "ca.pem"), *arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(_end, process)
            return Command(process)

        yield start


async def _end(process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


def busy() -> pb.UserAnswer:
    presence = pb.UserPresence(
        upn="Ada@x.org",
        availability=pb.AVAILABILITY_BUSY,
        raw_availability="Busy",
        raw_activity="InA\x1b[2JCall",
        console_status=pb.CONSOLE_STATUS_IN_A_CALL,
        idle=True,
        idle_time=Timestamp(seconds=1_700_000_000),
        observe_time=Timestamp(seconds=1_700_000_000),
        source=pb.PRESENCE_SOURCE_POLL,
    )
    return pb.UserAnswer(user_id="A", presence=presence)


def send_all(stream) -> None:
    stream.started()
    stream.send(tenant_status=Response.TenantStatus(poll_interval=Duration(seconds=5)))
    resolved = [
        pb.ResolvedName(user="ada@x.org", user_id="A"),
        pb.ResolvedName(user="no@x.org", unknown_reason=pb.UNKNOWN_REASON_NOT_FOUND),
    ]
    stream.send(batch=Response.Batch(resolved=resolved, answers=[busy()], snapshot_complete=True))
    stream.send(progress=Response.Progress(contact_time=Timestamp(seconds=1_700_000_001)))


async def test_once_ends_when_every_user_has_an_answer(relay, command):
    suite = await command("ada@x.org", "no@x.org", "--json", "--once")
    stream = await relay.stream()
    stream.started()
    pending = pb.UserAnswer(user_id="A", unknown_reason=pb.UNKNOWN_REASON_PENDING)
    resolved = [
        pb.ResolvedName(user="ada@x.org", user_id="A"),
        pb.ResolvedName(user="no@x.org", unknown_reason=pb.UNKNOWN_REASON_NOT_FOUND),
    ]
    stream.send(batch=Response.Batch(resolved=resolved, answers=[pending], snapshot_complete=True))
    await suite.line("snapshot_complete")
    assert suite.process.returncode is None
    stream.send(batch=Response.Batch(answers=[busy()]))
    assert await suite.exit_code() == 0


async def test_once_prints_an_answer_that_comes_together_with_its_name(relay, command):
    suite = await command("ada@x.org", "--json", "--once")
    stream = await relay.stream()
    stream.started()
    resolved = [pb.ResolvedName(user="ada@x.org", user_id="A")]
    stream.send(batch=Response.Batch(resolved=resolved, answers=[busy()], snapshot_complete=True))
    assert await suite.exit_code() == 0
    await suite.line("snapshot_complete")
    assert [json.loads(line)["event"] for line in suite.lines][-3:] == ["resolved", "changed", "snapshot_complete"]


async def test_json_gives_one_object_for_each_event(relay, command):
    suite = await command("ada@x.org", "no@x.org", "--json")
    send_all(await relay.stream())
    await suite.line('"progress"')
    events = [json.loads(line) for line in suite.lines]
    kinds = ["connected", "tenant_status", "resolved", "resolved", "changed", "snapshot_complete", "progress"]
    assert [event["event"] for event in events] == kinds
    assert events[0]["outcome"] == "snapshot"
    assert events[1]["poll_interval"] == 5.0
    assert events[3] | {"time": ""} == {
        "event": "resolved",
        "time": "",
        "name": "no@x.org",
        "user_id": None,
        "status": "not_found",
    }
    changed = events[4]
    assert (changed["user_id"], changed["names"], changed["status"]) == ("A", ["ada@x.org"], None)
    assert changed["presence"]["console_status"] == "in_a_call"
    assert changed["presence"]["idle_time"] == "2023-11-14T22:13:20+00:00"
    assert changed["presence"]["raw_activity"] == "InA\x1b[2JCall"


async def test_without_a_terminal_it_writes_plain_lines(relay, command):
    suite = await command("ada@x.org", "no@x.org")
    send_all(await relay.stream())
    assert "no such user" in await suite.line("no@x.org")
    changed = await suite.line("ada@x.org")
    assert "in a call  (Busy/InA·[2JCall)  idle since" in changed
    await suite.line("everything has been answered")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_being_told_to_stop_is_no_error(relay, command, number):
    suite = await command("ada@x.org")
    stream = await relay.stream()
    stream.started()
    await suite.line("connected")
    suite.process.send_signal(number)
    assert await suite.exit_code() == 0
    assert await suite.errors() == ""


async def test_a_reader_of_its_lines_that_leaves_is_no_error(relay, command):
    suite = await command("ada@x.org", "--json")
    stream = await relay.stream()
    stream.started()
    await suite.line("connected")
    suite.process._transport.get_pipe_transport(1).close()
    for _ in range(5):
        stream.send(progress=Response.Progress())
    assert await suite.exit_code() == 0
    assert await suite.errors() == ""


async def test_a_refusal_ends_it_with_three_and_plain_words(relay, command):
    suite = await command("ada@x.org")
    (await relay.stream()).fail(grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_SUITE_KEY_REVOKED", key_id="1f2e3d4c")
    assert await suite.exit_code() == 3
    errors = await suite.errors()
    assert errors == "This suite key was revoked. Create a new one on the relay's onboarding page. (Key id 1f2e3d4c.)\n"


async def test_a_relay_that_is_away_is_explained_without_noise_and_found_again(relay, command, cert):
    port = relay.port
    await relay.kill()
    suite = await command("ada@x.org")
    assert "Nothing listens at" in await suite.line("disconnected")
    await relay.listen(cert, port)
    (await relay.stream()).started()
    await suite.line("connected (snapshot)")
    suite.process.send_signal(signal.SIGINT)
    assert await suite.exit_code() == 0
    assert await suite.errors() == ""


@pytest.mark.long
async def test_grpcs_own_log_stays_off_the_screen(command, files):
    (files / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    suite = await command("ada@x.org")
    assert "--ca-file" in await suite.line("disconnected")
    suite.process.send_signal(signal.SIGINT)
    assert await suite.exit_code() == 0
    assert await suite.errors() == ""


async def test_users_come_from_a_file_too_and_a_loose_key_file_is_warned_of(relay, command, files):
    (files / "key").chmod(0o644)
    suite = await command("ada@x.org", "--users-file", str(files / "users"), "--form", "stream")
    stream = await relay.stream()
    assert stream.asked == ["ada@x.org", "bob@x.org"]
    suite.process.send_signal(signal.SIGINT)
    await suite.exit_code()
    assert "chmod 600" in await suite.errors()


async def test_on_a_terminal_it_draws_a_table(relay, files):
    import pty

    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "suite.cli", "watch", "ada@x.org", "no@x.org", "--address", f"localhost:{relay.port}"),
        *("--key-file", str(files / "key"), "--ca-file", str(files / "ca.pem")),
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "160", "LINES": "30", "TERM": "xterm-256color"},
    )
    os.close(theirs)
    try:
        send_all(await relay.stream())
        screen = await _screen(ours, until="no such user in the organisation")
        assert "☎ in a call" in screen
        assert "organisation: readable" in screen
        process.send_signal(signal.SIGINT)
        rest = asyncio.create_task(_screen(ours, until=None))
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
        assert "Traceback" not in await rest
        assert "\x1b[2JCall" not in screen
    finally:
        await _end(process)
        os.close(ours)


async def _screen(descriptor: int, until: str | None) -> str:
    """What was drawn, until the words came or the other end was closed."""
    loop, seen = asyncio.get_running_loop(), ""
    async with asyncio.timeout(PATIENCE_S):
        while until is None or until not in seen:
            try:
                data = await loop.run_in_executor(None, os.read, descriptor, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not data:
                break
            seen += data.decode(errors="replace")
    return seen


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--address", "h:1"], "Name at least one user"),
        (["a@x.org", "--address", "https://h"], "host:port"),
        (["a@x.org", "--address", "h:1", "--key-file", "nowhere"], "key file nowhere cannot be read"),
        (["a@x.org", "--address", "h:1", "--key-file", "ca.pem"], "This is not a suite key"),
        (["a@x.org", "--address", "h:1", "--ca-file", "key"], "holds no certificate"),
        (["a@x.org", "--address", "h:1", "--proxy", "socks5://p"], "not supported"),
        (["--address", "h:1", "--users-file", "binary"], "not text"),
        (["--address", "h:1", "--users-file", "many"], "100,000"),
    ],
)
def test_wrong_usage_ends_with_two_and_one_plain_line(files, monkeypatch, arguments, words):
    monkeypatch.chdir(files)
    (files / "binary").write_bytes(b"\xff\xfe\x00")
    (files / "many").write_text("\n".join(f"u{n}@x.org" for n in range(100_001)))
    monkeypatch.setenv("PRESENCE_SUITE_KEY_FILE", "key")
    outcome = CliRunner().invoke(app, ["watch", *arguments])
    assert outcome.exit_code == 2
    assert words in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert outcome.stdout == ""
