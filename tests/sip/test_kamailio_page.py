"""The page on Kamailio: its account, its lines, its settings and its list are tried as they stand there."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from pathlib import Path

from suite.sip.documents import read_xml
from tests.sip.kamailio import started
from tests.sip.test_connector import site

PAGE = Path(__file__).parents[2] / "docs/suites/kamailio.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_every_line_of_the_configuration_is_tested():
    tested = {" ".join(line.split()) for line in (Path(__file__).parent / "kamailio.cfg").read_text().splitlines()}
    lines = "".join(blocks("cfg")).replace('"agent"', '"suite"')  # the account of the tests
    assert {" ".join(line.split()) for line in lines.splitlines() if line} <= tested


async def test_the_account_the_settings_and_the_colleagues_work_as_they_stand_there(tmp_path: Path):
    (tmp_path / "server").mkdir()
    [account], [settings, _], [colleagues] = blocks("sql"), blocks("ini"), blocks("csv")
    with started(tmp_path / "server") as server:
        with sqlite3.connect(tmp_path / "server/users.db") as database:
            database.execute(account)
        database.close()
        async with site(tmp_path, server, colleagues) as at:
            (tmp_path / "sip.password").write_text("a-long-password")
            at.premises.more = settings.replace("pbx.example:5060", f"127.0.0.1:{server.port}")
            at.premises.write_settings()
            await at.publishes("ada", "busy")
            async with at.agent():
                await at.sees("up_and_running")
                await at.shows(ada="busy", ben="presence_unknown")
                await asyncio.to_thread(server.stop)
                await at.sees("connection_error")


def test_the_list_is_one_that_kamailio_reads():
    [text] = blocks("xml")
    names = {each.tag.rpartition("}")[2] for each in read_xml(text.encode()).iter()}
    tested = (Path(__file__).parent / "kamailio.py").read_text()
    assert all(f"<{name}" in tested or f"<rl:{name}" in tested for name in names)
