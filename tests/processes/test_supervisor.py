"""Processes that are kept running: small programs here, whole edges in `test_edges`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relay.processes import supervisor as module
from relay.processes.ops_port import SupervisorOps
from relay.processes.restarts import MOST_SHORT_RUNS
from relay.processes.supervisor import ProcessesFailed, Supervisor
from tests.support.waiting import eventually

WELL = """
import os, socket, sys, threading
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[2])
server.listen()
def serve():
    while True:
        one, _ = server.accept()
        path = one.recv(1000).split()[1]
        if path == os.environb.get(b"SILENT_ON"):
            continue
        body = b"well 1\\n" if path == b"/metrics" else b"edge: ready\\n"
        one.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + body)
        one.close()
threading.Thread(target=serve, daemon=True).start()
while sys.stdin.read(1000):
    pass
"""
"""Answers on its ops socket until standard input ends."""


def program(source: str) -> Callable[[int, Path], Sequence[str]]:
    """The command of a program that is given its place and the path of its ops socket."""
    return lambda number, ops_socket: [sys.executable, "-S", "-E", "-c", source, str(number), str(ops_socket)]


@asynccontextmanager
async def running(
    source: str, count: int = 2, stop_within: timedelta = timedelta(seconds=20)
) -> AsyncIterator[tuple[Supervisor, asyncio.Task[None], asyncio.Event]]:
    """A supervisor at work, and what stops it."""
    supervisor = Supervisor(count, program(source), stop_within, first_pause=timedelta(milliseconds=10))
    stop = asyncio.Event()
    task = asyncio.create_task(supervisor.run(stop))
    try:
        yield supervisor, task, stop
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pid_of(supervisor: Supervisor, number: int) -> int:
    child = supervisor.children[number]
    assert child is not None
    return child.pid


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_all_are_ready_before_the_whole_is_and_stop_ends_all() -> None:
    async with running(WELL) as (supervisor, task, stop):
        answers = SupervisorOps(supervisor)
        assert await answers.readiness() == (False, "running: not ready\nprocess 1: starts\nprocess 2: starts\n")
        await eventually(lambda: supervisor.is_running)
        lines = "running: ready\nprocess 1 edge: ready\nprocess 2 edge: ready\n"
        assert await answers.readiness() == (True, lines)
        assert 'well{process="2"} 1.0\n' in (await answers.metrics()).decode()
        pids = [pid_of(supervisor, number) for number in (1, 2)]
        stop.set()
        await task
        assert not any(map(is_alive, pids))
        assert not (await answers.readiness())[0]


async def test_a_killed_process_is_started_again_while_the_other_serves_on() -> None:
    async with running(WELL) as (supervisor, task, stop):
        answers = SupervisorOps(supervisor)
        await eventually(lambda: supervisor.is_running)
        other = pid_of(supervisor, 2)
        with capture_logs() as logs:
            os.kill(pid_of(supervisor, 1), signal.SIGKILL)
            await eventually(lambda: supervisor.starts[1] == 2)
        assert (await answers.readiness())[0], "the other one serves"
        (line,) = [line for line in logs if line["event"] == "process_ended"]
        assert (line["process"], line["how"]) == (1, "signal SIGKILL")

        async def is_up_again() -> bool:
            return "process 1 edge: ready" in (await answers.readiness())[1]

        await eventually(is_up_again)
        assert pid_of(supervisor, 2) == other
        metrics = (await answers.metrics()).decode()
        assert 'relay_process_starts_total{process="1"} 2.0' in metrics
        assert 'relay_process_up{process="1"} 1.0' in metrics
        stop.set()
        await task


async def test_a_process_that_listens_and_does_not_answer_makes_the_whole_not_ready() -> None:
    async with running(WELL) as (supervisor, _, _):
        answers = SupervisorOps(supervisor)
        await eventually(lambda: supervisor.is_running)
        os.kill(pid_of(supervisor, 1), signal.SIGSTOP)

        async def is_found() -> bool:
            is_ready, report = await answers.readiness()
            return not is_ready and "process 1: not ready: it does not answer\n" in report

        await eventually(is_found)


async def test_a_process_that_hangs_is_killed_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIVE_LOOK_S", 0.01)
    monkeypatch.setenv("SILENT_ON", "/livez")
    monkeypatch.setattr(module, "_MOST_SILENT_LOOKS", 1)
    monkeypatch.setattr("relay.processes.child.ASK_S", 0.2)
    async with running(WELL, count=1) as (supervisor, _, _):
        await eventually(lambda: supervisor.starts[1] == 2)


async def test_a_process_that_ends_again_and_again_ends_the_whole_with_a_clear_error(tmp_path: Path) -> None:
    once = f"""
import os, sys
mark = {str(tmp_path)!r} + "/" + sys.argv[1]
if sys.argv[1] == "1" and os.path.exists(mark):
    sys.exit(7)
open(mark, "w").close()
{WELL}"""
    async with running(once) as (supervisor, task, _):
        await eventually(lambda: supervisor.is_running)
        os.kill(pid_of(supervisor, 1), signal.SIGKILL)
        with pytest.raises(ProcessesFailed, match=r"Process 1 ended \d times, each within 60 s: exit code 7") as caught:
            await task
        assert caught.value.exit_code == 1
        assert supervisor.starts == {1: MOST_SHORT_RUNS, 2: 1}
        assert set(supervisor.children.values()) == {None}, "the other one was stopped too"


@pytest.mark.parametrize(("ending", "exit_code"), [("sys.exit(2)", 2), ("os.kill(os.getpid(), 9)", 1)])
async def test_a_process_that_ends_before_it_is_ready_ends_the_whole(ending: str, exit_code: int) -> None:
    """What is wrong at start, such as a certificate, is wrong for each of them."""
    bad = f"import os, sys\nif sys.argv[1] == '2': {ending}\n{WELL}"
    async with running(bad) as (supervisor, task, _):
        with pytest.raises(ProcessesFailed, match="Process 2 ended before it was ready") as caught:
            await task
        assert caught.value.exit_code == exit_code
        assert supervisor.starts == {1: 1, 2: 1}


async def test_a_process_that_does_not_stop_in_time_is_killed_and_said_so() -> None:
    stubborn = WELL + "\nimport time\ntime.sleep(600)"
    async with running(stubborn, count=1, stop_within=timedelta(milliseconds=100)) as (supervisor, task, stop):
        await eventually(lambda: supervisor.is_running)
        pid = pid_of(supervisor, 1)
        stop.set()
        with pytest.raises(ProcessesFailed, match="Process 1 did not stop cleanly: signal SIGKILL") as caught:
            await task
        assert caught.value.exit_code == 1
        assert not is_alive(pid)


async def test_a_stop_that_is_cut_short_leaves_no_process() -> None:
    async with running(WELL + "\nimport time\ntime.sleep(600)") as (supervisor, task, stop):
        await eventually(lambda: supervisor.is_running)
        pids = [pid_of(supervisor, number) for number in (1, 2)]
        stop.set()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not any(map(is_alive, pids))
