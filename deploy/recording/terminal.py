"""Commands in a pseudo-terminal, as frames: what the screen showed, and from when on."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLUMNS: Final = 118
ROWS: Final = 26
_QUIET_S: Final = 0.04
"""A program draws in several writes. A frame is taken when it has written nothing for this long."""
_LONGEST_S: Final = 0.2
_KEY_S: Final = 0.06
_BEFORE_ENTER_S: Final = 0.8
_END_S: Final = 15.0
_DIM: Final = "dim"


class TerminalTrouble(Exception):
    """A command did not show what it should have shown, or did not end."""


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one row that look the same.

    Attributes:
        column: of the first character, from 0.
        text: the characters.
        colour: a name of `pyte`'s, six hexadecimal digits, "dim" or "default".
        is_bold: whether they are bold.
        is_italic: whether they are italic.
    """

    column: int
    text: str
    colour: str = "default"
    is_bold: bool = False
    is_italic: bool = False


Row = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a screen showed.

    Attributes:
        at_s: seconds since the terminal was opened, by the monotonic clock.
        rows: one for each row of the screen; an empty one has no runs.
    """

    at_s: float
    rows: tuple[Row, ...]


class Terminal:
    """A shell in a pseudo-terminal, as a context manager. What it shows is in `frames`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.frames: list[Frame] = []
        self._screen = _Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._began = time.monotonic()
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        size = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color", "PS1": "$ ", "COLORTERM": ""}
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environment, **size, "BASH_SILENCE_DEPRECATION_WARNING": "1", "HISTFILE": ""},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        self.watch(0.5)
        return self

    def __exit__(self, *_exc: object) -> None:
        """End the program in front and then the shell."""
        for keys in (b"\x03", b"\x04"):
            os.write(self._ours, keys)
            deadline = time.monotonic() + _END_S / 2
            while self._shell.poll() is None and time.monotonic() < deadline and not self._shows_prompt():
                self._take(0.1)
        if self._shell.poll() is None:
            os.killpg(self._shell.pid, signal.SIGHUP)
            self._shell.wait(_END_S)
        os.close(self._ours)

    @property
    def rows(self) -> list[str]:
        """What the screen shows now, by row, each as wide as the screen."""
        return list(self._screen.display)

    @property
    def text(self) -> str:
        """What the screen shows now."""
        return "\n".join(line.rstrip() for line in self.rows)

    def type(self, command: str) -> None:
        """Type a command as a person does, key by key, and press Enter."""
        for key in command:
            os.write(self._ours, key.encode())
            self._take(_KEY_S)
        self.press_enter()

    def paste(self, command: str) -> None:
        """Paste a command, and press Enter."""
        os.write(self._ours, command.encode())
        self.press_enter()

    def press_enter(self) -> None:
        """Press Enter, a moment after what was typed."""
        self.watch(_BEFORE_ENTER_S)
        os.write(self._ours, b"\r")

    def watch(self, seconds: float) -> None:
        """Take frames for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._take(left)

    def watch_until(self, words: str, limit_s: float) -> None:
        """Take frames until the screen shows these words.

        Raises:
            TerminalTrouble: it did not within `limit_s` seconds; has what it shows.
        """
        deadline = time.monotonic() + limit_s
        while words not in self.text:
            if time.monotonic() > deadline:
                raise TerminalTrouble(f"The screen did not show {words!r} within {limit_s:g} s. It shows:\n{self.text}")
            self._take(1.0)

    def _take(self, limit_s: float) -> None:
        """Read what is written within the limit, and keep a frame if the screen differs from the last one."""
        began, wait = None, limit_s
        while select.select([self._ours], [], [], wait)[0]:
            try:
                written = os.read(self._ours, 65_536)
            except OSError:  # the shell has ended: Linux says EIO
                return
            if not written:
                return
            self._stream.feed(written)
            began = began or time.monotonic()
            if time.monotonic() - began > _LONGEST_S:
                break
            wait = _QUIET_S
        rows = tuple(_runs(self._screen.buffer[number]) for number in range(ROWS))
        if not self.frames or self.frames[-1].rows != rows:
            self.frames.append(Frame(time.monotonic() - self._began, rows))

    def _shows_prompt(self) -> bool:
        return self._screen.display[self._screen.cursor.y].rstrip() == "$"


class _Screen(pyte.Screen):
    """A screen that also knows faint characters, which `pyte` leaves out."""

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        """Set how the next characters look. What only some terminals know changes nothing."""
        if private:
            return
        rest, is_faint, numbers = [], False, iter(attrs)
        for number in numbers:
            if number == 2:
                is_faint = True
                continue
            rest.append(number)
            if number in {38, 48}:  # a colour follows, whose numbers mean no attributes
                kind = next(numbers, 5)
                rest += [kind, *(next(numbers, 0) for _ in range(1 if kind == 5 else 3))]
        if rest or not attrs:
            super().select_graphic_rendition(*rest)
        if is_faint and self.cursor.attrs.fg == "default":
            self.cursor.attrs = self.cursor.attrs._replace(fg=_DIM)


def _runs(line: Mapping[int, Any]) -> Row:
    """Return a row's characters, put together where they look the same; blanks at its end are left out."""
    runs: list[Run] = []
    cells = [line[column] for column in range(COLUMNS)]
    while cells and cells[-1].data.strip() == "":
        cells.pop()
    for column, cell in enumerate(cells):
        looks = (cell.fg, cell.bold, cell.italics)
        last = runs[-1] if runs else None
        if last is not None and (last.colour, last.is_bold, last.is_italic) == looks:
            runs[-1] = Run(last.column, last.text + cell.data, *looks)
        else:
            runs.append(Run(column, cell.data, *looks))
    return tuple(run for run in runs if run.text.strip())


def _take_terminal() -> None:
    signal.signal(
        signal.SIGHUP, signal.SIG_DFL
    )  # `nohup` has it ignored, and then nothing here would end with its terminal
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def shortened(frames: Sequence[Frame], longest_s: float) -> list[Frame]:
    """Return the same frames with pauses of at most `longest_s` seconds between them."""
    shorter: list[Frame] = []
    cut = 0.0
    for number, frame in enumerate(frames):
        pause = frame.at_s - frames[number - 1].at_s if number else 0.0
        cut += max(pause - longest_s, 0.0)
        shorter.append(Frame(frame.at_s - cut, frame.rows))
    return shorter
