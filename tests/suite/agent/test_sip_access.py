"""Who may use the agent's SIP server, and what strangers can do to it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType

import pytest
import trustme

from suite.agent.core.values import RichState
from suite.agent.settings.groups.sip_server import SipServerSettings
from suite.agent.settings.sip_files import SipLogin
from suite.agent.sipserver.access import SipAccess
from suite.agent.sipserver.registering import PhoneRegistering
from suite.sip.challenges import DigestClient
from suite.sip.digest import Login
from suite.sip.errors import SipDenied, SipRefusal, SipUnreachable
from suite.sip.flows import TransportLimits
from suite.sip.message import SipMessage, SipRequest
from suite.sip.replies import reply
from suite.sip.servers import SipServer
from suite.sip.subscriptions import SubscriptionEnd
from suite.sip.user_agent import UserAgent, UserAgentSettings
from tests.sip.peers import peer
from tests.suite.agent.agents import certificate
from tests.suite.agent.phones import Display, asked, phones_place, presence_of, watching
from tests.support.valkey import free_port
from tests.support.waiting import eventually

ELSEWHERE = (ip_network("10.0.0.0/8"),)
LOGINS = MappingProxyType({"lobby": SipLogin(password="a secret")})
LOBBY = Login(user="lobby", password="a secret")


def ok(request: SipRequest) -> Iterable[SipMessage | bytes]:
    return [reply(request, 200, "OK")]


async def status_of(place_settings: SipServerSettings, login: Login | None = None) -> int:
    async with phones_place(settings=place_settings) as place, watching() as phone:
        try:
            await phone.fetch(place.at("tcp", login), presence_of())
        except SipRefusal as refused:
            return refused.status
        return 200


async def test_by_default_only_programs_of_this_machine_may_watch():
    assert SipServerSettings().networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert await status_of(SipServerSettings()) == 200


@pytest.mark.parametrize(
    ("settings", "login", "who", "words"),
    [
        (
            SipServerSettings(logins=LOGINS),
            replace(LOBBY, password="wrong"),
            "ada@pbx.example",
            "user name or password",
        ),
        (SipServerSettings(logins=LOGINS), replace(LOBBY, user="nobody"), "ada@pbx.example", "user name or password"),
        (SipServerSettings(logins=LOGINS), LOBBY, "ada@pbx.example", ""),
        (SipServerSettings(logins=LOGINS), None, "ada@pbx.example", ""),
        (SipServerSettings(), None, "1999@pbx.example", "a user who is neither a colleague nor a list"),
        (
            SipServerSettings(domains=("pbx.example",)),
            None,
            "1001@pbx.local",
            "a user at pbx.local, which is not in SipServer.Domains",
        ),
        (SipServerSettings(subscriptions_per_address=0), None, "ada@pbx.example", "SubscriptionsPerAddress allows"),
    ],
)
async def test_the_log_says_why_a_phone_is_refused(
    caplog: pytest.LogCaptureFixture, settings: SipServerSettings, login: Login | None, who: str, words: str
):
    async with phones_place(settings=settings) as place, watching() as phone:
        with contextlib.suppress(SipRefusal):
            await phone.fetch(place.at("tcp", login), presence_of(who))
    said = [each.getMessage() for each in caplog.records if "is refused" in each.getMessage()]
    assert len(said) == bool(words), said
    assert words in "".join(said)
    assert "1999" not in "".join(said)


async def test_the_log_says_when_a_phone_does_not_answer_a_challenge(caplog: pytest.LogCaptureFixture):
    access = SipAccess(SipServerSettings(logins=LOGINS), silent_s=0.0)
    async with UserAgent() as agent, watching() as phone:
        agent.handle("SUBSCRIBE", PhoneRegistering(access).registered)
        port = free_port()
        await agent.listen("tcp", "127.0.0.1", port)
        with pytest.raises(SipDenied):
            await phone.fetch(SipServer.at(f"127.0.0.1:{port}", "tcp"), presence_of())
    assert "it does not log in" in caplog.text
    assert "SipServer.Digest = MD5" in caplog.text


async def test_a_network_that_is_not_named_is_refused(caplog: pytest.LogCaptureFixture):
    assert await status_of(SipServerSettings(networks=ELSEWHERE)) == 403
    assert "127.0.0.1 is refused: it is not in SipServer.Networks" in caplog.text


@pytest.mark.parametrize(
    ("networks", "servers", "login", "status"),
    [
        (("127.0.0.0/8",), (), LOBBY, 200),
        (("127.0.0.0/8",), (), None, 401),
        (("127.0.0.0/8",), (), Login(user="lobby", password="wrong"), 401),
        (("127.0.0.0/8",), (), Login(user="nobody", password="a secret"), 401),
        (("10.0.0.0/8",), (), LOBBY, 403),
        (("10.0.0.0/8",), ("127.0.0.1/32",), None, 200),
    ],
)
async def test_a_login_is_asked_for_of_phones_and_not_of_servers(
    networks: tuple[str, ...], servers: tuple[str, ...], login: Login | None, status: int
):
    def parsed(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(map(ip_network, texts))

    settings = SipServerSettings(networks=parsed(networks), servers=parsed(servers), logins=LOGINS)
    assert await status_of(settings, login) == status


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_login_is_proved_by_a_hash_without_its_password(algorithm: str):
    made = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm](b"lobby:presence:a secret").hexdigest()
    logins = {"lobby": SipLogin(hashes={algorithm: made})}
    settings = SipServerSettings(logins=logins, algorithms=(algorithm,))
    assert await status_of(settings, LOBBY) == 200
    assert await status_of(settings, replace(LOBBY, password="wrong")) == 401
    # Where there is no hash of the algorithm, nobody logs in: neither with the password nor with an empty hash.
    other = "SHA-256" if algorithm == "MD5" else "MD5"
    assert await status_of(replace(settings, algorithms=(other,)), LOBBY) == 401


async def test_an_answer_works_once():
    async with phones_place(settings=SipServerSettings(logins=LOGINS)) as place, peer(ok) as phone:
        challenge = await phone.answer(asked(), place.udp)
        assert challenge.status == 401
        digest = DigestClient(LOBBY)
        first = asked()
        digest.challenged(challenge, first, 1)
        answered = digest.prepare(first)
        assert (await phone.answer(answered, place.udp)).status == 200
        authorization = answered.headers.lines("authorization")[0]
        replayed = asked(("Authorization", authorization))
        again = await phone.answer(replayed, place.udp)
        assert again.status == 401
        assert "stale=true" in " ".join(again.headers.lines("www-authenticate"))


async def test_a_login_that_is_refused_stands_in_the_log_without_its_name(caplog: pytest.LogCaptureFixture):
    assert await status_of(SipServerSettings(logins=LOGINS), replace(LOBBY, password="wrong")) == 401
    assert "its user name or password for watching is wrong" in caplog.text
    assert "lobby" not in caplog.text


async def test_tls_asks_phones_for_a_certificate_of_the_ca_that_is_named():
    authority, stranger = trustme.CA(), trustme.CA()
    served = certificate(authority.issue_cert("127.0.0.1"))
    settings = SipServerSettings(certificate=served, logins=LOGINS, client_ca_pem=authority.cert_pem.bytes())
    statuses: list[object] = []
    async with phones_place(settings=settings, listening=("tls",)) as place:
        for issuer in (authority, stranger, None):
            context = ssl.create_default_context()
            authority.configure_trust(context)
            if issuer is not None:
                issuer.issue_cert("phone.example").configure_cert(context)
            async with watching() as phone:
                try:
                    statuses.append((await phone.fetch(place.at("tls", tls=context), presence_of())).state)
                except SipUnreachable:
                    statuses.append("refused")
    assert statuses == ["terminated", "refused", "refused"]


async def test_another_certificate_is_in_force_without_losing_a_subscription():
    old, new = trustme.CA(), trustme.CA()
    settings = SipServerSettings(certificate=certificate(old.issue_cert("127.0.0.1")))
    display = Display()
    async with phones_place(settings=settings, listening=("tls",)) as place, watching() as phone:
        contexts = {}
        for authority in (old, new):
            contexts[authority] = ssl.create_default_context()
            authority.configure_trust(contexts[authority])
        phone.subscribe(place.at("tls", tls=contexts[old]), presence_of(), display)
        await eventually(lambda: display.note)
        place.server.adjust(replace(place.settings, certificate=certificate(new.issue_cert("127.0.0.1"))))
        async with watching() as other:

            async def is_new() -> bool:
                try:
                    await other.fetch(place.at("tls", tls=contexts[new]), presence_of())
                except SipUnreachable:
                    return False
                return True

            await eventually(is_new)
        place.say(RichState.BUSY)
        await eventually(lambda: display.note == "Busy")


async def test_whoever_may_not_watch_any_more_is_told_so():
    display = Display()
    async with phones_place() as place, watching() as phone:
        phone.subscribe(place.at(), presence_of(), display)
        await eventually(lambda: display.note)
        place.server.adjust(replace(place.settings, networks=ELSEWHERE))
        await eventually(lambda: display.end == SubscriptionEnd(reason="rejected"))


async def test_whoever_must_log_in_from_now_on_subscribes_again():
    display, again = Display(), Display()
    async with phones_place() as place, watching() as phone:
        server = place.at("udp", LOBBY)
        phone.subscribe(server, presence_of(), display)
        await eventually(lambda: display.note)
        place.server.adjust(replace(place.settings, logins=LOGINS))
        await eventually(lambda: display.end == SubscriptionEnd(reason="deactivated"))
        phone.subscribe(server, presence_of(), again)
        await eventually(lambda: again.note)
        place.server.adjust(replace(place.settings, logins=LOGINS, language="it"))
        await eventually(lambda: again.note == "Disponibile")
        place.server.adjust(replace(place.settings, logins={"other": SipLogin(password="another secret")}))
        await eventually(lambda: again.end == SubscriptionEnd(reason="deactivated"))
        with pytest.raises(SipDenied):
            await phone.fetch(server, presence_of())


async def test_one_address_has_so_many_subscriptions_and_no_more():
    settings = SipServerSettings(subscriptions_per_address=3, subscriptions=5)
    async with phones_place(settings=settings) as place:
        for host, statuses in (("127.0.0.1", [200, 200, 200, 503]), ("127.0.0.2", [200, 200, 503])):
            async with peer(ok, host=host) as phone:
                answers = [await phone.answer(asked(), place.udp) for _ in statuses]
                assert [each.status for each in answers] == statuses
                assert answers[-1].headers.first("retry-after") == "60"
        assert len(place.server) == 5


async def test_ten_thousand_subscribes_at_once_from_one_address_cost_little_and_harm_nobody():
    limits = TransportLimits(requests_per_s=0.001, burst=100)  # so slow that no machine is slower
    settings = SipServerSettings(subscriptions_per_address=20)
    async with phones_place(settings=settings, user_agent=UserAgentSettings(limits=limits)) as place:
        async with peer() as attacker:
            for _ in range(10_000):
                attacker.send(asked(), place.udp)
                await asyncio.sleep(0)
            await eventually(lambda: place.server.counts["rate"] > 1000)
        assert len(place.server) <= 20
        async with peer(ok, host="127.0.0.2") as phone:
            assert (await phone.answer(asked(), place.udp)).status == 200


async def test_strangers_are_not_asked_for_a_login_outside_of_the_networks():
    """So that a forged sender gets one small refusal, and nobody learns that there are logins."""
    async with phones_place(settings=SipServerSettings(networks=ELSEWHERE, logins=LOGINS)) as place, peer() as stranger:
        request = asked()
        answer = await stranger.answer(request, place.udp)
        assert answer.status == 403
        assert len(answer.to_bytes()) <= len(request.to_bytes())


async def test_a_phone_registers_as_it_watches_and_nothing_is_kept():
    async with phones_place(settings=SipServerSettings(logins=LOGINS)) as place, peer() as phone:
        contact = "<sip:lobby@127.0.0.1:5062>;expires=90000"
        challenge = await phone.answer(asked(method="REGISTER", contact=contact, event=""), place.udp)
        assert challenge.status == 401
        digest, request = DigestClient(LOBBY), asked(method="REGISTER", contact=contact, event="")
        digest.challenged(challenge, request, 1)
        answer = await phone.answer(digest.prepare(request), place.udp)
        assert (answer.status, answer.headers.lines("contact")) == (200, ["<sip:lobby@127.0.0.1:5062>;expires=3600"])


@pytest.mark.parametrize(
    ("contact", "expires", "status", "contacts"),
    [
        ("<sip:a@127.0.0.1>", "600", 200, ["<sip:a@127.0.0.1>;expires=600"]),
        ("<sip:a@127.0.0.1>", "0", 200, []),
        ("*", "0", 200, []),
        ("", "600", 200, []),
        ("<mailto:a", "600", 400, []),
    ],
)
async def test_a_registration_is_answered_with_its_contacts(
    contact: str, expires: str, status: int, contacts: list[str]
):
    async with phones_place() as place, peer() as phone:
        request = asked(method="REGISTER", contact=contact, expires=expires, event="")
        answer = await phone.answer(request, place.udp)
        assert (answer.status, answer.headers.lines("contact")) == (status, contacts)


async def test_a_stranger_cannot_register():
    async with phones_place(settings=SipServerSettings(networks=ELSEWHERE)) as place, peer() as phone:
        assert (await phone.answer(asked(method="REGISTER", event=""), place.udp)).status == 403
