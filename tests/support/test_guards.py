"""The guards themselves: what they do beside refusing calls, which every test shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = """
import sys
import early
from tests.support import guards

guards.pytest_configure()

class Late:
    def __del__(self, audit=sys.audit):
        audit("late")

early.late = Late()  # modules lose their names in the reverse order of their import: the guards before this one
sys.kept = [early, guards]
"""


def test_a_process_that_ends_says_nothing_of_the_guards(tmp_path: Path):
    (tmp_path / "early.py").touch()
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={"PYTHONPATH": f"{_ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
