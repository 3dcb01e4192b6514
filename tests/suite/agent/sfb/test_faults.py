"""Skype for Business by UCWA against a stand-in server with faults: what is shown, what is sent, and what is never sent."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import trustme
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from suite.agent.board import Board
from suite.agent.sources import doubt
from suite.agent.sources.sfb import fetching, http, session, skype, subscriber, subscribing
from suite.agent.sources.sfb.hal import MOST_BYTES
from suite.agent.sources.sfb.skype import NOTICE
from suite.agent.sources.source import Connector
from suite.agent.users.reading import Colleague
from tests.suite.agent.sfb.lync import AUTODISCOVER, Lync, answer, application_resource, polled, serving_lync, trouble
from tests.suite.agent.sfb.running import ADA, BEN, QUICK, running, shows
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # conftest says why

EVENTS = r"GET /ucwa/oauth/v1/applications/\d+/events"
SUBSCRIBE = r"POST /ucwa/oauth/v1/applications/\d+/people/presenceSubscriptions"
PRESENCE = r"GET /ucwa/oauth/v1/applications/\d+/people/[^/]+/presence"
ROOT, USER_AT = "GET /", f"GET {AUTODISCOVER}/oauth/user"
TOKEN, APPLICATIONS = "POST /webticket/oauthtoken", "POST /ucwa/oauth/v1/applications"


async def all_is_well(board: Board) -> None:
    await eventually(lambda: (shows(board, "ada"), shows(board, "ben")) == ("available", "in_a_meeting"))


# Signing in


async def test_a_token_that_the_server_forgot_is_got_anew_and_nothing_is_lost(lync: Lync, settings, board):
    async with running(settings, board) as source:
        await all_is_well(board)
        number = lync.app.number
        lync.expire_tokens()
        lync.becomes("ada@contoso.example", "Away")
        await eventually(lambda: shows(board, "ada") == "away")
        assert (source.connector.state, lync.app.number) == (Connector.UP_AND_RUNNING, number)
        assert len(lync.passwords) == 2


async def test_a_token_is_renewed_before_it_ends(lync: Lync, settings, board):
    lync.expires_in = 0  # ten minutes at least, less the five before the end
    async with running(settings, board):
        await all_is_well(board)
        assert len(lync.passwords) == 1


async def test_a_wrong_password_is_sent_once(lync: Lync, settings, board):
    async with running(replace(settings, password="wrong"), board) as source:
        await eventually(lambda: source.connector.state is Connector.CREDENTIALS_NOT_FOUND)
        assert "not tried again" in source.connector.detail
        assert shows(board, "ada") == "credentials_not_found"
        board.set_colleagues([ADA, BEN, Colleague(login="eve", sip_uri="eve@contoso.example")])
        await eventually(lambda: shows(board, "eve") == "credentials_not_found")
        seen = len(lync.seen)
        await asyncio.sleep(0)
        assert (lync.passwords, len(lync.seen)) == (["wrong"], seen)


async def test_a_password_that_is_wrong_later_is_sent_once_too(lync: Lync, settings, board):
    async with running(settings, board) as source:
        await all_is_well(board)
        lync.fault(TOKEN, answer({"error": "invalid_grant"}, 400), times=100)
        lync.expire_tokens()
        lync.becomes("ada@contoso.example", "Away")
        await eventually(lambda: source.connector.state is Connector.CREDENTIALS_NOT_FOUND)
        assert shows(board, "ada") == "credentials_not_found"
        assert lync.count(TOKEN) == 2


async def test_a_server_without_password_sign_in_is_told_no_password(lync: Lync, settings, board):
    lync.grants = "urn:microsoft.rtc:windows,urn:microsoft.rtc:anonmeeting"
    async with running(settings, board) as source:
        await eventually(lambda: source.connector.state is Connector.FORBIDDEN)
        assert "does not offer" in source.connector.detail
        assert lync.passwords == []
        lync.grants += ",password"
        lync.heal()


async def test_a_refusal_that_was_lifted_is_noticed_by_itself(lync: Lync, settings, board, monkeypatch):
    monkeypatch.setattr(skype, "REFUSED_WAIT_S", 0.02)
    lync.fault(APPLICATIONS, trouble(403, "Forbidden"), times=2)
    async with running(settings, board) as source:
        await eventually(lambda: source.connector.state is Connector.FORBIDDEN)
        await all_is_well(board)
        await eventually(lambda: source.connector.state is Connector.UP_AND_RUNNING)


async def test_a_token_that_its_own_host_does_not_accept_is_no_reason_to_sign_in_for_ever(lync: Lync, settings, board):
    lync.fault(USER_AT, lambda request: _challenge(lync, request), times=1_000)
    async with running(settings, board) as source:
        await eventually(lambda: source.connector.state is Connector.FORBIDDEN)
        assert len(lync.passwords) == 1


async def _challenge(lync: Lync, request: Request) -> Response:
    return lync.challenged(request)


# Hosts


@pytest.mark.parametrize(
    "where", ["https://localhost.evil.example/t", "http://127.0.0.1/t", "https://127.0.0.2/t", "//127.0.0.2/t", "t", ""]
)
async def test_the_password_goes_to_no_issuer_elsewhere(lync: Lync, settings, board, where: str):
    response = Response(
        status_code=401, headers={"www-authenticate": f'MsRtcOAuth href="{where}",grant_type="password"'}
    )
    lync.fault(USER_AT, response, times=1_000)
    async with running(settings, board) as source:
        await eventually(lambda: source.connector.state is Connector.CONNECTION_ERROR)
        assert lync.passwords == []


async def test_the_token_goes_to_no_host_elsewhere(lync: Lync, settings, board, cert: trustme.LeafCert):
    async with serving_lync(cert) as elsewhere:
        evil = application_resource("/ucwa/oauth/v1/applications/1", "x@contoso.example")
        evil["_links"]["events"]["href"] = f"{elsewhere.web}/ucwa/oauth/v1/applications/1/events?ack=1"
        lync.fault(APPLICATIONS, answer(evil, 201), times=1_000)
        async with running(settings, board) as source:
            await eventually(lambda: source.connector.state is Connector.CONNECTION_ERROR)
            assert "did not name" in source.connector.detail
        assert elsewhere.seen == []


async def test_a_contact_elsewhere_in_an_event_is_not_asked(lync: Lync, settings, board, cert: trustme.LeafCert):
    async with serving_lync(cert) as elsewhere, running(settings, board) as source:
        await all_is_well(board)
        for host in (elsewhere.web, "https://169.254.169.254", "http://127.0.0.1"):
            contact, presence = f"{host}/people/ada@contoso.example", f"{host}/people/ada@contoso.example/presence"
            for person in (contact, f"{lync.app.path}/people/ada@contoso.example"):
                link = {"rel": "contactPresence", "href": presence}
                lync._push(lync.app, {"link": link, "in": {"rel": "contact", "href": person}, "type": "updated"})
        lync.becomes("ben@contoso.example", "Away")
        await all_of(board, ben="away")
        lync.becomes("ada@contoso.example", "Busy")
        await all_of(board, ada="busy")
        assert (elsewhere.seen, source.connector.state) == ([], Connector.UP_AND_RUNNING)


async def test_autodiscover_redirects_to_another_server_which_is_followed(
    lync: Lync, settings, board, cert: trustme.LeafCert
):
    async with serving_lync(cert) as edge:
        edge.fault(ROOT, answer({"_links": {"redirect": {"href": f"{lync.root}/"}}}))
        async with running(replace(settings, address=f"localhost:{edge.port}"), board):
            await all_is_well(board)
        assert (edge.seen, edge.passwords) == ([ROOT], [])


async def test_redirections_in_a_circle_end(lync: Lync, settings, board):
    lync.fault(ROOT, answer({"_links": {"redirect": {"href": "/"}}}), times=1_000)
    async with running(settings, board) as source:
        await source.tells("without end")


async def test_a_redirection_of_http_is_not_followed(lync: Lync, settings, board):
    lync.fault(ROOT, RedirectResponse("https://127.0.0.2/"), times=1_000)
    async with running(settings, board) as source:
        await source.tells("redirection")


async def test_a_server_that_is_none_of_skypes_is_told(lync: Lync, settings, board):
    lync.fault(ROOT, answer({"hello": "world"}), Response("<html>It works!</html>"), times=1)
    async with running(settings, board) as source:
        await source.tells("has no user resource")
        await all_is_well(board)


async def test_a_certificate_of_somebody_else_is_told(lync: Lync, settings, board):
    stranger = trustme.CA().cert_pem.bytes()
    async with running(replace(settings, ca_pem=stranger), board) as source:
        await source.tells("SfB.CaFile")
        assert lync.seen == []


async def test_without_an_address_the_domain_is_asked_inside_and_then_outside(lync: Lync, settings, board, monkeypatch):
    from suite.agent.sources.sfb import discovery

    roots = discovery.roots_of(replace(settings, address="", domain="contoso.example"))
    assert roots == ("https://lyncdiscoverinternal.contoso.example/", "https://lyncdiscover.contoso.example/")
    monkeypatch.setattr(discovery, "roots_of", lambda _: (f"https://localhost:{lync.port}/inside", lync.root))
    async with running(settings, board):
        await all_is_well(board)


# The event channel


async def test_an_application_that_has_gone_is_made_again(lync: Lync, settings, board):
    async with running(settings, board) as source:
        await all_is_well(board)
        gone = lync.app
        lync.applications.clear()
        lync.presence["ada@contoso.example"] = ("BeRightBack", "")
        gone.more.set()
        lync._push(gone, {})
        await eventually(lambda: shows(board, "ada") == "be_right_back")
        assert lync.app.endpoint != gone.endpoint
        await eventually(lambda: source.connector.state is Connector.UP_AND_RUNNING)
        assert len(lync.passwords) == 1  # the token still counts


@pytest.mark.parametrize("status", [404, 410])
async def test_an_application_that_expired_is_made_again(lync: Lync, settings, board, status: int):
    lync.fault(EVENTS, trouble(status, "Gone", "InactiveApplicationExpired"))
    async with running(settings, board):
        await eventually(lambda: lync.count(APPLICATIONS) == 2)
        await all_is_well(board)


async def test_after_resume_everybody_is_subscribed_to_again_and_uncertain_until_then(lync: Lync, settings, board):
    async with running(settings, board):
        await all_is_well(board)
        lync.fault(SUBSCRIBE, trouble(503, "ServiceUnavailable"), times=5)
        lync.clean_up()
        lync.app.more.set()
        lync.becomes("nobody@contoso.example", "Online")
        await eventually(lambda: shows(board, "ada") == "available?")
        lync.presence["ada@contoso.example"] = ("Busy", "on-the-phone")
        await eventually(lambda: shows(board, "ada") == "in_a_call")
        await all_of(board, ben="in_a_meeting")


async def all_of(board: Board, **shown: str) -> None:
    await eventually(lambda: {login: shows(board, login) for login in shown} == shown)


async def test_resync_is_followed_and_subscriptions_made_again(lync: Lync, settings, board):
    async with running(settings, board):
        await all_is_well(board)
        await lync.next_polls_get(answer({"_links": {"next": {"href": f"{lync.app.path}/events?ack=99"}}}))
        await eventually(lambda: lync.count(SUBSCRIBE) == 2)
        await all_is_well(board)
    assert [each.partition("=")[0] for each in lync.wrong] == ["events: ack"]  # as it was meant to be
    lync.wrong.clear()


async def test_a_channel_that_resets_without_end_is_given_up_and_begun_anew(lync: Lync, settings, board):
    lync.fault(
        EVENTS, answer({"_links": {"resync": {"href": "/ucwa/oauth/v1/applications/105/events?ack=1"}}}), times=4
    )
    async with running(settings, board):
        await eventually(lambda: lync.count(APPLICATIONS) == 2)
        await all_is_well(board)


async def test_an_answer_that_was_lost_is_sent_again(lync: Lync, settings, board):
    async def lost(request: Request) -> Response:
        """The server sends the events, and half of them arrive."""
        whole = await lync.events(lync.app, request)
        return Response(bytes(whole.body)[:-10], media_type="application/json")

    async with running(settings, board):
        await all_is_well(board)
        await lync.next_polls_get(trouble(504, "Timeout"))
        lync.fault(EVENTS, lost)
        lync._push(lync.app, {})
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="away")
        await eventually(lync.has_played)
        lync.becomes("ada@contoso.example", "Busy")
        await all_of(board, ada="busy")
        assert lync.count(APPLICATIONS) == 1


async def test_a_channel_that_stays_broken_is_told_and_what_was_known_is_uncertain(
    lync: Lync, settings, board, monkeypatch
):
    monkeypatch.setattr(doubt, "UNCERTAIN_AFTER_S", 0.05)
    async with running(settings, board) as source:
        await all_is_well(board)
        for pattern in (EVENTS, ROOT):
            lync.fault(pattern, trouble(500, "ServiceFailure"), times=100_000)
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="away?", ben="in_a_meeting?")
        await eventually(lambda: source.connector.state is Connector.CONNECTION_ERROR)
        assert NOTICE in source.connector.detail
        lync.heal()
        await all_of(board, ada="away", ben="in_a_meeting")


async def test_a_channel_that_stays_broken_for_long_leaves_nothing_to_show(lync: Lync, settings, board):
    async with running(replace(settings, unknown_after=timedelta(seconds=0.2)), board):
        await all_is_well(board)
        for pattern in (EVENTS, ROOT):
            lync.fault(pattern, trouble(500, "ServiceFailure"), times=100_000)
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="connection_error", ben="connection_error")
        lync.heal()
        await all_of(board, ada="away", ben="in_a_meeting")


async def test_a_server_that_does_not_answer_any_more_is_noticed(lync: Lync, settings, board):
    never = asyncio.Event()

    async def silent(_: Request) -> Response:
        await never.wait()
        return Response()

    async with running(settings, board, replace(QUICK, late=0.3)) as source:
        await all_is_well(board)
        lync.hold_s = 0.05
        await lync.next_polls_get(silent)
        await source.tells("does not answer")
        never.set()
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="away")


async def test_an_answer_that_comes_byte_by_byte_ends(lync: Lync, settings, board):
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.005)

    async def drip(_: Request) -> Response:
        return StreamingResponse(drops(), media_type="application/json")

    lync.fault(ROOT, drip)
    async with running(settings, board, replace(QUICK, request=2.0)) as source:
        await source.tells("does not answer")
        await all_is_well(board)


@pytest.mark.parametrize(
    "body",
    [
        b"{" * 100_000,
        b'{"a":' * 50_000,
        b"[" * 500_000,
        b"not json",
        b'{"_links":[]}',
        b'{"_links":{"next":{"href":7}}}',
        b"\xff",
        b"null",
    ],
)
async def test_an_answer_of_nonsense_costs_nothing_but_the_time_to_ask_again(lync: Lync, settings, board, body: bytes):
    async with running(settings, board):
        await all_is_well(board)
        await lync.next_polls_get(Response(body, media_type="application/json"), times=2)
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="away")
        assert lync.count(APPLICATIONS) == 1


async def test_a_body_without_end_is_cut_and_a_compressed_one_is_not_opened(lync: Lync, settings, board):
    sent = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65_536
            yield b" " * 65_536
            await asyncio.sleep(0.001)

    async def endless(_: Request) -> Response:
        return StreamingResponse(flood(), media_type="application/json")

    async with running(settings, board) as source:
        await all_is_well(board)
        await lync.next_polls_get(endless, Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}))
        await source.tells("too large")
        await source.tells("compressed")
        assert sent > MOST_BYTES
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="away")


async def test_another_poll_of_the_same_application_makes_a_new_one(lync: Lync, settings, board):
    lync.fault(EVENTS, trouble(409, "Conflict", "PGetReplaced"), times=3)
    async with running(settings, board):
        await eventually(lambda: lync.count(APPLICATIONS) == 2)
        await all_is_well(board)


# Subscriptions


async def test_a_warning_that_a_subscription_ends_extends_it(lync: Lync, settings, board, monkeypatch):
    monkeypatch.setattr(subscribing, "AT_REST_S", 0.0)
    async with running(settings, board):
        await all_is_well(board)
        [name] = lync.app.subscriptions
        lync.ends()
        await eventually(lambda: lync.extended == [name])
        assert lync.count(SUBSCRIBE) == 1


async def test_a_subscription_that_ended_is_made_again(lync: Lync, settings, board, monkeypatch):
    monkeypatch.setattr(subscribing, "AGAIN_S", 0.0)
    monkeypatch.setattr(subscribing, "AT_REST_S", 0.0)
    async with running(settings, board):
        await all_is_well(board)
        lync.ends("deleted")
        await eventually(lambda: lync.count(SUBSCRIBE) == 2)
        lync.app.subscriptions = {}  # it ends without a word, and the extension comes too late
        lync._push(
            lync.app,
            {
                "link": {"rel": "presenceSubscription", "href": f"{lync.app.path}/people/presenceSubscriptions/none"},
                "type": "updated",
            },
        )
        lync.becomes("ada@contoso.example", "Online")
        await all_is_well(board)


async def test_a_new_colleague_joins_a_subscription_and_one_who_left_is_not_asked_for_again(
    lync: Lync, settings, board
):
    lync.presence["eve@contoso.example"] = ("Away", "")
    async with running(settings, board):
        await all_is_well(board)
        board.set_colleagues([ADA, Colleague(login="eve", sip_uri="EVE@contoso.example")])
        await all_of(board, ada="available", eve="away")
        assert lync.count(SUBSCRIBE) == 1
        board.set_colleagues([Colleague(login="ada", sip_uri="ben@contoso.example")])
        await all_of(board, ada="in_a_meeting")


async def test_two_colleagues_with_one_address_are_shown_the_same(lync: Lync, settings, board):
    board.set_colleagues([ADA, Colleague(login="ada at night", sip_uri="ADA@contoso.example")])
    async with running(settings, board):
        await eventually(lambda: (shows(board, "ada"), shows(board, "ada at night")) == ("available", "available"))


async def test_many_colleagues_are_several_subscriptions(lync: Lync, settings, board, monkeypatch):
    monkeypatch.setattr(subscribing, "PAGE", 10)
    lync.presence = {f"u{number}@contoso.example": ("Online", "") for number in range(25)}
    board.set_colleagues([Colleague(login=f"u{number}", sip_uri=f"u{number}@contoso.example") for number in range(25)])
    async with running(settings, board):
        await eventually(lambda: {shows(board, f"u{number}") for number in range(25)} == {"available"})
        assert sorted(map(len, lync.app.subscriptions.values())) == [5, 10, 10]


async def test_many_colleagues_are_subscribed_to_as_the_event_channel_keeps_up(
    lync: Lync, settings, board, monkeypatch
):
    monkeypatch.setattr(subscriber, "PAGES_A_POLL", 1)
    monkeypatch.setattr(subscribing, "PAGE", 10)
    longest = 0

    async def measured(request: Request) -> Response:
        nonlocal longest
        response = await lync.events(lync.app, request)
        longest = max(longest, bytes(response.body).count(b"contactPresence"))
        return response

    lync.fault(EVENTS, measured, times=100_000)
    lync.presence = {f"u{number}@contoso.example": ("Online", "") for number in range(45)}
    board.set_colleagues([Colleague(login=f"u{number}", sip_uri=f"u{number}@contoso.example") for number in range(45)])
    async with running(settings, board, replace(QUICK, quiet=3.0)):
        await eventually(lambda: {shows(board, f"u{number}") for number in range(45)} == {"available"})
    assert longest <= 20


async def test_beyond_the_servers_limit_colleagues_are_said_to_be_too_many(lync: Lync, settings, board):
    lync.limit = 1
    board.set_colleagues([ADA])
    async with running(settings, board) as source:
        await all_of(board, ada="available")
        board.set_colleagues([ADA, BEN])
        await all_of(board, ada="available", ben="too_many_users")
        await source.tells("1 colleagues are left out", Connector.UP_AND_RUNNING)
        await eventually(lambda: source.connector.state is Connector.UP_AND_RUNNING)


async def test_one_address_that_the_server_does_not_accept_keeps_nobody_else_out(lync: Lync, settings, board):
    lync.unfit = {"bad@contoso.example"}
    board.set_colleagues([ADA, BEN, Colleague(login="bad", sip_uri="bad@contoso.example")])
    async with running(settings, board):
        await all_of(board, ada="available", ben="in_a_meeting", bad="not_found")


async def test_a_server_that_accepts_no_subscription_at_all_is_told_and_not_flooded(lync: Lync, settings, board):
    lync.fault(SUBSCRIBE, trouble(400, "BadRequest", "ParameterValidationFailure"), times=100_000)
    board.set_colleagues([Colleague(login=f"u{number}", sip_uri=f"u{number}@contoso.example") for number in range(250)])
    async with running(settings, board) as source:
        await source.tells("does not accept a request (status 400, ParameterValidationFailure)")
        assert lync.count(SUBSCRIBE) < 12 * lync.count(APPLICATIONS)


async def test_a_proxy_that_cuts_long_polls_is_no_fault_of_the_server(lync: Lync, settings, board, monkeypatch):
    monkeypatch.setattr(session, "HELD_S", 0.0)
    async with running(settings, board) as source:
        await all_is_well(board)
        await lync.next_polls_get(trouble(504, "Timeout"), trouble(502, "x"), trouble(408, "ClientTimeout"), times=4)
        lync.becomes("ada@contoso.example", "Away")
        await all_of(board, ada="away")
        assert lync.count(APPLICATIONS) == 1
        assert all(each.state is not Connector.CONNECTION_ERROR for each in source.told)


async def test_a_user_who_may_not_subscribe_is_forbidden(lync: Lync, settings, board):
    lync.fault(SUBSCRIBE, trouble(403, "Forbidden"), times=100)
    async with running(settings, board) as source:
        await eventually(lambda: source.connector.state is Connector.FORBIDDEN)
        assert shows(board, "ada") == "forbidden"


async def test_a_server_that_asks_to_wait_is_waited_for(lync: Lync, settings, board):
    busy = [trouble(429, "TooManyRequests"), trouble(503, "ServiceUnavailable", Retry_After="0")]
    for pattern in (ROOT, APPLICATIONS, SUBSCRIBE, EVENTS, PRESENCE):
        lync.fault(pattern, *busy)
    async with running(settings, board):
        await all_is_well(board)
        lync.heal()
    assert [http._wait_s(text) for text in ("7", "999999", "Sun, 29 Nov 2026 20:00:00 GMT", "-1", "1e9", "")] == [
        7.0,
        600.0,
        0.0,
        0.0,
        0.0,
        0.0,
    ]


# People


async def test_who_is_silent_is_looked_up_among_the_members(lync: Lync, settings, board):
    lync.speaks_first = False
    async with running(settings, board):
        await all_is_well(board)


async def test_whom_the_server_does_not_know_is_not_reported(lync: Lync, settings, board):
    board.set_colleagues([ADA, Colleague(login="ghost", sip_uri="ghost@contoso.example")])
    async with running(settings, board):
        await all_of(board, ada="available", ghost="not_reported")
        lync.presence["ghost@contoso.example"] = ("Online", "")
        lync.becomes("ghost@contoso.example", "Away")
        await all_of(board, ghost="away")


@pytest.mark.parametrize(
    ("status", "times", "shown"),
    [
        (403, 1, "access_denied"),
        (404, 1, "not_found"),
        (500, 3, "not_reported"),
        (500, 2, "available"),
        (429, 5, "available"),
    ],
)
async def test_one_whose_presence_cannot_be_had_keeps_nobody_else_out(
    lync: Lync, settings, board, status: int, times: int, shown: str
):
    lync.fault(r"GET .*/people/ada@contoso.example/presence", trouble(status, "x"), times=times)
    async with running(settings, board):
        await all_of(board, ada=shown, ben="in_a_meeting")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"availability": 7},
        {"availability": "Sleeping"},
        {"availability": "x" * 100_000},
        {"availability": ["Online"]},
    ],
)
async def test_an_availability_that_nobody_published_is_unknown(lync: Lync, settings, board, value: dict[str, object]):
    lync.fault(r"GET .*/people/ada@contoso.example/presence", answer(value))
    async with running(settings, board):
        await all_of(board, ada="presence_unknown", ben="in_a_meeting")


async def test_a_server_that_names_contacts_without_end_is_asked_for_as_many_as_were_wanted(
    lync: Lync, settings, board, monkeypatch
):
    monkeypatch.setattr(fetching, "_SPARE", 50)
    async with running(settings, board):
        await all_is_well(board)
        strangers = [lync._presence_event(lync.app, f"s{number}@contoso.example") for number in range(500)]
        lync._push(lync.app, *strangers)
        lync.becomes("ada@contoso.example", "Away")
        await eventually(
            lambda: lync.count(r"GET .*/people/s\d+@contoso.example") > 53
        )  # the agent forgets whom it knew
        others = [lync._presence_event(lync.app, f"t{number}@contoso.example") for number in range(500)]
        lync.presence["ben@contoso.example"] = ("Away", "")
        lync._push(lync.app, *others, lync._presence_event(lync.app, "ben@contoso.example"))
        await all_of(board, ben="away")
        assert lync.count(r"GET .*/people/[st]\d+@contoso.example") < 220
        assert lync.count(r"GET .*/people/[st]\d+@contoso.example/presence") == 0


async def test_somebody_else_than_the_uri_names_is_told(lync: Lync, settings, board):
    async with running(replace(settings, uri="other@contoso.example"), board) as source:
        await all_is_well(board)
        assert "another user than SfB.Uri" in source.connector.detail


async def test_a_fault_of_our_own_does_not_end_the_agent(lync: Lync, settings, board, monkeypatch, caplog):
    failures = iter([True])

    def events_of(*given: object) -> object:
        if next(failures, False):
            raise KeyError("ada@contoso.example is online")
        return original(*given)

    original = session.events_of
    monkeypatch.setattr(session, "events_of", events_of)
    async with running(settings, board):
        await all_is_well(board)
        await eventually(lambda: lync.count(APPLICATIONS) == 2)
    assert re.search(r"Report it: KeyError in events_of, line \d+", caplog.text)
    assert "ada@contoso.example is online" not in caplog.text


async def test_the_source_stops_at_once_when_the_server_is_dead(lync: Lync, settings, board):
    async with running(settings, board):
        await polled(lync)
        lync.fault(".*", trouble(500, "x"), times=100)
    assert shows(board, "ada") == "no_source"
    with contextlib.suppress(KeyError):
        lync.applications.clear()
