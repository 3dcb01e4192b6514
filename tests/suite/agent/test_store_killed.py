"""The agent killed at every write of its store: nothing is lost that was kept, and nothing wrong is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
@pytest.mark.timeout(240)
def test_an_agent_that_is_killed_at_any_write_of_its_store_keeps_all_that_it_had_kept(tmp_path: Path):
    """At each write, before it and in the middle of it, in the life of an agent that begins with nothing, with a store, with a damaged one."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.suite.agent.killed", tmp_path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    lives = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {life["from"] for life in lives} == {"nothing", "a store", "a damaged file"}
    assert {life["done"] for life in lives} == set(range(11))  # killed at each step
    assert len(lives) > 100
    wrong = [
        life
        for life in lives
        if life["step"] is None or not life["works"] or not life["is_same_agent"] or life["open_to_others"]
    ]
    assert wrong == []
    damaged = [life["aside"] for life in lives if life["from"] == "a damaged file"]
    assert all(aside == [True] for aside in damaged), damaged  # it is kept for support, once and as it was
    assert not any(life["aside"] for life in lives if life["from"] != "a damaged file")
