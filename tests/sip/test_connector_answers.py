"""The connector at servers that refuse, forget, say nothing, or say nonsense."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.settings.groups.sip_simple import SipSimpleSettings
from suite.agent.sources.sip.source import SipSource, SipTiming
from suite.agent.users.reading import Colleague
from suite.backoff import Backoff
from suite.names import key_of
from suite.sip.dialoginfo import CONTENT_TYPE as DIALOGS
from suite.sip.dialoginfo import DialogInfo, PhoneDialog, write_dialog_info
from suite.sip.message import SipMessage, SipRequest
from suite.sip.pidf import CONTENT_TYPE as PIDF
from suite.sip.pidf import PidfDocument, write_pidf
from suite.sip.replies import reply
from suite.sip.resource_lists import ListedResource, ListNotification, write_list
from suite.sip.transactions import Timers
from suite.sip.user_agent import UserAgentSettings
from tests.sip.scripted_server import Answer, ScriptedServer, accept, is_new, notify, refuses, scripted, tells
from tests.support.waiting import eventually

QUICK = UserAgentSettings(timers=Timers(t1=0.05, t2=0.2, t4=0.2))
"""Gives up after 3.2 s."""
AWAY = write_pidf(PidfDocument(entity="sip:a@pbx.example", is_open=True, activities=frozenset({"away"})))


@dataclass
class Running:
    """A source that runs on a board."""

    source: SipSource
    board: Board

    def statuses(self) -> dict[str, str]:
        shown = {key: entry.shown for key, entry in self.board.entries.items()}
        return {str(key): one.reason or one.status.value for key, one in shown.items()}

    async def shows(self, **users: str) -> None:
        await eventually(
            lambda: {user: self.statuses()[user] for user in users} == users,
            60,
            explain=lambda: (self.statuses(), self.source.connector),
        )

    async def sees(self, state: str, detail: str = "") -> None:
        await eventually(
            lambda: self.source.connector.state == state and detail in self.source.connector.detail,
            60,
            explain=lambda: self.source.connector,
        )


@asynccontextmanager
async def running(
    *servers: ScriptedServer,
    users: str = "ada ben",
    timing: SipTiming | None = None,
    agent: UserAgentSettings | None = None,
    **settings: object,
) -> AsyncIterator[Running]:
    board = Board(SourceName.SIP)
    board.set_colleagues([Colleague(login=user, sip_uri=f"{user}@pbx.example") for user in users.split()])
    chosen = SipSimpleSettings(
        enabled=True,
        servers=tuple(server.address for server in servers),
        uri="sip:suite@pbx.example",
        user="suite",
        password="secret",
        per_s=1000,
    )
    source = SipSource(
        replace(chosen, **settings),  # type: ignore[arg-type]
        board,
        backoff=Backoff(lambda low, high: min(high, 0.1)),
        timing=timing,
        user_agent=agent,
    )
    board.on_watched = source.watch
    task = asyncio.create_task(source.run())
    try:
        yield Running(source, board)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert all(not entry.rich for entry in board.entries.values())


def at_least(seconds: int) -> dict[str, object]:
    """A server that wants subscriptions to last so long."""

    def answer(request: SipRequest) -> list[SipMessage]:
        if int(request.headers.first("expires") or 0) < seconds:
            return [reply(request, 423, "Interval Too Brief", ("Min-Expires", str(seconds)), to_tag="server")]
        return [accept(request), notify(request)]

    return {"brief": answer}


async def test_each_user_is_shown_as_the_server_answers():
    answers = {
        "denied": refuses(403),
        "nobody": refuses(404),
        "broken": refuses(500),
        "event": refuses(489, ("Allow-Events", "dialog")),
        "moved": refuses(302, ("Contact", "<sip:moved@127.0.0.1:1>")),
        "later": refuses(503, ("Retry-After", "30")),
        "rejected": tells(b"", state="terminated;reason=rejected"),
        "gone": tells(b"", state="terminated;reason=noresource"),
        "asks": tells(b"", state="pending;expires=3600"),
        "empty": tells(b""),
        "bomb": tells(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        "other": tells(b"hello", content_type="text/plain"),
        **at_least(7200),
    }
    async with scripted(**answers) as server, running(server, users=" ".join(answers)) as at:
        await at.shows(
            denied="access_denied", nobody="not_found", broken="error", event="error", moved="error", later="error",
            rejected="access_denied", gone="not_found", asks="requesting", empty="presence_unknown", bomb="error",
            other="error", brief="available",
        )  # fmt: skip
        await at.sees("up_and_running")
        for user in ("denied", "nobody", "event", "moved", "later", "rejected", "gone"):
            assert server.asked[user] == 1, user  # it is not asked again at once
        assert server.asked["brief"] == 2


async def test_a_server_that_takes_a_subscription_and_tells_nothing_is_an_error_of_that_user():
    async with scripted(ada=lambda request: [accept(request)]) as server, running(server, agent=QUICK) as at:
        await at.shows(ada="error", ben="available")


async def test_a_wrong_password_is_tried_once_whatever_nonces_come():
    nonces = itertools.count()

    def challenges(request: SipRequest) -> list[SipMessage]:
        ask = f'Digest realm="pbx.example", nonce="{next(nonces)}", qop="auth", algorithm=MD5, stale=true'
        return [reply(request, 407, "Proxy Authentication Required", ("Proxy-Authenticate", ask), to_tag="server")]

    users = dict.fromkeys(("suite", "ada", "ben"), challenges)
    async with scripted(**users) as server, running(server) as at:
        await at.sees("forbidden", "does not take the user name and password")
        await at.shows(ada="forbidden", ben="forbidden")
        assert server.asked["suite"] <= 3
        assert server.asked["ada"] == server.asked["ben"] == 0


async def test_a_password_that_is_not_taken_any_more_stops_everything():
    ask = 'Digest realm="pbx.example", nonce="1", qop="auth"'
    denies = refuses(401, ("WWW-Authenticate", ask))
    users = [f"user{number}" for number in range(50)]
    async with scripted() as server, running(server, users=" ".join(users), per_s=20) as at:
        await at.sees("up_and_running")
        server.answers.update(dict.fromkeys([*users, "suite"], denies))
        await at.sees("forbidden")
        tried = server.asked.total()
        await at.shows(**dict.fromkeys(users, "forbidden"))
        assert server.asked.total() == tried  # nobody else was asked for
        assert sum(not entry.shown.reason for entry in at.board.entries.values()) == 0


@pytest.mark.parametrize(
    ("answer", "state", "detail", "ada"),
    [
        (refuses(404), "credentials_not_found", "SipSimple.Uri", "available"),
        (refuses(403), "forbidden", "may subscribe", "forbidden"),
        (refuses(489), "connection_error", "SipSimple.PresenceServer = 0", "requesting"),
        (refuses(302), "connection_error", "SipSimple.Address", "requesting"),
        (refuses(503, ("Retry-After", "60")), "connection_error", "503", "requesting"),
        (tells(b"", state="terminated;reason=noresource"), "credentials_not_found", "SipSimple.Uri", "available"),
        (tells(b"", state="terminated;reason=rejected"), "forbidden", "rejected", "forbidden"),
    ],
)
async def test_the_connection_is_shown_as_the_server_answers_for_the_agent_itself(
    answer: object, state: str, detail: str, ada: str
):
    async with scripted(suite=answer) as server, running(server) as at:  # type: ignore[arg-type]
        await at.sees(state, detail)
        await at.shows(ada=ada)


async def test_a_server_that_takes_the_login_and_refuses_the_form_of_the_question_is_up_and_running():
    """Asterisk answers 400 to a SUBSCRIBE that lasts no time, after the login."""
    ask = 'Digest realm="asterisk", nonce="1", qop="auth"'

    def answer(request: SipRequest) -> list[SipMessage]:
        if request.headers.first("authorization") is None:
            return [reply(request, 401, "Unauthorized", ("WWW-Authenticate", ask), to_tag="server")]
        return [reply(request, 400, "Bad Request", to_tag="server")]

    async with scripted(suite=answer) as server, running(server) as at:
        await at.sees("up_and_running", "")
        await at.shows(ada="available")


async def test_a_server_that_forgot_subscriptions_on_udp_is_found_out_and_all_begin_anew():
    users = [f"user{number}" for number in range(20)]
    timing = SipTiming(check_every=0.1)
    async with scripted() as server, running(server, users=" ".join(users), timing=timing) as at:
        await at.shows(**dict.fromkeys(users, "available"))
        before = server.begun.copy()

        def forgets(request: SipRequest) -> list[SipMessage]:
            if is_new(request):
                return list(tells(AWAY)(request))  # type: ignore[arg-type]
            return [reply(request, 481, "Subscription Does Not Exist")]

        server.answers.update(dict.fromkeys(users, forgets))
        await at.shows(**dict.fromkeys(users, "away"))
        assert all(server.begun[user] > before[user] for user in users)


async def test_the_next_server_is_used_while_the_preferred_one_does_not_answer_and_then_the_preferred_one_again():
    timing = SipTiming(check_every=0.1, look_at_preferred_every=0.2)
    async with (
        scripted(suite=refuses(503)) as one,
        scripted(ada=tells(AWAY)) as two,
        running(one, two, timing=timing) as at,
    ):
        await at.shows(ada="away", ben="available")
        await at.sees("up_and_running", f"{two.address} (udp) is used, because {one.address}")
        assert one.asked["ada"] == 0
        del one.answers["suite"]
        seen: set[str] = set()
        with at.board.listening(None, None):
            while at.statuses()["ada"] != "available":
                seen.add(at.statuses()["ada"])
                await asyncio.sleep(0.002)
        assert seen <= {"away"}  # what the other one said counts until this one has told something
        await at.sees("up_and_running", "")
        assert one.begun["ada"] >= 1


async def test_nothing_is_known_any_more_when_there_has_been_no_server_for_long():
    async with scripted() as server:
        timing = SipTiming(check_every=0.1)
        async with running(server, agent=QUICK, timing=timing, unknown_after=timedelta(seconds=0.2)) as at:
            await at.shows(ada="available")
            server.answers.update(dict.fromkeys(("suite", "ada", "ben"), lambda _: []))
            await at.sees("connection_error", "did not answer")
            await at.shows(ada="connection_error", ben="connection_error")
            server.answers.clear()
            await at.sees("up_and_running")
            await at.shows(ada="available", ben="available")


async def test_a_change_of_dialogs_that_was_lost_is_made_good_by_another_subscription():
    def partial(request: SipRequest) -> list[SipMessage]:
        told = DialogInfo(entity="sip:ada@pbx.example", version=7, is_full=False)
        return [accept(request), notify(request, write_dialog_info(told), content_type=DIALOGS)]

    full = DialogInfo(
        entity="sip:ada@pbx.example", version=0, is_full=True, dialogs=(PhoneDialog(id="a", state="confirmed"),)
    )
    fine = tells(write_dialog_info(full), content_type=DIALOGS)
    tried: list[int] = []

    def once_partial(request: SipRequest) -> list[SipMessage]:
        tried.append(1)
        return partial(request) if len(tried) == 1 else list(fine(request))  # type: ignore[arg-type]

    async with (
        scripted(**{"1001": once_partial}, suite=fine) as server,
        running(server, is_by_uri=False, phone_event="dialog", domain="pbx.example") as at,
    ):
        at.board.set_colleagues([Colleague(login="ada", extension="1001")])
        await at.shows(ada="on_the_phone")
        assert server.begun["1001"] == 2


async def test_a_user_of_two_colleagues_is_asked_for_once_and_both_are_shown():
    async with scripted() as server, running(server) as at:
        at.board.set_colleagues(
            [
                Colleague(login=name, sip_uri=uri)
                for name, uri in (("ada", "ada@PBX.example"), ("eva", "ada@pbx.example"))
            ]
        )
        await at.shows(ada="available", eva="available")
        assert server.begun["ada"] == 1
        assert at.board.entries[key_of("eva")].colleague.login == "eva"


def told_list(*resources: ListedResource, version: int = 0, is_full: bool = True) -> Answer:
    """Take the subscription to a list, and tell what is in it."""
    told = ListNotification(uri="sip:all@pbx.example", version=version, is_full=is_full, resources=resources)
    line, body = write_list(told)

    def answer(request: SipRequest) -> list[SipMessage]:
        return [accept(request, ("Require", "eventlist")), notify(request, body, content_type=line)]

    return answer


def listed(user: str, body: bytes | None = None, state: str = "active", reason: str = "") -> ListedResource:
    uri = f"sip:{user}@pbx.example"
    return ListedResource(uri=uri, state=state, reason=reason, content_type=PIDF if body else "", body=body)


async def test_a_list_with_all_documents_at_once_tells_of_everybody_in_it():
    everybody = told_list(
        listed("ada", AWAY),
        listed("ben", state="terminated", reason="noresource"),
        listed("carla", state="terminated", reason="rejected"),
        listed("dora"),
        listed("eva", state=""),
        listed("fay", b"<presence"),
        listed("gus", state="pending"),
    )
    users = "ada ben carla dora eva fay gus hal"
    async with scripted(all=everybody) as server, running(server, users=users, list_uri="sip:all@pbx.example") as at:
        await at.shows(
            ada="away", ben="not_found", carla="access_denied", dora="presence_unknown", eva="requesting", fay="error",
            gus="requesting", hal="available",
        )  # fmt: skip
        assert {user for user in server.asked if server.asked[user]} == {"suite", "all", "hal"}
        at.board.set_colleagues([Colleague(login="ada2", sip_uri="ada@pbx.example")])
        await at.shows(ada2="away")
        assert server.asked["ada"] == 0


@pytest.mark.parametrize("answer", [refuses(404), refuses(489), refuses(420), tells()])
async def test_everybody_is_asked_for_alone_when_the_list_is_refused_or_is_none(answer: Answer):
    async with scripted(all=answer) as server, running(server, list_uri="sip:all@pbx.example") as at:
        await at.shows(ada="available", ben="available")
        assert server.asked["all"] == 1


async def test_a_list_of_which_something_is_lost_again_and_again_is_given_up():
    partial = told_list(listed("ada", AWAY), version=7, is_full=False)
    async with scripted(all=partial) as server, running(server, list_uri="sip:all@pbx.example") as at:
        await at.shows(ada="available", ben="available")
        assert server.begun["all"] == 3
