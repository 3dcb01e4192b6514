"""The newcomer's first minute, recorded: the two commands of the README, in a fresh clone of this checkout.

    python -m deploy.recording.minute [SVG]

Pauses of the installation are cut; the rest is as it was. Ends all that it starts.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.recording.drawing import Scene, draw
from deploy.recording.terminal import Frame, Terminal, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT: Final = Path(__file__).resolve().parents[2]
_SVG: Final = _ROOT / "docs" / "first-minute.svg"
_INSTALL_LIMIT_S: Final = 900.0
_WATCH_S: Final = 62.0
_LONGEST_PAUSE_S: Final = 1.0
_READ_S: Final = 4.0
_LABEL: Final = (
    "A terminal: make run installs and starts a relay with a local Microsoft cloud. In a second terminal, presence-suite watch shows a table of"
    " colleagues that changes by itself: available, idle, away, in a call, offline."
)


def main() -> int:
    """Record, and write the SVG."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else _SVG
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="presence-relay-"))) / "presence-relay"
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(folder)], check=True)
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment.setdefault("LANG", "C.UTF-8")
        first = stack.enter_context(Terminal(folder, environment))
        first.type("make run")
        first.watch_until("Press Ctrl-C", _INSTALL_LIMIT_S)
        first.watch(_READ_S)
        frames = _without_token(shortened(first.frames, _LONGEST_PAUSE_S))
        second = stack.enter_context(Terminal(folder, environment))
        second.paste(_command(first.rows))
        second.watch(_WATCH_S)
        watched = list(second.frames)
    scenes = [
        Scene("first terminal: pauses of the installation are cut", frames, frames[-1].at_s - frames[0].at_s + _READ_S),
        Scene("second terminal", watched, watched[-1].at_s - watched[0].at_s),
    ]
    path.write_text(draw(scenes, _LABEL))
    return 0


def _without_token(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames with dots for the console's token and for the folder of the clone.

    The token opens nothing any more, but a picture is no place for one.
    """
    return [
        Frame(frame.at_s, tuple(tuple(replace(run, text=_dotted(run.text)) for run in row) for row in frame.rows))
        for frame in frames
    ]


def _dotted(text: str) -> str:
    text = re.sub("(?<=#token=)[0-9a-f]+", lambda token: "•" * len(token[0]), text)
    return re.sub(r"(?<=file://)/\S+(?=/presence-relay/)", "/…", text)


def _command(rows: Sequence[str]) -> str:
    """Return the second command as `make run` printed it. The terminal has broken it into rows of the same width."""
    begins = next(number for number, row in enumerate(rows) if "presence-suite watch" in row)
    return "".join(takewhile(str.strip, rows[begins:])).strip()


if __name__ == "__main__":
    sys.exit(main())
