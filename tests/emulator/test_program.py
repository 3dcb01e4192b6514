"""The program: ready line, kept state, and its end when its parent ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from emulator.demo import CLIENT_ID, SECRET
from emulator.world import PERSONAL
from tests.emulator.driver import RELAY
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.long

_PARENT = """
import subprocess, sys, os, time
child = subprocess.Popen([sys.executable, "-m", "emulator", "--parent-pid", str(os.getpid()), *sys.argv[1:]])
print(child.pid, flush=True)
time.sleep(60)
"""


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """The program, with what it printed when it was ready; stopped at the end as by Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulator", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            yield process, json.loads(await process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 30)


def browser(url: str, ca: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, verify=ssl.create_default_context(cafile=str(ca)), timeout=10)


async def test_state_is_kept_between_runs(tmp_path: Path) -> None:
    arguments = ("--state", str(tmp_path / "state.json"), "--ca-dir", str(tmp_path / "ca"))
    ca = tmp_path / "ca" / "ca.pem"
    async with program(*arguments) as (_, ready), browser(ready["url"], ca) as client:
        grant = {"account": RELAY, "client_id": CLIENT_ID, "scopes": ["Presence.Read.All"]}
        token = (await client.post("/_emulator/grants", json=grant)).json()["refresh_token"]
        keys = (await client.get("/common/discovery/v2.0/keys")).json()

    async with program(*arguments) as (_, ready), browser(ready["url"], ca) as client:
        form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "client_secret": SECRET, "refresh_token": token}
        refreshed = (await client.post("/organizations/oauth2/v2.0/token", data=form)).json()
        again = (await client.get("/common/discovery/v2.0/keys")).json()

    assert "access_token" in refreshed
    kept, found = ([key["n"] for key in one["keys"] if PERSONAL not in key["issuer"]] for one in (keys, again))
    assert kept == found, "the key of personal accounts is each process's own"
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, "--ready-file", str(ready), "--state", str(tmp_path / "state.json"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    await eventually(ready.exists)
    (tmp_path / "state.json").unlink()

    parent.kill()
    await parent.communicate()

    await eventually(lambda: not _lives(child))
    assert (tmp_path / "state.json").exists()  # written once more on the way out


async def test_a_broken_state_ends_the_program_and_stays_as_it_is(tmp_path: Path) -> None:
    """As a process, for its exit code; test_options.py has the other wrong arguments."""
    broken = tmp_path / "state.json"
    broken.write_text("{}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulator", "--state", str(broken), stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 2
    assert "remove the file to start with a new state" in said.decode()
    assert said.count(b"\n") == 1
    assert broken.read_text() == "{}"


def _lives(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
