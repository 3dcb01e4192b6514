"""The agent takes presence and phones from a real Kamailio, and its local API shows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from suite.agent.run import Agent
from suite.agent.sources.sip.source import SipSource
from suite.sip import dialoginfo
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.pidf import PidfDocument, write_pidf
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import Kamailio, started
from tests.sip.publication import Publication
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


@pytest.mark.long
async def test_a_list_tells_of_those_who_are_in_it_and_others_are_asked_for_alone(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio) as at:
        at.write("ListUri = sip:everyone@pbx.example")
        await at.publishes("ada", "busy")
        async with at.agent() as agent:
            await at.shows(ada="busy", nobody="not_found")
            await at.publishes("ben", "meeting")
            await at.shows(ada="busy", ben="in_a_meeting")
            assert subscribed(agent) == {"sip:nobody@pbx.example"}
            await asyncio.to_thread(kamailio.stop)
            await at.sees("connection_error")
            await at.shows(ada="busy?", ben="in_a_meeting?")
            await kamailio.start_again()
            await at.sees("up_and_running")
            await at.shows(ada="busy", ben="in_a_meeting", nobody="not_found")


def subscribed(agent: Agent) -> set[str]:
    """The resources that have a subscription of their own."""
    [source] = [part for part in agent._sources() if isinstance(part, SipSource)]
    return {each.uri for each in source._asking.resources.values() if not each.is_listed}


async def test_everybody_is_asked_for_alone_when_the_server_has_no_such_list(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio) as at:
        at.write("ListUri = sip:ada@pbx.example")  # a user, and no list
        await at.publishes("ben", "away")
        async with at.agent() as agent:
            await at.shows(ben="away", nobody="not_found")
            assert len(subscribed(agent)) == 4


async def test_a_restart_is_got_over_by_a_server_that_keeps_subscriptions(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio) as at, at.agent():
        await at.publishes("ada", "busy")
        await at.shows(ada="busy", nobody="not_found")
        await asyncio.to_thread(kamailio.stop)
        await at.sees("connection_error")
        await at.shows(ada="busy?")
        await kamailio.start_again()
        await at.sees("up_and_running")
        await at.shows(ada="busy", nobody="not_found")
        await at.publishes("ada", "away")
        await at.shows(ada="away")


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["tcp", "tls"])
async def test_a_restart_is_got_over_by_a_server_that_forgets_subscriptions_and_wants_sha_256(
    tmp_path: Path, protocol: str
):
    (tmp_path / "server").mkdir()
    with started(tmp_path / "server", "WITH_SHA256", "WITH_FORGET") as server:
        async with site(tmp_path, server) as at:
            at.write(protocol=protocol)
            async with at.agent():
                await at.publishes("ada", "busy")
                await at.shows(ada="busy", ben="presence_unknown")
                await asyncio.to_thread(server.kill)
                await at.sees("connection_error", "Connection refused.")
                await at.shows(ada="busy?")
                await server.start_again()
                await at.sees("up_and_running")
                await at.publishes("ada", "away")
                await at.publishes("ben", "meeting")
                await at.shows(ada="away", ben="in_a_meeting")


@pytest.mark.long
async def test_a_wrong_password_is_tried_once_and_a_new_one_at_once(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio) as at:
        at.write(password="wrong")
        async with at.agent():
            await at.sees("forbidden", "SipSimple.PasswordFile")
            await at.shows(ada="forbidden", nobody="forbidden")
            at.write()
            await at.sees("up_and_running")
            await at.shows(ada="presence_unknown", nobody="not_found")
            at.write(enable=0)
            await at.sees("disabled")
            await at.shows(ada="no_source")


async def test_a_short_subscription_lives_on_and_colleagues_come_and_go(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio, "login,sip\nada,ada@pbx.example\n") as at:
        at.write("Expires = 2s")  # the server wants five
        await at.publishes("ada", "busy")
        async with at.agent() as agent:
            await at.shows(ada="busy")
            [source] = [part for part in agent._sources() if isinstance(part, SipSource)]
            [resource] = source._asking.resources.values()
            subscription = resource.subscription
            assert subscription is not None
            sent = subscription.state.dialog.local_cseq
            await eventually(lambda: subscription.state.dialog.local_cseq >= sent + 2, 60)  # refreshed twice
            assert resource.subscription is subscription
            await at.publishes("ben", "meeting")
            (tmp_path / "colleagues.csv").write_text("login,sip\nben,ben@pbx.example\n")
            await at.shows(ben="in_a_meeting")
            await eventually(lambda: "ada" not in at.console.users)
            assert at.console.status_of("ben") == "in_a_meeting"


async def test_without_a_presence_server_the_first_extension_tells_the_phone(kamailio: Kamailio, tmp_path: Path):
    """The users of this Kamailio stand for extensions."""
    async with site(tmp_path, kamailio, "login,extension\nada,1001\nben,1002\nzoe,1009\n") as at:
        at.write("PresenceServer = 0")
        async with at.agent():
            await at.sees("up_and_running")
            await at.shows(ada="presence_unknown", zoe="not_found")
            await at.calls("1001", PhoneDialog(id="a", state="early", direction="recipient"))
            await at.shows(ada="phone_ringing")
            ringing = at.console.users["ada"]["since"]
            await at.calls("1001", PhoneDialog(id="a", state="confirmed", direction="recipient"))
            await at.shows(ada="on_the_phone")
            assert at.console.users["ada"]["since"] > ringing
            await at.calls("1001", PhoneDialog(id="a", state="terminated"))
            await at.shows(ada="phone_free")
            await at.calls("1002", PhoneDialog(id="b", state="trying", direction="initiator"))
            await at.shows(ben="on_the_phone", ada="phone_free")


async def test_dialogs_of_a_presence_server_stand_beside_its_rich_presence(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio) as at:
        at.write("PhoneEvent = dialog")
        async with at.agent():
            await at.publishes("ada", "meeting")
            await at.shows(ada="in_a_meeting")
            await at.calls("ada", PhoneDialog(id="a", state="confirmed"))
            await at.shows(ada="on_the_phone")
            assert at.console.users["ada"]["rich"] == {"state": "in_a_meeting", "source": "SipSimple"}
            await at.calls("ada")
            await at.shows(ada="in_a_meeting")
            assert at.console.users["ada"]["telephony"] == "idle"


async def test_the_next_server_is_used_while_the_preferred_one_is_away(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with started(tmp_path / "one") as one, started(tmp_path / "two") as two:
        async with site(tmp_path, two) as at:
            at.write(f"Address = 127.0.0.1:{one.port}, 127.0.0.1:{two.port}")
            await at.publishes("ada", "busy")  # at the second one
            async with at.agent():
                await at.shows(ada="presence_unknown")
                await at.sees("up_and_running", "")
                await asyncio.to_thread(one.kill)
                await at.shows(ada="busy")
                await at.sees("up_and_running", f"127.0.0.1:{two.port} (tcp) is used, because")
