"""The agent's SIP server survives what a grammar fuzzer sends it, and finds nobody for URIs that are nonsense."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.agent.board import Board
from suite.agent.core.values import RichState, SourceName
from suite.agent.settings.groups.sip_server import SipServerSettings
from suite.agent.sipserver.finding import entity_of, find_colleague
from suite.agent.sipserver.lists import ColleagueLists
from suite.sip.flows import TransportLimits
from suite.sip.transactions import Timers
from suite.sip.user_agent import UserAgentSettings
from tests.sip.grammar import Grammar
from tests.sip.peers import peer
from tests.sip.test_fuzz import stream
from tests.suite.agent.phones import ADA, BEN, asked, phones_place, presence_of, watching
from tests.suite.agent.test_sip_publishing import OPEN

UNLIMITED = TransportLimits(requests_per_s=1e9, burst=1e9, half_message_s=1.0)
QUICK = UserAgentSettings(timers=Timers(t1=0.01, t2=0.02, t4=0.02), limits=UNLIMITED, most_transactions=2000)
URIS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(codec="ascii"), max_size=40).map(lambda text: f"sip:{text}"),
    st.tuples(st.sampled_from(["sip", "sips", "tel"]), st.text(max_size=20), st.text(max_size=20)).map(
        lambda parts: f"{parts[0]}:{parts[1]}@{parts[2]}"
    ),
)


def board() -> Board:
    made = Board(SourceName.TEAMS)
    made.set_colleagues([ADA, BEN])
    return made


BOARD = board()


@given(URIS, st.sampled_from([(), ("pbx.example",)]))
def test_whatever_a_uri_is_it_names_a_colleague_a_list_or_nobody(uri: str, domains: tuple[str, ...]):
    found = find_colleague(BOARD, uri, domains)
    assert found is None or found[0] in BOARD.entries
    assert ColleagueLists(BOARD, {"sales": ("ada",)}).named_by(uri, domains) in (None, "everyone", "sales")
    entity_of(uri)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12])
async def test_the_server_survives_a_grammar_fuzzer(seed: int, caplog: pytest.LogCaptureFixture):
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    settings: SipServerSettings = replace(OPEN, subscriptions=200, subscriptions_per_address=200, per_s=1000)
    grammar = Grammar(seed)
    async with phones_place(settings=settings, user_agent=QUICK) as place, watching() as phone, peer() as stranger:
        for _ in range(3):
            for number in range(300):
                data = grammar.message()
                stranger.send(data.replace(b"ada@teams.example", b"ada@pbx.example"), place.udp)
                if number % 10 == 0:
                    stranger.send(asked(who="everyone@pbx.example", supported="eventlist"), place.udp)
                    place.say(RichState.BUSY if number % 20 else RichState.AWAY)
                await asyncio.sleep(0)
            for _ in range(20):
                with suppress(OSError):
                    await stream(place.addresses["tcp"].port, grammar)
            assert len(place.server) <= 200
        await phone.fetch(place.at("tcp"), presence_of())
    assert errors == []
    assert "This is a bug" not in caplog.text
