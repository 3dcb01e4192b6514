"""Against a real Kamailio."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from suite.sip import dialoginfo, pidf
from suite.sip.challenges import DigestClient
from suite.sip.dialoginfo import DialogInfo, DialogsHeld, PhoneDialog, read_dialog_info, write_dialog_info
from suite.sip.digest import Login
from suite.sip.errors import SipDenied, SipRefusal
from suite.sip.flows import SipProtocol
from suite.sip.notifier import Notifier
from suite.sip.pidf import PidfDocument, read_pidf, write_pidf
from suite.sip.resource_lists import ListHeld, read_list
from suite.sip.servers import SipServer
from suite.sip.subscriber import (
    Subscriber,
    SubscriptionAccepted,
    SubscriptionEvent,
    SubscriptionTrouble,
    SubscriptionWish,
)
from suite.sip.subscriptions import Notification, SubscriptionEnd
from suite.sip.user_agent import UserAgent
from tests.sip.kamailio import PASSWORDS, Kamailio, started
from tests.sip.publication import Publication
from tests.sip.test_notifier import Shown
from tests.support.waiting import eventually

PROTOCOLS: tuple[SipProtocol, ...] = ("udp", "tcp", "tls")


def server_at(kamailio: Kamailio, protocol: SipProtocol = "udp", password: str = "pw-suite") -> SipServer:
    tls = ssl.create_default_context()
    kamailio.authority.configure_trust(tls)
    port = kamailio.tls_port if protocol == "tls" else kamailio.port
    digest = DigestClient(Login(user="suite", password=password))
    return SipServer.at(f"127.0.0.1:{port}", protocol, digest=digest, tls=tls)


def wish(user: str, expires_s: int = 3600) -> SubscriptionWish:
    return SubscriptionWish(uri=f"sip:{user}@pbx.example", own_uri="sip:suite@pbx.example", expires_s=expires_s)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_user_is_subscribed_and_unsubscribed(kamailio: Kamailio, protocol: SipProtocol):
    events: list[SubscriptionEvent] = []
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio, protocol), wish("ada"), events.append)
        await eventually(lambda: {type(each) for each in events} >= {Notification, SubscriptionAccepted})
        await subscription.unsubscribe()
    assert isinstance(events[-1], SubscriptionEnd)
    assert events[-1].reason == "unsubscribed"


def own_server(kamailio: Kamailio, user: str, protocol: SipProtocol = "udp") -> SipServer:
    return replace(server_at(kamailio, protocol), digest=DigestClient(Login(user=user, password=PASSWORDS[user])))


def busy(user: str) -> bytes:
    uri = f"sip:{user}@pbx.example"
    return write_pidf(
        PidfDocument(entity=uri, is_open=True, activities=frozenset({"busy"}), notes=("In a meeting",)), uri
    )


def told(events: list[SubscriptionEvent]) -> list[PidfDocument]:
    return [read_pidf(each.body) for each in events if isinstance(each, Notification) and each.body]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_what_is_published_reaches_who_is_subscribed(kamailio: Kamailio, protocol: SipProtocol):
    events: list[SubscriptionEvent] = []
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio, protocol), wish("ben"), events.append)
        await eventually(lambda: events)
        publication = Publication(agent, own_server(kamailio, "ben", protocol), "sip:ben@pbx.example")
        publication.update(busy("ben"))
        await eventually(lambda: told(events))
        assert (told(events)[-1].is_open, told(events)[-1].activities) == (True, {"busy"})
        assert "In a meeting" in told(events)[-1].notes
        publication.update(busy("ben").replace(b"<rpid:busy/>", b"<rpid:away/>"))
        await eventually(lambda: told(events)[-1].activities == {"away"})
        await publication.withdraw()
        await eventually(lambda: told(events)[-1].activities == set())
        await subscription.unsubscribe()


async def test_dialogs_are_told_too(kamailio: Kamailio):
    events: list[SubscriptionEvent] = []
    dialog_wish = replace(wish("eve"), event="dialog", accept=(dialoginfo.CONTENT_TYPE,))
    document = DialogInfo(
        entity="sip:eve@pbx.example", version=0, is_full=True, dialogs=(PhoneDialog(id="1", state="confirmed"),)
    )
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio), dialog_wish, events.append)
        publication = Publication(
            agent,
            own_server(kamailio, "eve"),
            "sip:eve@pbx.example",
            event="dialog",
            content_type=dialoginfo.CONTENT_TYPE,
        )
        publication.update(write_dialog_info(document))
        held = DialogsHeld()

        def states() -> list[str]:
            for each in events:
                if isinstance(each, Notification) and each.body:
                    held.take(read_dialog_info(each.body))
            return [each.state for each in held.dialogs.values()]

        await eventually(lambda: states() == ["confirmed"])
        await publication.withdraw()
        await subscription.unsubscribe()


async def test_a_list_tells_the_states_of_its_users(kamailio: Kamailio):
    events: list[SubscriptionEvent] = []
    list_wish = replace(wish("everyone"), resource_list=True)
    async with UserAgent() as agent:
        publication = Publication(agent, own_server(kamailio, "ada"), "sip:ada@pbx.example")
        publication.update(busy("ada"))
        await eventually(lambda: publication.tag)
        subscription = Subscriber(agent).subscribe(server_at(kamailio, "tcp"), list_wish, events.append)
        held, taken = ListHeld(), 0

        def activities() -> dict[str, frozenset[str]]:
            nonlocal taken
            news = [each for each in events if isinstance(each, Notification) and each.body][taken:]
            for each in news:
                assert held.take(read_list(each.content_type_line, each.body)) == "taken"
            taken += len(news)
            return {key: read_pidf(each.body).activities for key, each in held.resources.items() if each.body}

        await eventually(lambda: activities().get("sip:ada@pbx.example") == {"busy"})
        assert held.resources.keys() == {f"sip:{user}@pbx.example" for user in ("ada", "ben", "eve")}
        assert SubscriptionAccepted(lists=True) in events
        publication.update(busy("ada").replace(b"<rpid:busy/>", b"<rpid:away/>"))
        await eventually(lambda: activities().get("sip:ada@pbx.example") == {"away"})
        await publication.withdraw()
        await subscription.unsubscribe()


async def test_a_short_subscription_is_asked_for_as_the_server_wants_and_refreshed(kamailio: Kamailio):
    events: list[SubscriptionEvent] = []
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio), wish("ada", expires_s=2), events.append)
        subscription.state.share = 0.2  # refreshes early: a slow machine has the rest of the five seconds for it
        await eventually(lambda: sum(isinstance(each, SubscriptionAccepted) for each in events) >= 2)
        assert subscription.state.expires_s == 5
        assert not any(isinstance(each, SubscriptionEnd | SubscriptionTrouble) for each in events)
        await subscription.unsubscribe()


async def test_a_subscription_that_is_not_refreshed_is_ended_by_the_server(kamailio: Kamailio):
    events: list[SubscriptionEvent] = []
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio), wish("ada", expires_s=5), events.append)
        await eventually(lambda: len(events) >= 2)
        subscription.state.refresh_at = subscription.state.expires_at = None
        await eventually(lambda: isinstance(events[-1], SubscriptionEnd), 60)
        assert events[-1] == SubscriptionEnd(reason="timeout")


async def test_an_event_that_the_server_does_not_know_is_refused(kamailio: Kamailio):
    async with UserAgent() as agent:
        with pytest.raises(SipRefusal) as refused:
            await Subscriber(agent).fetch(server_at(kamailio), replace(wish("ada"), event="nonsense"))
    assert refused.value.status == 489


async def test_phones_behind_the_server_see_our_states(kamailio: Kamailio):
    """Kamailio is a proxy with Record-Route before our notifier."""
    shown = Shown()
    for protocol in PROTOCOLS:
        events: list[SubscriptionEvent] = []
        shown.states["ada"] = "available"
        async with UserAgent() as agent, UserAgent() as phone:
            await agent.listen("tcp", "127.0.0.1", kamailio.behind_port)
            notifier = Notifier(agent, shown, {"presence": pidf.CONTENT_TYPE})
            teams = replace(wish("ada"), uri="sip:ada@teams.example")
            subscription = Subscriber(phone).subscribe(server_at(kamailio, protocol), teams, events.append)
            await eventually(lambda events=events: shown_to(events)[-1:] == ["available"])
            shown.states["ada"] = "away"
            for watcher in notifier:
                watcher.changed()
            await eventually(lambda events=events: shown_to(events)[-1:] == ["away"])
            await subscription.unsubscribe()
            assert events[-1] == SubscriptionEnd(reason="unsubscribed")
            await eventually(lambda notifier=notifier: len(notifier) == 0)


async def test_a_list_of_the_server_subscribes_to_us_beside_its_own_users(kamailio: Kamailio):
    events: list[SubscriptionEvent] = []
    teams = b'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:ada@teams.example"><tuple id="t"><status><basic>open</basic></status></tuple></presence>'
    shown = Shown(states={"ada": teams.decode()})
    async with UserAgent() as agent, UserAgent() as phone:
        await agent.listen("tcp", "127.0.0.1", kamailio.behind_port)
        notifier = Notifier(agent, shown, {"presence": pidf.CONTENT_TYPE})
        publication = Publication(phone, own_server(kamailio, "ben"), "sip:ben@pbx.example")
        publication.update(busy("ben"))
        await eventually(lambda: publication.tag)
        list_wish = replace(wish("mixed"), resource_list=True)
        subscription = Subscriber(phone).subscribe(server_at(kamailio, "tcp"), list_wish, events.append)

        def is_open() -> dict[str, bool | None]:
            held = ListHeld()
            for each in events:
                if isinstance(each, Notification) and each.body:
                    held.take(read_list(each.content_type_line, each.body))
            return {key: read_pidf(each.body).is_open for key, each in held.resources.items() if each.body}

        await eventually(lambda: is_open() == {"sip:ben@pbx.example": True, "sip:ada@teams.example": True})
        shown.states["ada"] = teams.decode().replace("open", "closed")
        for watcher in notifier:
            watcher.changed()
        await eventually(lambda: is_open()["sip:ada@teams.example"] is False)
        await publication.withdraw()
        await subscription.unsubscribe()
        await notifier.close()


def shown_to(events: list[SubscriptionEvent]) -> list[str]:
    return [each.body.decode() for each in events if isinstance(each, Notification)]


async def test_a_user_nobody_knows_is_refused(kamailio: Kamailio):
    async with UserAgent() as agent:
        with pytest.raises(SipRefusal) as refused:
            await Subscriber(agent).fetch(server_at(kamailio), wish("nobody"))
    assert refused.value.status == 404


async def test_a_wrong_password_is_tried_once(kamailio: Kamailio):
    async with UserAgent() as agent:
        with pytest.raises(SipDenied):
            await Subscriber(agent).fetch(server_at(kamailio, password="wrong"), wish("ada"))


async def test_sha_256_and_a_restart_that_forgets_subscriptions(tmp_path: Path):
    events: list[SubscriptionEvent] = []
    with started(tmp_path, "WITH_SHA256", "WITH_FORGET") as server:
        async with UserAgent() as agent:
            with pytest.raises(SipDenied):
                await Subscriber(agent).fetch(server_at(server, password="wrong"), wish("ada"))
            Subscriber(agent).subscribe(server_at(server, "tcp"), wish("ada"), events.append)
            await eventually(lambda: len(events) >= 2)
            await asyncio.to_thread(server.kill)
            await eventually(lambda: isinstance(events[-1], SubscriptionTrouble))
            await server.start_again()
            await eventually(lambda: isinstance(events[-1], SubscriptionEnd), 60)
            assert isinstance(events[-1], SubscriptionEnd)
            assert (events[-1].reason, events[-1].status) == ("gone", 481)


async def test_a_subscription_outlasts_a_restart_of_a_server_that_keeps_it(kamailio: Kamailio):
    events: list[SubscriptionEvent] = []
    async with UserAgent() as agent:
        subscription = Subscriber(agent).subscribe(server_at(kamailio, "tcp"), wish("ada"), events.append)
        await eventually(lambda: len(events) >= 2)
        await asyncio.to_thread(kamailio.stop)
        await eventually(lambda: isinstance(events[-1], SubscriptionTrouble))
        await kamailio.start_again()
        await eventually(lambda: SubscriptionAccepted(lists=False) in events[2:], 60)
        await eventually(lambda: any(isinstance(each, Notification) for each in events[2:]))
        assert not any(isinstance(each, SubscriptionEnd) for each in events)
        await subscription.unsubscribe()
