"""What differs on Windows. Branches of Windows run here as far as they are Python's own: signals by `signal`, tries while a file is in use."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from suite import system

SUITE = Path(system.__file__).parent
_ON_STOP = """
import asyncio, signal
from suite import system
async def main():
    stopped = asyncio.Event()
    {arranged}
    print("ready", flush=True)
    await asyncio.wait_for(stopped.wait(), 60)
asyncio.run(main())
print("in order")
"""
_HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", "PRAGMA user_version = 1", "COMMIT"):
    held.execute(line)
print("ready", flush=True)
sys.stdin.read()
"""
STORE_LOCK = 0x40000002, 510


@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o620, True), (0o666, True)]
)
def test_a_file_is_open_when_its_mode_lets_others_in(tmp_path: Path, mode: int, is_open: bool):
    (file := tmp_path / "suite.key").touch()
    file.chmod(mode)
    assert system.is_open_to_others(file) is is_open


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_the_group_of_somebody_elses_file_is_the_reader_and_no_other(tmp_path: Path):
    (file := tmp_path / "suite.key").touch()
    os.chown(file, 12345, -1)
    for mode, is_open in ((0o640, False), (0o644, True)):
        file.chmod(mode)
        assert system.is_open_to_others(file) is is_open


def test_a_private_file_is_the_accounts_only_whatever_the_umask_and_one_that_is_there_stays(tmp_path: Path):
    before = os.umask(0)
    try:
        system.make_private(tmp_path / "agent.db")
    finally:
        os.umask(before)
    assert (tmp_path / "agent.db").stat().st_mode & 0o777 == 0o600
    (there := tmp_path / "there").write_text("kept")
    there.chmod(0o640)
    system.make_private(there)
    assert (there.read_text(), there.stat().st_mode & 0o777) == ("kept", 0o640)
    with pytest.raises(FileNotFoundError):
        system.make_private(tmp_path / "missing" / "agent.db")


@pytest.mark.parametrize(
    "arranged", ["system.on_stop(stopped.set)", "system.call_on_signals((signal.{name},), stopped.set)"]
)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_program_that_is_asked_to_end_ends_in_order(arranged: str, name: str):
    code = _ON_STOP.format(arranged=arranged.format(name=name))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.Signals[name])
        assert (program.stdout.read(), program.wait(60)) == ("in order\n", 0)


@pytest.mark.parametrize(("fails", "is_done"), [(0, True), (19, True), (20, False)])
def test_a_file_in_use_is_tried_twenty_times(fails: int, is_done: bool):
    tries, waited = [], []

    def action() -> None:
        tries.append(1)
        if len(tries) <= fails:
            raise PermissionError("in use")

    if is_done:
        system.tried_again(action, waited.append)
    else:
        with pytest.raises(PermissionError):
            system.tried_again(action, waited.append)
    assert (len(tries), len(waited)) == (min(fails + 1, 20), min(fails, 19))


def test_what_waiting_does_not_mend_is_not_tried_again(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        system.tried_again(lambda: (tmp_path / "missing").replace(tmp_path / "there"), lambda _: pytest.fail("waited"))


def test_a_store_that_another_process_has_open_is_seen_and_one_that_nobody_has_is_not(tmp_path: Path):
    file = tmp_path / "agent.db"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        before = sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.iterdir())
        assert system.is_locked_by_another(file, *STORE_LOCK)
        assert sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.iterdir()) == before
        holder.communicate()
    assert not system.is_locked_by_another(file, *STORE_LOCK)


def test_a_credential_is_a_file_that_the_service_manager_hands_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (folder := tmp_path / "given").mkdir()
    (folder / "suite.key").touch()
    (tmp_path / "other").touch()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert system.credential("suite.key") is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert system.credential("suite.key") == folder / "suite.key"
    for name in ("", ".", "..", "../other", "other", str(tmp_path / "other"), "a\0b", "a\\b"):
        assert system.credential(name) is None


@pytest.mark.long
def test_no_other_module_asks_which_system_it_runs_on():
    asked = {
        "sys.platform",
        "os.name",
        "platform.system",
        "os.getuid",
        "os.O_NONBLOCK",
        "signal.signal",
        "loop.add_signal_handler",
    }
    only_here = {"fcntl", "msvcrt", "winreg", "ctypes"}
    found = []
    for path in sorted(SUITE.rglob("*.py")):
        if path.name in ("system.py", "windows_rights.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in asked:
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
            if isinstance(node, ast.Import):
                found += [f"{path.name}:{node.lineno} {name.name}" for name in node.names if name.name in only_here]
    assert found == []
