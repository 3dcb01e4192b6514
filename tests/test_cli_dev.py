"""`presence-relay dev` from the outside: a suite sees presence, a kill leaves nothing behind, a restart keeps everything.

One story in one test, because each act costs a start.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest

from relay.dev.docs import docs_link
from relay.dev.folder import DevTrouble, Folder
from tests.support.valkey import free_port
from tests.support.waiting import eventually_in_thread

pytestmark = pytest.mark.long

BIN = Path(sys.executable).parent


class Dev:
    """One run. Its output is collected as it comes."""

    def __init__(self, state: Path) -> None:
        command = [str(BIN / "presence-relay"), "dev", "--state", str(state)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines += output

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def suite_command(self) -> list[str]:
        """The command that it says to type."""
        eventually_in_thread(lambda: "Ctrl-C" in self.text or self.process.poll() is not None, 60, lambda: self.text)
        [line] = [line for line in self.lines if " watch " in line]
        return shlex.split(line)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def dev_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """The edge's port that the environment names; it names a Redis too, which is not this command's."""
    port = free_port()
    monkeypatch.setenv("RELAY_EDGE_PORT", str(port))
    monkeypatch.setenv("RELAY_REDIS_URL", "rediss://redis.example:6379")
    return port


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Callable[[], Dev]]:
    """Starts runs in one folder; none outlives the test."""
    runs: list[Dev] = []

    def start() -> Dev:
        runs.append(Dev(tmp_path / "state"))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()


@contextmanager
def watching(command: list[str]) -> Iterator[Callable[[Callable[[dict], bool]], None]]:
    """A suite under way, which waits for events."""
    suite = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert suite.stdout is not None
    events: list[dict] = []

    def read() -> None:
        events.extend(json.loads(line) for line in suite.stdout or ())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield lambda wanted: eventually_in_thread(lambda: any(map(wanted, list(events))), 40, lambda: events)
    finally:
        suite.kill()
        suite.wait()
        reader.join()
        suite.stdout.close()


@pytest.mark.fault("L9")
@pytest.mark.timeout(100)
def test_dev_shows_presence_and_survives_a_kill_with_tenant_and_key_but_without_children(dev, dev_port, tmp_path):
    first = dev()
    command = first.suite_command()
    assert f"127.0.0.1:{dev_port}" in command
    assert "Set, but not used by this command, which has values of its own: RELAY_REDIS_URL." in first.text
    key_file = Path(command[command.index("--key-file") + 1])
    key = key_file.read_text()
    assert key_file.stat().st_mode & 0o077 == 0
    assert key not in first.text
    [docs] = re.findall(r"^  docs +file://(\S+)", first.text, re.MULTILINE)
    assert Path(unquote(docs)).is_file()

    with watching(command) as wait_for:
        wait_for(lambda event: event["event"] == "changed" and event["presence"] is not None)

        children = first.children()
        assert len(children) == 2
        os.kill(first.process.pid, signal.SIGKILL)
        psutil.wait_procs(children, timeout=30)
        assert [child for child in children if child.is_running()] == []

        second = dev()
        again = second.suite_command()
        assert again == command  # the same port, files and key
        assert key_file.read_text() == key
        wait_for(lambda event: event["event"] == "connected" and event["outcome"] in {"resumed", "reset"})

        third = dev()
        third.process.wait(60)
        assert third.process.returncode == 1
        eventually_in_thread(lambda: "is running already" in third.text)

    listed = subprocess.run(
        ["sh", "-c", f". {tmp_path}/state/relay.env; {BIN}/presence-relay tenants list"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(re.findall("contoso.example", listed.stdout)) == 1

    children = second.children()
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(60) == 0
    assert [child for child in children if child.is_running()] == []
    assert "Traceback" not in first.text + second.text + third.text


@pytest.mark.fault("L9")
def test_the_link_to_the_docs_leads_to_the_site_once_it_was_built(tmp_path: Path):
    assert docs_link(tmp_path).startswith(f"file://{tmp_path}/README.md ")
    page = tmp_path / ".site" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert docs_link(tmp_path) == f"file://{page}"


def test_a_port_that_is_asked_for_and_taken_is_told(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DevTrouble, match=f"Port {port} is taken. Set RELAY_WEB_PORT to another"):
            Folder(tmp_path / "state").ports({"web": port})
    assert Folder(tmp_path / "state").ports({"web": 0})["web"] > 0
