"""Digest: the examples of RFC 7616 and RFC 2069, both sides against each other, and servers that never have enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.sip.challenges import AuthenticatedUser, DigestClient, DigestServer
from suite.sip.digest import Challenge, DigestAnswer, Login, expected_response, parse_answer, parse_challenges
from suite.sip.errors import MalformedMessage, SipDenied
from suite.sip.headers import Headers
from suite.sip.message import SipRequest, SipResponse

LOGIN = Login(user="ada", password="secret")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_is_computed(algorithm: str, response: str):
    answer = DigestAnswer(
        user="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html",
        response="", algorithm=algorithm, qop="auth", cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", count=1,
    )  # fmt: skip
    assert expected_response(answer, "Circle of Life", method="GET") == response


def test_the_password_is_in_no_text():
    assert "secret" not in repr(LOGIN)
    assert "secret" not in repr(DigestClient(LOGIN))


def test_several_values_of_qop_a_comma_in_the_realm_and_two_challenges_are_read():
    first, second = parse_challenges(
        [
            'Digest realm="a, b", nonce="x", qop="auth,auth-int", algorithm=SHA-256',
            'Digest realm="a \\"b\\"", nonce="y", algorithm=md5',
            "Basic realm=x",
            "Digest nothing",
        ]
    )
    assert (first.realm, first.qop, first.chosen_qop) == ("a, b", ("auth", "auth-int"), "auth")
    assert (second.realm, second.algorithm, second.chosen_qop) == ('a "b"', "MD5", None)


def request(*fields: tuple[str, str], method: str = "SUBSCRIBE", uri: str = "sip:ada@pbx.example") -> SipRequest:
    return SipRequest(method=method, uri=uri, headers=Headers.of(*fields), body=b"body")


def refusal(*challenges: Challenge, status: int = 407) -> SipResponse:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    fields = Headers.of(*((name, each.written()) for each in challenges))
    return SipResponse(status=status, reason="Unauthorized", headers=fields)


def tries_until_denied(client: DigestClient, *refusals: SipResponse) -> int:
    """Refuse each try with the next of these, the last for ever; return after how many the client gives up."""
    for tries in range(1, 50):
        sent = client.prepare(request())
        try:
            client.challenged(refusals[min(tries, len(refusals)) - 1], sent, tries)
        except SipDenied:
            return tries
    raise AssertionError("never")


def numbered(**values: object) -> list[SipResponse]:
    return [refusal(Challenge(**{"realm": "r", "nonce": f"n{n}", **values})) for n in range(50)]  # type: ignore[arg-type]


def test_a_wrong_password_is_tried_once_whatever_nonces_come():
    assert tries_until_denied(DigestClient(LOGIN), *numbered()) == 2
    assert tries_until_denied(DigestClient(LOGIN), numbered()[0]) == 2


def test_a_stale_nonce_is_answered_once_more():
    assert tries_until_denied(DigestClient(LOGIN), *numbered(stale=True)) == 3
    assert tries_until_denied(DigestClient(LOGIN), numbered(stale=True)[0]) == 2


def test_a_server_with_ever_new_realms_comes_to_an_end():
    realms = [refusal(Challenge(realm=f"r{n}", nonce="n")) for n in range(50)]
    client = DigestClient(LOGIN)
    assert tries_until_denied(client, *realms) == 4
    assert len(client._realms) <= 4


def test_a_proxy_and_the_server_behind_it_are_both_answered():
    client = DigestClient(LOGIN)
    client.challenged(refusal(Challenge(realm="proxy", nonce="1")), client.prepare(request()), 1)
    second = client.prepare(request())
    client.challenged(refusal(Challenge(realm="server", nonce="2"), status=401), second, 2)
    third = client.prepare(request())
    assert parse_answer(third.headers.first("proxy-authorization") or "").realm == "proxy"
    assert parse_answer(third.headers.first("authorization") or "").realm == "server"


@pytest.mark.parametrize(
    "challenge",
    [
        Challenge(realm="r", nonce="n", algorithm="SHA-512-256"),
        Challenge(realm="r", nonce="n", algorithm="MD5-SESS"),
        Challenge(realm="r", nonce="n", qop=("auth-conf",)),
    ],
)
def test_what_is_not_known_is_denied_at_once(challenge: Challenge):
    with pytest.raises(SipDenied):
        DigestClient(LOGIN).challenged(refusal(challenge), request(), 1)
    with pytest.raises(SipDenied):
        DigestClient(None).challenged(refusal(Challenge(realm="r", nonce="n")), request(), 1)


def test_the_first_known_challenge_is_taken():
    client = DigestClient(LOGIN)
    offered = [Challenge(realm="r", nonce="n", algorithm=each) for each in ("SHA-512-256", "SHA-256", "MD5")]
    client.challenged(refusal(*offered), request(), 1)
    assert parse_answer(client.prepare(request()).headers.first("proxy-authorization") or "").algorithm == "SHA-256"


@pytest.mark.parametrize("qop", [(), ("auth",), ("auth-int",), ("auth-int", "auth")])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_an_answer_is_what_its_reader_expects(algorithm: str, qop: tuple[str, ...]):
    client = DigestClient(LOGIN)
    client.challenged(refusal(Challenge(realm="r", nonce="n", algorithm=algorithm, qop=qop, opaque="o")), request(), 1)
    sent = client.prepare(request())
    answer = parse_answer(sent.headers.first("proxy-authorization") or "")
    assert (answer.opaque, answer.qop, answer.count) == (
        "o",
        ("auth" if "auth" in qop else qop[0]) if qop else None,
        bool(qop),
    )
    assert answer.response == expected_response(answer, "secret", method="SUBSCRIBE", body=b"body")


def server(**values: object) -> DigestServer:
    return DigestServer(realm="teams", password_of={"ada": "secret"}.get, **values)  # type: ignore[arg-type]


def asked(
    client: DigestClient, door: DigestServer, now: float, *, tries: int = 1
) -> AuthenticatedUser | list[tuple[str, str]]:
    """Send a request, answer a challenge once or more."""
    for number in range(1, tries + 1):
        sent = client.prepare(request())
        said = door.check(sent, now)
        if isinstance(said, AuthenticatedUser):
            return said
        client.challenged(SipResponse(status=401, reason="", headers=Headers.of(*said)), sent, number)
    return said


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("SHA-256", "MD5")])
def test_our_server_takes_our_client(algorithms: tuple[str, ...]):
    assert asked(DigestClient(LOGIN), server(algorithms=algorithms), 5.0, tries=2) == AuthenticatedUser("ada")


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer():
    for login in (Login(user="ada", password="x"), Login(user="nobody", password="secret")):
        with pytest.raises(SipDenied):
            asked(DigestClient(login), server(), 5.0, tries=3)


def test_an_answer_works_once_and_not_after_its_time():
    client, door = DigestClient(LOGIN), server()
    asked(client, door, 5.0)
    sent = client.prepare(request())
    assert isinstance(door.check(sent, 5.0), AuthenticatedUser)
    again = door.check(sent, 5.0)
    assert isinstance(again, list)
    assert "stale=true" in again[0][1]
    assert isinstance(door.check(client.prepare(request()), 6.0), AuthenticatedUser)
    late = door.check(client.prepare(request()), 306.0)
    assert isinstance(late, list)
    assert "stale=true" in late[0][1]


def test_counts_that_are_forgotten_let_no_answer_work_twice():
    door = server(nonces_kept=2)
    clients = [DigestClient(LOGIN) for _ in range(4)]
    answers = []
    for at, client in enumerate(clients):
        asked(client, door, float(at))
        answers.append(client.prepare(request()))
        assert isinstance(door.check(answers[-1], float(at)), AuthenticatedUser)
    assert not any(isinstance(door.check(each, 5.0), AuthenticatedUser) for each in answers)


def test_one_request_tries_few_passwords():
    asked_for: list[str] = []

    def password_of(user: str) -> str:
        asked_for.append(user)
        return "secret"

    door = DigestServer(realm="teams", password_of=password_of)
    wrong = asked_of(DigestClient(Login(user="ada", password="wrong")), door)
    door.check(wrong.with_headers(Headers(wrong.headers.fields * 100)), 5.0)
    assert len(asked_for) == 4


def asked_of(client: DigestClient, door: DigestServer) -> SipRequest:
    """A request with an answer to the door's challenge."""
    client.challenged(SipResponse(status=401, reason="", headers=Headers.of(*door.challenges(5.0))), request(), 1)
    return client.prepare(request())


def test_an_answer_for_another_user_does_not_count():
    client, door = DigestClient(LOGIN), server()
    asked(client, door, 5.0)
    sent = client.prepare(request())
    moved = SipRequest(method=sent.method, uri="sip:ben@pbx.example", headers=sent.headers)
    assert isinstance(door.check(moved, 5.0), list)
    elsewhere = SipRequest(method=sent.method, uri="sip:ada@10.0.0.1:5070", headers=sent.headers)
    assert isinstance(door.check(elsewhere, 5.0), AuthenticatedUser)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str):
    parse_challenges([text, f"Digest {text}"])
    for each in (text, f"Digest {text}", f'Digest username="a", realm="r", nonce="n", uri="u", response="x", {text}'):
        try:
            answer = parse_answer(each)
        except MalformedMessage:
            continue
        door = server()
        assert isinstance(door.check(request(("Authorization", answer.written())), 1.0), list)


@pytest.mark.parametrize(
    ("login", "made_at", "is_wrong"),
    [
        (LOGIN, 5.0, False),
        (LOGIN, -1000.0, False),
        (Login(user="ada", password="wrong"), 5.0, True),
        (Login(user="nobody", password="secret"), 5.0, True),
    ],
)
def test_a_right_answer_to_an_old_challenge_is_not_wrong(login: Login, made_at: float, *, is_wrong: bool):
    client, door = DigestClient(login), server()
    said = Headers.of(*door.challenges(made_at))
    client.challenged(SipResponse(status=401, reason="", headers=said), request(), 1)
    sent = client.prepare(request())
    assert isinstance(door.check(sent, 5.0), AuthenticatedUser) == (not is_wrong and made_at > 0)
    assert door.is_wrong(sent) == is_wrong
    assert not server().is_wrong(sent), "a challenge of the agent before its restart"
    assert not door.is_wrong(request())
