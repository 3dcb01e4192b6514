"""Consoles of the agent, in each language, beside a real agent: the same lines from each."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import tools
from tests.examples.premises import Front, program, site
from tests.examples.running import Example
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

PHONE = [sys.executable, str(tools.EXAMPLES / "agent/python/phone.py")]
LANGUAGES = tuple(tools.agent_consoles())


def command(language: str) -> list[str]:
    assert language != "csharp" or tools.is_built("agent/csharp"), "it is not built, or has changed: run make examples"
    return tools.agent_consoles()[language]


def is_connected(console: Example) -> bool | None:
    """What it said last of its connection."""
    return ([line["connected"] for line in console.lines if "connected" in line] or [None])[-1]


async def phone(url: str, extension: str, state: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *PHONE, url, extension, state, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_console_follows_the_agent_through_changes_and_a_restart(language: str, tmp_path: Path):
    async with site(tmp_path) as here:
        url = here.premises.url
        async with program([*command(language), url]) as console:

            async def until(condition) -> None:
                await eventually(condition, timeout=60, explain=console.told)

            await until(lambda: is_connected(console) is False)
            assert "disconnected: " in "".join(console.words)
            async with here.premises.agent():
                await here.begin()
                await until(lambda: (console.shows("ada"), console.shows("ben")) == ("busy", "not_found"))
                await until(lambda: is_connected(console))
                assert console.is_certain
                code, said = await phone(url, "1002", "ringing")
                assert (code, '"accepted":1' in said) == (0, True)
                await until(lambda: console.shows("ben") == "phone_ringing")
                (tmp_path / "colleagues.csv").write_text("login;upn\nada;ada@x.org\nZoë 😀;zoe@x.org\n")
                await until(lambda: console.shows("ben") == "removed")
                await until(lambda: console.shows("zoë 😀") is not None)
            await until(lambda: is_connected(console) is False)
            (tmp_path / "colleagues.csv").write_text("login;upn\nada;ada@x.org\n")
            async with here.premises.agent():
                await until(lambda: is_connected(console))
                await until(lambda: console.shows("zoë 😀") == "removed")  # it went while nobody could tell
                newest = [line for line in console.lines if line.get("user") == "ada"][-1]
                assert (newest["status"], newest["certain"]) == ("busy", False)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_console_resumes_where_its_stream_broke_and_watches_whom_it_is_told_to(language: str, tmp_path: Path):
    async with site(tmp_path) as here, here.premises.agent():
        await here.begin()
        async with Front(here.premises.port) as front:
            url = f"http://127.0.0.1:{front.port}"
            async with program([*command(language), url, "ada", "zoe@x.org"]) as console:
                await eventually(lambda: console.shows("ada") == "busy", timeout=60, explain=console.told)
                await eventually(lambda: is_connected(console), explain=console.told)
                front.cut()
                await eventually(lambda: len(front.heads) == 2 and is_connected(console), explain=console.told)
                assert console.saw("ada") == ["busy"], "it was sent again"
                assert console.shows("ben") is None
        assert "user=ada&user=zoe%40x.org" in front.heads[0]
        assert "last-event-id" not in front.heads[0].lower()
        assert "last-event-id" in front.heads[1].lower()


async def test_a_phone_that_is_nobodys_or_a_wrong_state_is_told(tmp_path: Path):
    async with site(tmp_path) as here:
        code, said = await phone(here.premises.url, "1001", "busy")
        assert (code, "does not answer" in said) == (1, True)
        async with here.premises.agent():
            assert '"unknown_users":["7"]' in (await phone(here.premises.url, "7", "busy"))[1]
            code, said = await phone(here.premises.url, "1001", "asleep")
            assert (code, "must be one of" in said) == (1, True)
