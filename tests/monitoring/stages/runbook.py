"""The first command of a runbook, run as it is written: `kubectl` answers from a stage's processes, and PromQL has scaled windows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.monitoring import rules
from tests.monitoring.stages.world import FACTOR, ROLES, World

_BLOCK: Final = re.compile(r"^## See it\n.*?^```(sh|promql)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LONGEST_S: Final = 240.0
"""Longer than any command takes: the machine may be busy."""


@dataclass(frozen=True)
class Command:
    """The first command of a runbook, in the language `sh` or `promql`."""

    language: str
    text: str


def first_command(runbook: str) -> Command:
    """Return the first command of a runbook, by its path."""
    found = _BLOCK.search((rules.ROOT / runbook).read_text())
    assert found is not None, runbook
    return Command(found[1], found[2].strip())


async def shown(command: Command, world: World) -> str:
    """Run a command, and return what it shows."""
    if command.language == "promql":
        result = await world.prometheus.query(rules.shorter(command.text, FACTOR))
        return "\n".join(f"{_labels(each['metric'])} {float(each['value'][1]):g}" for each in result)
    bin_folder = _kubectl(world)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command.text, cwd=rules.ROOT,
        env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "STAGE": str(world.relay.folder / "pods.json")},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _LONGEST_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"it did not end within {_LONGEST_S:g} s"
    return output.decode(errors="replace")


def _labels(metric: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(metric.items()) if name != "namespace")


def _kubectl(world: World) -> Path:
    """Write what `kubectl` is to know, and return the folder that has it."""
    relay = world.relay
    pods = [
        {
            "name": name, "role": ROLES[name], "ops": port, "log": str(relay.processes[name].log),
            "pid": relay.processes[name].pid if relay.processes[name].is_running else 0,
            "environment": relay.processes[name].environment,
        }
        for name, port in relay.ops.items()
    ]  # fmt: skip
    (relay.folder / "pods.json").write_text(json.dumps(pods))
    folder = relay.folder / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "kubectl"
    program = " ".join(map(shlex.quote, [sys.executable, "-m", "tests.monitoring.stages.kubectl"]))
    script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    script.chmod(0o755)
    return folder
