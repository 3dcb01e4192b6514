"""The pages on SIP of a vendor's suite, line by line, done with the agent against a real Kamailio.

What such pages have: the settings of the connector, the words for its state, the words for users of whom nothing is known, servers with and
without presence, and which state counts when several sources know one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from suite.sip.dialoginfo import PhoneDialog
from tests.sip.kamailio import Kamailio, started
from tests.sip.scripted_server import accept, refuses, scripted
from tests.sip.test_connector import Site, site
from tests.support.waiting import eventually

COLLEAGUES = (
    "login,sip,extension\nada,sip:ada@pbx.example,1001\nben,sip:ben@pbx.example,1002\nzoe,sip:zoe@pbx.example,1009\n"
    "guest,,\n"
)


def written(at: Site, *lines: str) -> None:
    """Write Presence.ini: these lines of [SipSimple], and none that is left out by default."""
    text = [f"[Agent]\nUsersFile = colleagues.csv\nPort = {at.premises.port}\n[SipSimple]", *lines]
    at.premises.file.write_text("\n".join(text) + "\n")


def account(at: Site, *lines: str) -> list[str]:
    """The lines of a connector that works, and more."""
    works = ["Enable = 1", f"Address = 127.0.0.1:{at.server.port}", "Protocol = tcp"]
    works += ["Uri = sip:suite@pbx.example", "AuthId = suite", "PasswordFile = sip.password", "Domain = pbx.example"]
    return [*works, *lines]


async def test_the_settings_and_the_states_of_the_connector(tmp_path: Path):
    (tmp_path / "server").mkdir()
    with started(tmp_path / "server") as server:
        async with site(tmp_path, server, COLLEAGUES) as at:
            written(at, *account(at)[1:])  # Enable is 0 when it is left out
            async with at.agent():
                await at.sees("disabled")
                await at.shows(ada="no_source")
                written(at, "Enable = 1")
                await at.sees("server_not_configured", "SipSimple.Address")
                await at.shows(ada="no_source")
                written(at, "Enable = 1", f"Address = 127.0.0.1:{server.port}")
                await at.sees("server_not_configured", "SipSimple.Uri")
                written(at, *account(at))
                await at.sees("up_and_running")
                await at.shows(ada="presence_unknown", zoe="not_found", guest="no_source")
                async with scripted(
                    suite=refuses(404)
                ) as forgetful:  # this Kamailio refuses the login of whom it does not know
                    written(at, *account(at, f"Address = {forgetful.address}", "Protocol = udp"))
                    await at.sees("credentials_not_found", "does not know sip:suite@pbx.example")
                    await at.shows(ada="available")  # other subscriptions are taken
                (tmp_path / "sip.password").write_text("wrong")
                written(at, *account(at))
                await at.sees("forbidden", "SipSimple.PasswordFile")
                await at.shows(ada="forbidden")
                (tmp_path / "sip.password").write_text("pw-suite")
                await at.sees("up_and_running")  # the file is followed
                written(at, *account(at, "PasswordFile ="))
                await at.sees("credentials_not_found", "Set SipSimple.PasswordFile")
                written(at, *account(at, "PasswordFile =", "Password = pw-suite"))
                await at.sees("up_and_running")
                await asyncio.to_thread(server.kill)
                await at.sees("connection_error", f"127.0.0.1:{server.port}")


async def test_the_states_of_a_user(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio, COLLEAGUES) as at, at.agent():
        await at.shows(ada="presence_unknown")  # known to the server, which knows no presence
        await at.shows(zoe="not_found")
        await at.shows(guest="no_source")  # not requested: there is no SIP address
        await at.publishes("ada")
        await at.shows(ada="available")
        at.write(enable=0)
        await at.shows(ada="no_source", zoe="no_source")  # the server is not configured
    answers = {"ada": refuses(403), "ben": refuses(500), "zoe": lambda request: [accept(request)]}
    async with scripted(**answers) as server, site(tmp_path, kamailio, COLLEAGUES) as at:
        at.write("Protocol = udp", f"Address = {server.address}")
        async with at.agent():
            await at.shows(ada="access_denied", ben="error", zoe="requesting")


@pytest.mark.timeout(120)
async def test_with_a_presence_server_and_without(kamailio: Kamailio, tmp_path: Path):
    async with site(tmp_path, kamailio, COLLEAGUES) as at:
        written(at, *account(at, "PresenceServer = 1"))
        async with at.agent():
            # With one: rich presence and the phone, by the user's SIP address.
            for activities, status, rich, phone in (
                ((), "available", "available", "idle"),
                (("busy",), "busy", "busy", "idle"),
                (("meeting",), "in_a_meeting", "in_a_meeting", "idle"),
                (("away",), "away", "away", "idle"),
                (("on-the-phone",), "on_the_phone", "in_a_call", "busy"),
            ):
                await at.publishes("ada", *activities)
                await at.shows(ada=status)
                shown = at.console.users["ada"]
                assert (shown["rich"], shown["telephony"]) == ({"state": rich, "source": "SipSimple"}, phone)
            # Without: the phone, by the first extension at the domain.
            written(at, *account(at, "PresenceServer = 0"))
            await at.shows(ada="presence_unknown", zoe="not_found")
            await at.calls("1001", PhoneDialog(id="a", state="early", direction="recipient"))
            await at.shows(ada="phone_ringing")
            await at.calls("1001", PhoneDialog(id="a", state="confirmed", direction="recipient"))
            await at.shows(ada="on_the_phone")
            await at.calls("1001")
            await at.shows(ada="phone_free")
            assert at.console.users["ada"]["rich"] == {"state": "unknown", "source": None}


async def test_which_state_counts_when_several_sources_know_one(kamailio: Kamailio, tmp_path: Path):
    async with (
        site(tmp_path, kamailio, COLLEAGUES) as at,
        httpx.AsyncClient(base_url=at.premises.url, trust_env=False) as program,
    ):
        sequence = 0

        async def tells(kind: str, state: str) -> None:
            nonlocal sequence
            sequence += 1
            states = [{"user": "ada", "state": state, "sequence": sequence}]
            (await program.post(f"/v1/{kind}", json={"states": states})).raise_for_status()

        written(at, *account(at, "PhoneEvent = dialog"))
        async with at.agent():
            # The winning technology is SipSimple when none is set, and another one counts where SIP knows nothing.
            await tells("presence", "away")
            await at.shows(ada="away")
            await at.publishes("ada")
            await at.shows(ada="available")
            assert at.console.users["ada"]["rich"]["source"] == "SipSimple"

            # Do not disturb over forwarded over busy over available.
            await at.calls("ada", PhoneDialog(id="a", state="confirmed"))
            await at.shows(ada="on_the_phone")
            # The telephony that programs tell is over that of SIP, which cannot say that a phone is forwarded.
            for state, status in (
                ("forwarded_to_voicemail", "forwarded_to_voicemail"),
                ("forwarded_to_number", "forwarded_to_number"),
                ("do_not_disturb", "do_not_disturb"),
                ("idle", "available"),
                ("unknown", "on_the_phone"),  # a program that does not know leaves it to SIP
            ):
                await tells("telephony", state)
                await at.shows(ada=status)
            await tells("telephony", "forwarded_to_voicemail")
            await at.publishes("ada", "dnd")
            await at.shows(ada="do_not_disturb")
            await at.publishes("ada", "busy")
            await at.shows(ada="forwarded_to_voicemail")
            await tells("telephony", "unknown")
            await at.calls("ada")
            await at.shows(ada="busy")
            await eventually(lambda: at.console.users["ada"]["telephony"] == "idle")
