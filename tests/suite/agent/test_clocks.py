"""A clock that jumps: nothing in the agent expires, stays or is ordered by the time of day."""

from __future__ import annotations

import ast
import asyncio
import itertools
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import suite
from tests.chaos.clocks import SteppedClock
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.suite.agent.test_teams import tell
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

ROOT = Path(suite.__file__).parent
READS_THE_TIME_OF_DAY = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
MAY_READ_IT = {
    "agent/api/sign_in.py": "the age of a browser's cookie: after a jump of the clock a person signs in again",
    "agent/sipserver/publishing.py": "the time at which a state was published, which consoles show",
    "agent/sources/local.py": "the time at which a state was told, which consoles show",
    "agent/sources/sfb/fetching.py": "the same, of Skype for Business",
    "agent/sources/sip/asking.py": "the same, by SIP",
    "agent/sources/sip/listed.py": "the same, by SIP",
    "table.py": "whether a time of `presence-suite watch` is of today",
    "watching.py": "the time of a line of `presence-suite watch`",
}
"""Module -> what it uses the time of day for. No presence expires, stays or is ordered by it."""


def reads(module: Path) -> list[str]:
    """The calls of a module that give the time of day: `datetime.now()`, `time.time()`. An event loop's `time` is another."""
    found = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if owner in {"datetime", "date", "time"} and node.func.attr in READS_THE_TIME_OF_DAY:
                found.append(f"{owner}.{node.func.attr}")
    return found


def test_no_presence_expires_or_stays_by_the_time_of_day():
    modules = [path for path in ROOT.rglob("*.py") if "doctor" not in path.parts]
    assert len(modules) > 60
    found = {str(path.relative_to(ROOT)) for path in modules if reads(path)}
    assert found <= set(MAY_READ_IT)
    assert "agent/sources/local.py" in found


@pytest.mark.soak
async def test_a_clock_that_is_set_changes_nothing_that_consoles_show(
    relay: ScriptedRelay, ca_pem: bytes, tmp_path: Path
):
    """A real agent, whose time of day is set to tomorrow, to last week, to next year and back. It needs Debian's faketime."""
    premises = Premises(tmp_path, f"localhost:{relay.port}", free_port(), more="LogFile=agent.log\n")
    premises.write("login,upn,extension\nada,ada@x.org,\nben,ben@x.org,1002\n", ca_pem)
    clock, numbers = SteppedClock(tmp_path / "clock"), itertools.count()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "suite.cli", "agent", "--settings", str(premises.file)),
        env={**os.environ, **clock.environment},
    )
    console = Console(premises.url)
    try:
        stream = await relay.stream()
        stream.started()
        tell(stream, ada=("A", "AWAY"), ben=("B", "BUSY"))
        async with listening(console), httpx.AsyncClient(base_url=premises.url, trust_env=False) as connector:

            async def says(path: str, state: str, lifetime_s: int = 3600) -> None:
                told = {"user": "ben", "state": state, "sequence": next(numbers), "expires_s": lifetime_s}
                answer = await connector.post(f"/v1/{path}", json={"states": [told]})
                assert answer.json()["accepted"] == 1

            async def is_set(ahead: timedelta) -> bool:
                await says("presence", "offline")
                since = (await connector.get("/v1/users/ben")).json()["sources"]["Local"]["since"]
                return abs(datetime.fromisoformat(since) - datetime.now(UTC) - ahead) < timedelta(hours=1)

            await eventually(lambda: console.status_of("ada") == "away")
            await says("telephony", "busy")
            for days in (1, -7, 365, 0):
                clock.step(days * 86400)
                await eventually(lambda ahead=timedelta(days=days): is_set(ahead))
                assert (console.status_of("ada"), console.status_of("ben")) == ("away", "on_the_phone")
            await says("telephony", "ringing", lifetime_s=1)
            await eventually(lambda: console.status_of("ben") == "busy")  # it expires by the machine's monotonic clock
            tell(stream, ada=("A", "IN_A_CALL"))
            await eventually(lambda: console.status_of("ada") == "in_a_call")
            assert relay.nothing_opened()
            assert console.seen.count("everything") == 1
    finally:
        process.terminate()
        assert await process.wait() == 0
    assert (tmp_path / "agent.log").read_text().endswith("INFO suite.agent.commands stopped\n")
