"""A `kubectl` for the commands of runbooks: it answers from the processes of a stage. Nothing but the place of things differs.

    exec deploy/relay-teams-presence-relay-ROLE -- COMMAND   run the command with the settings of a process with that role
    logs -l app.kubernetes.io/component=ROLE …               print the logs of the processes with that role
    get pods -l app.kubernetes.io/component=ROLE             list them, and whether they are ready
    top pod -l …                                             show their CPU and memory

The variable STAGE names a file that describes the processes.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

_RELEASE = "deploy/relay-teams-presence-relay-"
_COMPONENT = "app.kubernetes.io/component="
_LOOK_S = 1.0


def main(arguments: list[str]) -> int:
    """Carry out one command."""
    pods = json.loads(Path(os.environ["STAGE"]).read_text())
    match arguments:
        case ["exec", where, "--", *command] if where.startswith(_RELEASE):
            return _execute(pods, where.removeprefix(_RELEASE), command)
        case ["logs", "-l", selector, *_]:
            sys.stdout.writelines(Path(pod["log"]).read_text(errors="replace") for pod in _selected(pods, selector))
        case ["get", "pods", "-l", selector]:
            _show("NAME READY STATUS")
            for pod in _selected(pods, selector):
                _show(pod["name"], "1/1" if _is_ready(pod) else "0/1", "Running" if _process(pod) else "Error")
        case ["top", "pod", "-l", selector]:
            _show_use(_selected(pods, selector))
        case _:
            sys.stderr.write(f"kubectl: a stage does not know {' '.join(arguments)}\n")
            return 1
    return 0


def _show(*columns: str) -> None:
    sys.stdout.write(f"{' '.join(columns)}\n")


def _selected(pods: list[dict[str, Any]], selector: str) -> list[dict[str, Any]]:
    role = selector.removeprefix(_COMPONENT) if selector.startswith(_COMPONENT) else ""
    return [pod for pod in pods if not role or pod["role"] == role]


def _execute(pods: list[dict[str, Any]], role: str, command: list[str]) -> int:
    pod = next(pod for pod in pods if pod["role"] == role)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    os.execve(Path(sys.executable).parent / command[0], command, {**kept, "COLUMNS": "200", **pod["environment"]})


def _process(pod: dict[str, Any]) -> psutil.Process | None:
    try:
        process = psutil.Process(pod["pid"]) if pod["pid"] else None
    except psutil.NoSuchProcess:
        return None
    return process if process and process.status() != psutil.STATUS_ZOMBIE else None


def _is_ready(pod: dict[str, Any]) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{pod['ops']}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _show_use(pods: list[dict[str, Any]]) -> None:
    processes = {pod["name"]: process for pod in pods if (process := _process(pod))}
    for process in processes.values():
        process.cpu_percent()
    time.sleep(_LOOK_S)
    _show("NAME CPU(cores) MEMORY(bytes)")
    for name, process in processes.items():
        _show(name, f"{process.cpu_percent() * 10:.0f}m", f"{process.memory_info().rss >> 20}Mi")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
