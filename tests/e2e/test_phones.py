"""From a person's device to the display of a phone: the local Microsoft cloud, relay, agent, Kamailio, and phones of others."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from suite.agent.core.values import ShownStatus
from suite.agent.sipserver.words import word_of
from tests.e2e.conftest import Edges, running
from tests.sip.kamailio import started
from tests.sip.phones import baresip, pjsip
from tests.suite.agent.agents import Premises
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

pytestmark = pytest.mark.long

COLLEAGUES = "login,upn,sip\nada,ada@contoso.example,ada@teams.example\nben,ben@contoso.example,ben@teams.example\n"
URIS = {"Ada": "sip:ada@teams.example", "Ben": "sip:ben@teams.example"}
ONLINE, OFFLINE, BUSY = (1, 0), (2, 0), (1, 2)
"""PJSIP's status and activity."""

# In Teams of Ada and Ben; what phones tell of each.
STEPS = (
    ("Available", ShownStatus.AVAILABLE, "Online", ONLINE, "Busy", ShownStatus.BUSY, "Busy", BUSY),
    ("AvailableIdle", ShownStatus.AVAILABLE_IDLE, "Online", ONLINE, "BusyIdle", ShownStatus.BUSY_IDLE, "Busy", BUSY),
    ("Offline", ShownStatus.OFFLINE, "Offline", OFFLINE, "Offline", ShownStatus.OFFLINE, "Offline", OFFLINE),
)


async def test_phones_see_colleagues_become_idle_and_then_offline(relay: Relay, edges: Edges, tmp_path: Path):
    folders = {name: tmp_path / name for name in ("kamailio", "tcp", "tls", "pjsip", "agent")}
    for folder in folders.values():
        folder.mkdir()
    with ExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, started(folders["kamailio"]))
        async with running(relay, edges) as tenant:
            premises = Premises(folders["agent"], edges.address, free_port())
            premises.more = (
                f"[SipServer]\nEnable = 1\nUdpPort = 0\nTcpPort = {server.behind_port}\nDomains = teams.example\n"
            )
            premises.write(COLLEAGUES, edges.ca_pem, await edges.key(tenant))
            relay.microsoft.set_presence("ben@contoso.example", "Busy")
            async with premises.agent():
                phones = [stack.enter_context(baresip(server, folders[each], each, URIS)) for each in ("tcp", "tls")]
                other = stack.enter_context(pjsip(server, folders["pjsip"], "tcp", list(URIS.values())))
                for ada, ada_word, ada_lamp, ada_seen, ben, ben_word, ben_lamp, ben_seen in STEPS:
                    relay.microsoft.set_presence("ada@contoso.example", ada)
                    relay.microsoft.set_presence("ben@contoso.example", ben)
                    notes = [word_of(each, "en", is_uncertain=False) for each in (ada_word, ben_word)]
                    for phone in phones:
                        seen = [(ada_lamp, notes[0]), (ben_lamp, notes[1])]
                        await eventually(
                            lambda phone=phone, seen=seen: asyncio.to_thread(
                                lambda: [(phone.shows(name), phone.note(uri)) for name, uri in URIS.items()] == seen
                            ),
                            explain=lambda phone=phone: phone.said()[-3000:],
                        )
                    wanted = [(*ada_seen, notes[0]), (*ben_seen, notes[1])]
                    await eventually(
                        lambda wanted=wanted: [other.shows(uri) for uri in URIS.values()] == wanted,
                        explain=lambda: [other.shows(uri) for uri in URIS.values()],
                    )
                for phone in phones:
                    assert phone.said().count("<rpid:user-input>idle</rpid:user-input>") >= 2
