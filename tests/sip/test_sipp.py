"""SIPp, the load generator that vendors test their servers with, subscribes at our notifier by its scenarios in sipp/."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from suite.sip.challenges import DigestServer
from suite.sip.flows import SipProtocol
from tests.sip.kamailio import UNPACKED, unpacked_environ
from tests.sip.test_notifier import Shown, served
from tests.support.valkey import free_port

CALLS = 5


async def sipp(folder: Path, scenario: str, protocol: SipProtocol, port: int) -> None:
    """Run a scenario some times, several at once; fails if one of them fails."""
    program = shutil.which("sipp", path=f"{UNPACKED}/usr/bin:{os.environ['PATH']}")
    assert program is not None, "SIPp is missing. Install it: make .venv/.installed-sip"
    options = {
        "sf": str(Path(__file__).parent / f"sipp/{scenario}.xml"),
        "s": "ada",
        "t": {"udp": "u1", "tcp": "t1"}[protocol],
    }
    options |= {
        "i": "127.0.0.1",
        "p": str(free_port()),
        "m": str(CALLS),
        "l": str(CALLS),
        "r": "50",
        "timeout": "90",
        "auth_uri": "ada@teams.example",
    }
    command = [part for name, value in options.items() for part in (f"-{name}", value)]
    with (folder / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *[program, f"127.0.0.1:{port}", *command, "-timeout_error", "-nostdin", "-trace_err"],
            cwd=folder,
            env={**unpacked_environ(), "TERM": "dumb"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert status == 0, _said(folder)


def _said(folder: Path) -> str:
    return "".join(each.read_text(errors="replace")[-3000:] for each in folder.iterdir())


@pytest.mark.parametrize("protocol", ["udp", "tcp"])  # Debian's build has no TLS
@pytest.mark.parametrize("scenario", ["subscription", "fetch"])
async def test_sipps_phones_subscribe_refresh_unsubscribe_and_fetch(
    scenario: str, protocol: SipProtocol, tmp_path: Path
):
    door = DigestServer(realm="teams", password_of={"phone": "secret"}.get, algorithms=("MD5",))
    async with served(protocol, shown=Shown(door=door)) as place:
        await sipp(tmp_path, scenario, protocol, place.port)
        assert len(place.shown.over) == CALLS
        assert len(place.notifier) == 0
