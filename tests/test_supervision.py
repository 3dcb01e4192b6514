"""Tasks that a process lives by: what happens outside never ends one, a bug in one ends the process in order, with its name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relay import app, cli
from relay.edge.connected_suites import SuiteSweeper
from relay.edge.hub.hub import Hub
from relay.edge.hub.repair import Repair
from relay.edge.interest import LocalInterest
from relay.edge.watch_audit import WatchAudit
from relay.errors import Bug, LeaseLost, SourceUnreachable, StoreUnavailable
from relay.ops.expiry import Expiry
from relay.ops.supervision import TaskBroke, running, supervised
from relay.settings.roles import Role
from relay.store.server.health import StoreHealth
from tests.support.valkey import ValkeyServer
from tests.test_app import settings

pytestmark = pytest.mark.fault("V2", "V6")
SECRET = "hunter2"


def failing(*errors: Exception) -> Callable[[], asyncio.Future[None]]:
    """Work that fails like this, one after the other, and is then done."""
    left = list(errors)

    async def work() -> None:
        if left:
            raise left.pop(0)

    return work  # type: ignore[return-value]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("away"),
        SourceUnreachable("away"),
        LeaseLost("gone"),
        Bug("The store refused X (WRONGTYPE)"),
        ConnectionResetError("reset"),
        TimeoutError(),
        ExceptionGroup("several", [StoreUnavailable("away"), ExceptionGroup("more", [LeaseLost("gone")])]),
    ],
)
async def test_what_happens_outside_is_told_and_the_task_begins_again(error: Exception) -> None:
    with capture_logs() as logs:
        await supervised("work", failing(error, error), pause_s=0)
    assert [(line["event"], line["task"]) for line in logs] == [("task_restarted", "work")] * 2


@pytest.mark.parametrize(
    "error", [KeyError(SECRET), RuntimeError(SECRET), ExceptionGroup("several", [LeaseLost("gone"), KeyError(SECRET)])]
)
async def test_a_bug_ends_the_task_with_one_line_that_has_its_name_and_no_secret(error: Exception) -> None:
    with capture_logs() as logs, pytest.raises(TaskBroke, match="work") as caught:
        await supervised("work", failing(error), pause_s=0)
    (line,) = logs
    assert (line["event"], line["task"]) == ("task_crashed", "work")
    assert line["place"].split()[0] in ("KeyError", "RuntimeError")
    assert SECRET not in f"{line}{caught.value}"


async def test_a_bug_in_a_task_of_a_task_is_told_once_under_the_inner_name() -> None:
    async def outer() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervised("inner", failing(KeyError("x"))))

    with capture_logs() as logs, pytest.raises(TaskBroke) as caught:
        await supervised("outer", outer)
    assert (caught.value.task, len(logs)) == ("inner", 1)


async def test_a_bug_cancels_the_body_which_ends_in_order() -> None:
    steps: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("the other task is cancelled")

    async def live() -> None:
        async with running({"work": failing(KeyError("x")), "other": forever}):
            try:
                await asyncio.Event().wait()
            finally:
                steps.append("the body ends")

    with pytest.raises(TaskBroke, match="work"):
        await live()
    assert sorted(steps) == ["the body ends", "the other task is cancelled"]


async def test_an_error_of_the_body_is_raised_as_it_is_and_tasks_end_with_it() -> None:
    with pytest.raises(OSError, match="taken"):
        async with running({"other": asyncio.Event().wait}):
            raise OSError("taken")
    async with running({"other": asyncio.Event().wait}):
        pass
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "other"]


@pytest.mark.parametrize(
    ("owner", "loop", "task"),
    [
        (Hub, "_read", "hub-read"),
        (Repair, "run", "hub-check"),
        (Hub, "_sweep", "hub-sweep"),
        (LocalInterest, "run", "edge-interest"),
        (WatchAudit, "run", "edge-watch-audit"),
        (SuiteSweeper, "run", "edge-suites"),
        (StoreHealth, "run", "store-health"),
        (Expiry, "run", "expiry"),
    ],
)
async def test_a_bug_in_a_long_lived_task_ends_the_process_in_order_with_the_name_of_the_task(
    owner: type, loop: str, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.Event()

    async def broken(_owner: object) -> None:
        await begin.wait()
        raise KeyError(SECRET)

    monkeypatch.setattr(owner, loop, broken)
    broke = pytest.raises(TaskBroke, match=rf"{task}: KeyError in test_supervision\.py")
    with ValkeyServer(tmp_path) as server, capture_logs() as logs, broke:
        async with asyncio.timeout(20):
            await app.run(settings(server.port), [Role.EDGE], asyncio.Event(), lambda _running: begin.set())
    assert [line["task"] for line in logs if line["event"] == "task_crashed"] == [task]
    assert SECRET not in str(logs)


def test_the_operator_is_told_of_a_bug_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise TaskBroke("hub-sweep", "KeyError in hub.py, line 7")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "presence-relay has a bug (KeyError in hub.py, line 7, task hub-sweep). Report it.\n"
    )


@pytest.mark.fault("V9")
async def test_a_task_that_is_cancelled_ends_though_something_of_it_fails_while_it_ends() -> None:
    """The group raises only the failure then, as if the cancellation had never been."""
    began = asyncio.Event()
    runs: list[int] = []

    async def part() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            raise StoreUnavailable("gone")

    async def work() -> None:
        runs.append(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(part())
            await asyncio.Event().wait()

    task = asyncio.create_task(supervised("work", work, pause_s=0))
    await began.wait()
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    was_over = task.done()
    task.cancel()
    assert was_over
    assert len(runs) == 1
