"""The log file: bounded, for the agent's account only, and never the end of the agent."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.agent import logs
from suite.agent.logs import LINE_CHARS, BoundedLog, begin_logging
from suite.agent.settings.groups.log import LogSettings
from suite.agent.settings.load import load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log" / "agent.log"


@pytest.fixture
def handler(file: Path) -> Iterator[BoundedLog]:
    made = BoundedLog(file, 1000, 2)
    made.setFormatter(logging.Formatter("%(message)s"))
    yield made
    made.close()


def told(handler: logging.Handler, text: str) -> None:
    handler.handle(logging.LogRecord("suite", logging.INFO, "", 1, text, (), None))


def kept(file: Path) -> dict[str, list[str]]:
    """Name -> the numbers of its entries, for each log file."""
    return {path.name: re.findall(r"entry (\d+)", path.read_text()) for path in sorted(file.parent.iterdir())}


def test_a_full_file_is_set_aside_and_the_oldest_goes(file: Path, handler: BoundedLog):
    for number in range(400, 440):
        told(handler, f"entry {number} {'.' * 90}")
    assert sorted(kept(file)) == ["agent.log", "agent.log.1", "agent.log.2"]
    files = kept(file)
    newest = files["agent.log.2"] + files["agent.log.1"] + files["agent.log"]
    assert newest == [str(number) for number in range(440 - len(newest), 440)]
    assert len(newest) > 20


@given(st.lists(st.integers(0, 3000), max_size=60))
def test_whatever_is_logged_the_files_stay_within_their_bound(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
):
    folder = tmp_path_factory.mktemp("log")
    handler = BoundedLog(folder / "agent.log", 6100, 2)
    try:
        for size in sizes:
            told(handler, "ü" * size)
    finally:
        handler.close()
    written = [path.stat().st_size for path in folder.iterdir()]
    assert len(written) <= 3
    assert max(written) <= 6100
    assert sum(written) == sum(2 * size + 1 for size in sizes) or len(written) == 3
    shutil.rmtree(folder)


def test_only_the_agents_account_can_read_any_of_them(file: Path):
    before = os.umask(0)
    try:
        handler = BoundedLog(file, 1000, 2)
        for _ in range(30):
            told(handler, "." * 100)
        handler.close()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in file.parent.iterdir()] == [0o600] * 3


def test_a_file_that_cannot_be_renamed_is_copied_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on Windows, where somebody has it open: here Python's own `replace` is made to refuse."""

    def refuse(_self: Path, _target: Path) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    (source := tmp_path / "agent.log").write_text("entry 1\n")
    (target := tmp_path / "agent.log.1").write_text("entry 0\n" * 100)
    monkeypatch.setattr(Path, "replace", refuse)
    logs._move(source, target)
    assert (source.read_text(), target.read_text()) == ("", "entry 1\n")


def test_a_file_that_somebody_moved_or_removed_is_made_anew(file: Path, handler: BoundedLog):
    told(handler, "entry 1")
    file.rename(file.with_name("kept"))
    told(handler, "entry 2")
    file.unlink()
    told(handler, "entry 3")
    assert kept(file) == {"agent.log": ["3"], "kept": ["1"]}
    shutil.rmtree(file.parent)
    told(handler, "entry 4")
    assert (kept(file), file.stat().st_mode & 0o777) == ({"agent.log": ["4"]}, 0o600)


def test_a_long_entry_and_one_that_is_no_unicode_are_written(file: Path, handler: BoundedLog):
    told(handler, "x" * 100_000)
    told(handler, "half a pair: \ud800")
    handler.close()
    assert (file.parent / "agent.log.1").read_text() == "x" * LINE_CHARS + "…\n"
    assert file.read_text() == "half a pair: \\ud800\n"


def test_a_full_disk_is_told_once_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    file = tmp_path / "agent"
    handler = BoundedLog(file, 1000, 2)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for _ in range(2):
        handler._close_stream()
        file.unlink()
        file.symlink_to("/dev/full")
        for _ in range(3):
            told(handler, "lost")
        said = capfd.readouterr().err
        assert (said.count("cannot be written"), "No space left" in said, "Traceback" in said) == (1, True, False)
        file.unlink()
        told(handler, "after")
        assert file.read_text() == "after\n"
    handler.close()


def test_settings_choose_the_file_and_one_that_cannot_be_opened_leaves_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (settings := tmp_path / "Presence.ini").write_text(
        "[Agent]\nLogFile = log/agent.log\nLogMegabytes = 3\nLogFiles=7\n"
    )
    loaded = load(settings).settings
    assert loaded is not None
    assert loaded.log == LogSettings(file=tmp_path / "log" / "agent.log", megabytes=3, files=7)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    begin_logging(loaded.log)
    logging.getLogger("suite.agent").info("serving")
    logging.getLogger("httpx").info("HTTP Request: GET https://hub/v1/notes/versions")
    logging.shutdown()
    written = (tmp_path / "log" / "agent.log").read_text()
    assert ("INFO suite.agent serving" in written, "HTTP Request" in written) == (True, False)
    assert not logs.logs_to_standard_error()

    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    begin_logging(LogSettings(file=settings / "agent.log"))
    assert "cannot be opened" in capfd.readouterr().err
    assert logs.logs_to_standard_error()
