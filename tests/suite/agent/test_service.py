"""The systemd unit: systemd itself reads it and rates it, and it fits to the agent and to the page about it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from suite.agent.commands import EXIT_USAGE
from suite.cli import app

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy/agent/presence-agent.service"
PAGE = (ROOT / "docs/suites/agent-service.md").read_text()
MOST_EXPOSED = 1.2
TAKEN_AWAY = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "ProtectSystem": "strict", "ProtectHome": "yes",
    "PrivateDevices": "yes", "PrivateTmp": "yes", "MemoryDenyWriteExecute": "yes", "RestrictSUIDSGID": "yes", "UMask": "0077",
    "SystemCallArchitectures": "native", "User": "presence-agent", "StateDirectoryMode": "0700",
}  # fmt: skip


def directives() -> dict[str, list[str]]:
    """Name -> the values of a directive, in order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_the_unit_takes_away_what_the_agent_does_not_need():
    found = directives()
    assert {name: found.get(name) for name in TAKEN_AWAY} == {name: [value] for name, value in TAKEN_AWAY.items()}
    assert found["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_the_unit_starts_a_command_that_there_is_and_leaves_it_stopped_when_a_person_must_act():
    found = directives()
    _, *arguments = found["ExecStart"][0].split()
    assert arguments == ["agent", "--settings", "/etc/presence-agent/Presence.ini"]
    assert CliRunner().invoke(app, [*arguments[:2], "/nowhere/Presence.ini"]).exit_code == EXIT_USAGE
    assert found["RestartPreventExitStatus"] == [str(EXIT_USAGE)]
    assert found["LoadCredential"] == ["suite.key:/etc/presence-agent/suite.key"]


def test_the_page_says_what_the_unit_does():
    for text in (
        "suite.key:/etc/presence-agent/suite.key",
        "/var/lib/presence-agent",
        f"exposure {MOST_EXPOSED} of 10",
        "root:root, 600",
    ):
        assert text in PAGE


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt-get install systemd"
)


@needs_systemd
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path):
    """Verified with a command that is here. A line that systemd does not know is told on standard error."""
    text = UNIT.read_text().replace("/usr/local/lib/presence-agent/bin/presence-suite", sys.executable)
    (unit := tmp_path / UNIT.name).write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if UNIT.name in line]) == (0, [])
    unit.write_text(text.replace("ProtectHome=yes", "ProtectHouse=yes"))
    broken = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "ProtectHouse" in broken.stderr


@needs_systemd
def test_systemd_rates_the_unit_as_hardly_exposed():
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    rated = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for presence-agent.service: ([\d.]+)", rated)
    assert found is not None
    assert float(found[1]) <= MOST_EXPOSED, rated
