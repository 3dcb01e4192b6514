"""Recordings of terminals, and the one in the README."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from deploy.recording.drawing import Scene, draw
from deploy.recording.terminal import Frame, Run, Terminal, TerminalTrouble, shortened
from tests.support.waiting import eventually_in_thread

MINUTE = Path(__file__).resolve().parents[1] / "docs" / "first-minute.svg"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
SVG = "{http://www.w3.org/2000/svg}"


def is_at_work(process: int) -> bool:
    """Whether a process runs; one that only its parent has not taken note of does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def frame(at_s: float, *rows: str) -> Frame:
    return Frame(at_s, tuple((Run(0, row),) if row else () for row in rows))


def texts(svg: str) -> list[tuple[str, bool]]:
    """The texts of a drawing, and whether each is hidden from people who ask for less motion."""
    root = ET.fromstring(svg)
    return [("".join(text.itertext()), text.attrib["class"].endswith(" h")) for text in root.iter(f"{SVG}text")]


def test_a_terminal_keeps_what_was_typed_and_how_the_answer_looked(tmp_path: Path):
    with Terminal(tmp_path, ENVIRONMENT) as terminal:
        terminal.type(r"printf '\e[2mfaint\e[0m \e[38;5;2mgreen\e[0m \e[1mbold\e[0m\n'; echo en''d")
        terminal.watch_until("\nend", 20)
    [row] = [row for row in terminal.frames[-1].rows if row and row[0].text.startswith("faint")]
    assert [(run.text.strip(), run.colour, run.is_bold) for run in row] == [
        ("faint", "dim", False),
        ("green", "00cd00", False),
        ("bold", "default", True),
    ]


def test_a_terminal_says_what_it_shows_instead_of_what_was_waited_for(tmp_path: Path):
    with Terminal(tmp_path, ENVIRONMENT) as terminal:
        terminal.type("echo so''mething else")
        terminal.watch_until("something else", 20)
        with pytest.raises(TerminalTrouble, match="something else"):
            terminal.watch_until("never shown", 0)


@pytest.mark.long
def test_the_program_in_front_ends_with_its_terminal(tmp_path: Path):
    with Terminal(tmp_path, ENVIRONMENT) as terminal:
        terminal.type("echo $$ > shell; sleep 600 & echo $! > sleeper; fg")
        terminal.watch_until("sleep 600\n", 20)
        shell, sleeper = (int((tmp_path / name).read_text()) for name in ("shell", "sleeper"))
    eventually_in_thread(lambda: not is_at_work(shell) and not is_at_work(sleeper))


def test_pauses_are_cut_and_everything_keeps_its_order():
    frames = shortened([frame(0, "a"), frame(100, "b"), frame(100.5, "c"), frame(300, "d")], 2)
    assert [each.at_s for each in frames] == [0, 2, 2.5, 4.5]


def test_a_row_that_stays_is_drawn_once():
    scene = Scene("a terminal", [frame(0, "stays", "one"), frame(1, "stays", "two"), frame(2, "stays", "one")], 3)
    assert sorted(texts(draw([scene], "label"))) == [
        ("a terminal", False),
        ("one", False),
        ("stays", False),
        ("two", True),
    ]


def test_people_who_ask_for_less_motion_see_the_last_frame_of_the_last_scene():
    scenes = [
        Scene("first", [frame(0, "early")], 1),
        Scene("second", [frame(5, "before"), frame(6, "late & <last>")], 2),
    ]
    svg = draw(scenes, 'a "label"')
    assert [text for text, is_hidden in texts(svg) if not is_hidden] == ["second", "late & <last>"]
    assert "prefers-reduced-motion:no-preference" in svg


def test_the_recording_of_the_readme_shows_its_two_commands_and_nothing_of_the_machine_it_was_made_on():
    shown = [text for text, _ in texts(MINUTE.read_text())]
    assert any("make run" in text for text in shown)
    assert any("presence-suite watch" in text for text in shown)
    assert not [text for text in shown if re.search("[0-9a-f]{20}", text)], "no token"
    assert not [text for text in shown if re.search(r"/(tmp|home|root|work|usr|opt)/|Traceback|Error", text)]
