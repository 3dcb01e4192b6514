"""The agent takes presence and phones from a real Kamailio, and its local API shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from suite.agent.run import Agent
from suite.sip import dialoginfo
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.pidf import PidfDocument, write_pidf
from suite.sip.publisher import Publication
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import Kamailio
from tests.sip.test_kamailio import own_server
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.support.valkey import free_port
from tests.support.waiting import eventually

USERS = ("ada", "ben", "eve", "nobody")
COLLEAGUES = "login,sip\n" + "".join(f"{user},sip:{user}@pbx.example\n" for user in USERS) + "no address,\n"


@dataclass
class Site:
    """An agent's premises with a SIP server, and a console that looks on."""

    premises: Premises
    server: Kamailio
    phones: UserAgent
    console: Console = field(init=False)
    _published: dict[tuple[str, str], Publication] = field(default_factory=dict)
    _version: int = 0

    def __post_init__(self) -> None:
        self.console = Console(self.premises.url)

    def settings(self, *lines: str, protocol: str = "tcp", password: str = "pw-suite", enable: int = 1) -> str:
        """The section of SIP, with these lines behind it."""
        (self.premises.folder / "sip.password").touch(0o600)
        (self.premises.folder / "sip.password").write_text(f"{password}\n")
        (self.premises.folder / "sip-ca.pem").write_bytes(self.server.authority.cert_pem.bytes())
        port = self.server.tls_port if protocol == "tls" else self.server.port
        mine = [f"Enable = {enable}", f"Address = 127.0.0.1:{port}", f"Protocol = {protocol}", "CaFile = sip-ca.pem"]
        mine += ["Uri = sip:suite@pbx.example", "PasswordFile = sip.password", "SubscriptionsPerSecond = 500"]
        return "\n".join(["[SipSimple]", *mine, *lines])

    def write(self, *lines: str, protocol: str = "tcp", password: str = "pw-suite", enable: int = 1) -> None:
        self.premises.more = self.settings(*lines, protocol=protocol, password=password, enable=enable)
        self.premises.write_settings()

    async def publishes(self, user: str, *activities: str, is_open: bool = True, is_idle: bool = False) -> None:
        """Publish presence of a user, as a phone does."""
        uri = f"sip:{user}@pbx.example"
        document = PidfDocument(entity=uri, is_open=is_open, activities=frozenset(activities), is_idle=is_idle)
        await self._publish(user, "presence", write_pidf(document, uri), "application/pidf+xml")

    async def calls(self, user: str, *dialogs: PhoneDialog) -> None:
        """Publish dialogs of a phone."""
        self._version += 1
        document = DialogInfo(entity=f"sip:{user}@pbx.example", version=self._version, is_full=True, dialogs=dialogs)
        await self._publish(user, "dialog", write_dialog_info(document), dialoginfo.CONTENT_TYPE)

    async def _publish(self, user: str, event: str, body: bytes, content_type: str) -> None:
        made = self._published.get((user, event))
        if made is None:
            server = own_server(self.server, user, "tcp")
            made = Publication(self.phones, server, f"sip:{user}@pbx.example", event=event, content_type=content_type)
            self._published[user, event] = made
        made.update(body)
        await eventually(lambda: made.tag)

    async def withdraw(self) -> None:
        """Take back all that was published."""
        for each in self._published.values():
            await each.withdraw()
        self._published.clear()

    async def shows(self, **users: str) -> None:
        """Wait until a console shows these users so: status, `?` behind it when uncertain; a reason when unknown."""
        await eventually(
            lambda: {user: self.console.status_of(user) for user in users} == users,
            60,
            explain=lambda: {user: self.console.users[user] for user in self.console.users},
        )

    async def sees(self, state: str, detail: str = "") -> None:
        """Wait until the console shows this state of SIP's connection."""
        nothing = {"state": "", "detail": ""}

        def shown() -> dict[str, str]:
            return self.console.sources.get("SipSimple", nothing)

        await eventually(lambda: shown()["state"] == state and detail in shown()["detail"], 60, explain=shown)

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        async with self.premises.agent() as agent, listening(self.console):
            yield agent


@asynccontextmanager
async def site(folder: Path, server: Kamailio, colleagues: str = COLLEAGUES) -> AsyncIterator[Site]:
    premises = Premises(folder, "", free_port(), enable=0, winning="SipSimple")
    premises.write(colleagues, server.authority.cert_pem.bytes())
    async with UserAgent() as phones:
        made = Site(premises, server, phones)
        made.write()
        try:
            yield made
        finally:
            await made.withdraw()


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
async def test_what_phones_publish_is_shown(kamailio: Kamailio, tmp_path: Path, protocol: str):
    async with site(tmp_path, kamailio) as at:
        at.write(protocol=protocol)
        async with at.agent():
            await at.sees("up_and_running")
            await at.shows(ada="presence_unknown", nobody="not_found")
            assert at.console.status_of("no address") == "no_source"
            await at.publishes("ada", "busy")
            await at.shows(ada="busy", ben="presence_unknown")
            await at.publishes("ada", "busy", is_idle=True)
            await at.shows(ada="busy_idle")
            await at.publishes("ada", is_idle=True)
            await at.shows(ada="available_idle")
            await at.publishes("ada", "on-the-phone")
            await at.shows(ada="on_the_phone")
            assert at.console.users["ada"]["rich"]["state"] == "in_a_call"
            since = at.console.users["ada"]["since"]
            assert since
            await at.publishes("ada", is_open=False)
            await at.shows(ada="offline")
            await at.publishes("ada")
            await at.shows(ada="available")
            await at.withdraw()
            await at.shows(ada="offline")  # says Kamailio of somebody whose last publication is gone
