"""The rules of Skype for Business, without a server: answers as values, links, states, subscriptions, tokens."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.agent.core.values import RichState
from suite.agent.sources.sfb import subscribing
from suite.agent.sources.sfb.answers import (
    PresenceSubscription,
    TokenChallenge,
    application_of,
    bare_uri,
    challenge_of,
    contact_of,
    events_of,
    members_of,
    subscription_of,
)
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaRefused
from suite.agent.sources.sfb.hal import MOST_BYTES, Resource, read_resource
from suite.agent.sources.sfb.hosts import MOST_HOSTS, KnownHosts, origin_of, root_of, with_query
from suite.agent.sources.sfb.pace import LONGEST_WAIT_S, SessionPace
from suite.agent.sources.sfb.states import state_of
from suite.agent.sources.sfb.subscribing import Add, Create, End, Extend, Rest, SubscriptionPlan
from suite.agent.sources.sfb.tokens import EARLY_S, MOST_SERVER_ERRORS, UcwaTokens
from suite.agent.sources.source import Connector
from tests.suite.agent.sfb.lync import application_resource

ROOT = "https://lyncdiscover.contoso.example/"
texts = st.text(max_size=30)
words = st.sampled_from(
    [
        "_links", "_embedded", "href", "next", "self", "events", "sender", "link", "in", "rel", "type", "people", "me", "uri", "resume", "contact",
        "contactPresence", "presenceSubscription", "presenceSubscriptions", "presenceSubscriptionMembership", "updated", "/ucwa/1",
    ]
)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | words,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(words | texts, each, max_size=4),
    max_leaves=20,
)


def hosts(*named: str) -> KnownHosts:
    made = KnownHosts(ROOT)
    for each in named:
        made.named("", each)
    return made


def whole(href: str) -> str:
    return hosts().known(ROOT, href)


# JSON


@settings(max_examples=100)
@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,\\u0e1', max_size=200).map(str.encode))
def test_a_body_is_a_resource_or_is_refused(body: bytes):
    with contextlib.suppress(UcwaBroken):
        assert isinstance(read_resource(body), Resource)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"<html>",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 10_000 + b"}",
        b" " * (MOST_BYTES + 1),
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_object_or_has_no_measure_is_refused(body: bytes):
    with pytest.raises(UcwaBroken):
        read_resource(body)


@settings(max_examples=150)
@given(values)
def test_whatever_an_answer_says_is_a_value_or_is_refused(value: Any):
    resource = Resource(value if isinstance(value, dict) else {"_embedded": value, "_links": value, "sender": value})
    members_of(resource)
    for read in (application_of, subscription_of, contact_of, events_of):
        try:
            read(resource, whole)
        except UcwaBroken:
            continue


# The pages' own samples


def test_the_challenge_of_the_page_is_read_with_and_without_quotes_and_beside_others():
    grants = frozenset({"urn:microsoft.rtc:windows", "urn:microsoft.rtc:anonmeeting", "password"})
    of_page = "urn:microsoft.rtc:windows,urn:microsoft.rtc:anonmeeting,password"
    bare = f'MsRtcOAuth href=https://contoso.com/WebTicket/oauthtoken,grant_type="{of_page}"'
    assert challenge_of([bare]) == TokenChallenge("https://contoso.com/WebTicket/oauthtoken", grants)
    issuers = 'Bearer trusted_issuers="00000002-0000-0ff1-ce00-000000000000@contoso.com", client_id="00000004-0000-0ff1-ce00-000000000000"'
    quoted = f'MsRtcOAuth href="https://lyncweb.contoso.com/WebTicket/oauthtoken",grant_type="{of_page}"'
    expected = TokenChallenge("https://lyncweb.contoso.com/WebTicket/oauthtoken", grants)
    assert challenge_of([issuers, quoted]) == challenge_of([f"{issuers}, {quoted}"]) == expected
    assert challenge_of([issuers]) is None
    assert challenge_of([]) is None
    assert challenge_of(['MsRtcOAuth href="https://x.org/t"']) == TokenChallenge("https://x.org/t", frozenset())


@settings(max_examples=60)
@given(st.lists(st.text(alphabet='MsRtcOAuth href="=,grant_type ', max_size=200), max_size=3))
def test_any_challenge_is_read_in_a_moment(headers: list[str]):
    challenge_of(headers)
    assert challenge_of(["MsRtcOAuth href=" + '"' * 100_000]) is not None


def test_the_application_of_the_page_has_its_links_and_its_user():
    read = application_of(Resource(application_resource("/ucwa/oauth/v1/applications/105", "lenea@contoso.com")), whole)
    at = "https://lyncdiscover.contoso.example:443/ucwa/oauth/v1/applications/105"
    assert (read.address, read.events) == (at, f"{at}/events?ack=1")
    assert (read.subscriptions, read.user) == (f"{at}/people/presenceSubscriptions", "lenea@contoso.com")


EVENTS = """{"_links":{"self":{"href":"/ucwa/oauth/v1/applications/101/events?ack=5"},
"next":{"href":"/ucwa/oauth/v1/applications/101/events?ack=6"}},"sender":[{"rel":"people","href":"/ucwa/oauth/v1/applications/101/people",
"events":[{"link":{"rel":"contact","href":"/ucwa/oauth/v1/applications/101/people/sarad@contoso.com"},
"in":{"rel":"subscribedContacts","href":"/ucwa/oauth/v1/applications/101/people/subscribedContacts"},"type":"added"},
{"link":{"rel":"contactPresence","href":"/ucwa/oauth/v1/applications/101/people/saraD@contoso.com/presence"},
"in":{"rel":"contact","href":"/ucwa/oauth/v1/applications/101/people/saraD@contoso.com"},"type":"updated"},
{"link":{"rel":"presenceSubscription","href":"/ucwa/v1/applications/101/people/presenceSubscriptions/97b6bd66"},
"_embedded":{"presenceSubscription":{"id":"97b6bd66","rel":"presenceSubscription"}},"type":"updated"},
{"link":{"rel":"presenceSubscription","href":"/ucwa/v1/applications/101/people/presenceSubscriptions/12"},"type":"deleted"}]}]}"""


def test_the_events_of_the_pages_say_who_changed_and_which_subscriptions_end():
    read = events_of(read_resource(EVENTS.encode()), whole)
    at = "https://lyncdiscover.contoso.example:443/ucwa/oauth/v1/applications/101"
    assert read.next == f"{at}/events?ack=6"
    assert not read.is_reset
    sara = "/ucwa/oauth/v1/applications/101/people/saraD@contoso.com"
    assert read.changed == {sara: f"{sara}/presence"}
    subscriptions = f"{at.replace('/oauth', '')}/people/presenceSubscriptions"
    assert (read.ending, read.ended) == ({f"{subscriptions}/97b6bd66"}, {f"{subscriptions}/12"})


@pytest.mark.parametrize("rel", ["resume", "resync"])
def test_resume_and_resync_say_that_subscriptions_are_gone(rel: str):
    read = events_of(Resource({"_links": {rel: {"href": "/events?ack=9"}}}), whole)
    assert (read.is_reset, read.next) == (True, "https://lyncdiscover.contoso.example:443/events?ack=9")


def test_a_channel_that_does_not_say_where_it_goes_on_is_broken():
    with pytest.raises(UcwaBroken, match="has no next link"):
        events_of(Resource({"_links": {"self": {"href": "/events?ack=9"}}}), whole)


@pytest.mark.parametrize(
    ("uri", "bare"),
    [("sip:Ada@x.org", "Ada@x.org"), ("SIP: ada@x.org", "ada@x.org"), ("tel:+1425", ""), ("ada@x.org", ""), ("", "")],
)
def test_only_sip_addresses_are_addresses(uri: str, bare: str):
    assert bare_uri(uri) == bare


# Links


HOSTILE = [
    "http://lyncdiscover.contoso.example/", "https://evil.example/x", "//evil.example/x", "https:\\\\evil.example", "\\\\evil.example\\x",
    "https://lyncdiscover.contoso.example@evil.example/", "https://evil.example#@lyncdiscover.contoso.example/",
    "https://user:pw@lyncdiscover.contoso.example/", "https://lyncdiscover.contoso.example:8443/", "https://lyncdiscover.contoso.example:0/",
    "https://lyncdiscover.contoso.example:99999/", "https://[::1/", "javascript:alert(1)", "file:///etc/passwd", "",
    "https://evil.example\t/", "/x\r\nHost: evil.example", "https://lyncdiscover.contoso.example.evil.example/", "https://169.254.169.254/",
    "https://lyncdiscover.contoso.example%2eevil.example/", "https://lyncdıscover.contoso.example/", "/" + "x" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("href", HOSTILE)
def test_a_link_elsewhere_is_not_followed(href: str):
    with pytest.raises(UcwaBroken, match="not followed"):
        hosts().known(ROOT, href)


@settings(max_examples=200)
@given(st.text(alphabet="/:@?#%\\. aä\t[]0:httpsevil.example-contoso", max_size=60))
def test_every_link_that_is_followed_leads_to_a_known_host_for_whoever_reads_it(href: str):
    known = hosts("https://lyncweb.contoso.example/")
    try:
        found = known.known(ROOT, href)
    except UcwaBroken:
        return
    assert origin_of(found) in ("https://lyncdiscover.contoso.example:443", "https://lyncweb.contoso.example:443")
    assert httpx.URL(found).host == urlsplit(found).hostname
    assert httpx.URL(found).userinfo == b""
    assert known.known(ROOT, found) == found


def test_autodiscover_names_hosts_and_not_without_end():
    known = KnownHosts("https://a.example/")
    with pytest.raises(UcwaBroken):
        known.known("", "https://b.example/")
    assert known.named(known.root, "https://b.example/user?x=ü y".replace(" ", "%20")).startswith(
        "https://b.example:443/user"
    )
    assert known.known("", "https://B.example:443/applications/1") == "https://b.example:443/applications/1"
    for number in range(MOST_HOSTS - 2):
        known.named("", f"https://h{number}.example/")
    with pytest.raises(UcwaBroken, match="more than 20 hosts"):
        known.named("", "https://another.example/")


def test_the_servers_own_parameters_stay_as_they_are():
    at = with_query("https://x.org/events?ack=5&medium=9&a=%E9+b", medium=5, timeout=180)
    assert at == "https://x.org/events?ack=5&a=%E9+b&medium=5&timeout=180"
    assert with_query("https://x.org/s", duration=30) == "https://x.org/s?duration=30"
    assert root_of("lync.x.org:444") == "https://lync.x.org:444/"


# States


@pytest.mark.parametrize(
    ("availability", "activity", "state"),
    [
        ("Online", "", "available"), ("IdleOnline", "", "available_idle"), ("Busy", "", "busy"), ("IdleBusy", "", "busy_idle"),
        ("DoNotDisturb", "", "do_not_disturb"), ("BeRightBack", "", "be_right_back"), ("Away", "", "away"), ("Offline", "", "offline"),
        ("Busy", "in-a-meeting", "in_a_meeting"), ("Busy", "In a meeting", "in_a_meeting"), ("Busy", "on-the-phone", "in_a_call"),
        ("Busy", "in-a-conference", "in_a_call"), ("DoNotDisturb", "in-a-conference", "do_not_disturb"),
        ("DoNotDisturb", "urgent-interruptions-only", "do_not_disturb"), ("DoNotDisturb", "presenting", "presenting"),
        ("Away", "off-work", "away"), ("Offline", "off-work", "offline"), ("Away", "Out of office", "out_of_office"),
        ("IdleBusy", "in-a-meeting", "busy_idle"), ("IdleOnline", "on-the-phone", "available_idle"), ("Busy", "<b>beim Kunden</b>", "busy"),
        ("", "on-the-phone", "unknown"), ("Sleeping", "", "unknown"), ("None", "None", "unknown"),
    ],
)  # fmt: skip
def test_availability_and_activity_are_one_state(availability: str, activity: str, state: str):
    assert state_of(availability, activity) is RichState(state)


# Subscriptions


def subscription(number: int, *, adding: bool = True) -> PresenceSubscription:
    at = f"https://x.org/subscriptions/{number}"
    return PresenceSubscription(at, f"{at}/add" if adding else "")


def many(count: int) -> list[str]:
    return [f"u{number}@x.org" for number in range(count)]


def settled(plan: SubscriptionPlan, now: float = 0.0, *, adding: bool = True) -> list[type]:
    """Do what the plan says until it rests, and return the kinds of steps."""
    done: list[type] = []
    while not isinstance(step := plan.step(now), Rest):
        done.append(type(step))
        match step:
            case Create(uris):
                plan.created(subscription(1_000 * int(now) + len(done), adding=adding), uris, now)
            case Add(to, uris):
                plan.added(to, uris)
            case Extend(one):
                plan.extended(one, now)
            case End(one):
                plan.ended(one)
        assert len(done) < 500
    return done


def test_everybody_is_subscribed_to_in_pages_and_extended_before_the_end():
    plan = SubscriptionPlan()
    plan.want(many(250))
    assert settled(plan) == [Create, Create, Create]
    assert plan.is_complete()
    assert plan.step(0.0) == Rest(20 * 60.0)
    assert plan.step(20 * 60.0 - 1) == Rest(1.0)
    assert settled(plan, 20 * 60.0) == [Extend, Extend, Extend]
    plan.want(many(260))
    assert settled(plan, 20 * 60.0) == [Add]
    plan.want(many(301))
    assert settled(plan, 20 * 60.0) == [Add, Create]


def test_a_server_that_lets_nobody_be_added_gets_more_subscriptions():
    plan = SubscriptionPlan()
    plan.want(many(2))
    settled(plan, adding=False)
    plan.want(many(3))
    assert settled(plan, adding=False) == [Create]


def test_who_is_not_wanted_any_more_goes_at_the_latest_when_the_subscription_would_be_extended():
    plan = SubscriptionPlan()
    plan.want(many(150))
    settled(plan)
    plan.want(many(100))
    assert settled(plan) == [End]  # nobody of the second page is left
    plan.want(many(99))
    assert settled(plan) == []
    assert settled(plan, 20 * 60.0) == [End, Create]


def test_a_warning_of_the_end_is_heeded_and_an_update_of_a_young_subscription_is_none():
    plan = SubscriptionPlan()
    plan.want(many(1))
    plan.created(subscription(1), many(1), 0.0)
    plan.ending(subscription(1).address, 10.0)
    assert settled(plan, 10.0) == []
    plan.ending(subscription(1).address, 600.0)
    assert settled(plan, 600.0) == [Extend]
    plan.ending(subscription(1).address, 601.0)
    plan.ending("https://x.org/subscriptions/another", 601.0)
    assert settled(plan, 601.0) == []


def test_a_server_that_ends_each_subscription_at_once_is_asked_once_a_minute():
    plan = SubscriptionPlan()
    plan.want(many(1))
    plan.created(subscription(1), many(1), 0.0)
    assert plan.lost(subscription(1).address, 1.0) == set(many(1))
    assert plan.step(1.0) == Rest(60.0)
    assert settled(plan, 61.0) == [Create]


def test_beyond_the_servers_limit_nobody_is_asked_for_until_a_while_later():
    plan = SubscriptionPlan()
    plan.want(many(150))
    plan.created(subscription(1), many(100), 0.0)
    plan.limited(1.0)
    assert (plan.is_complete(), len(plan.left_out())) == (True, 50)
    assert plan.step(1.0) == Rest(subscribing.LIMITED_S)
    assert settled(plan, 1.0 + subscribing.LIMITED_S) == [Create]


@settings(max_examples=60)
@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=4))
def test_an_address_that_the_server_does_not_accept_keeps_nobody_else_out(count: int, bad: set[int]):
    plan, wrong = SubscriptionPlan(), {f"u{number}@x.org" for number in bad if number < count}
    plan.want(many(count))
    steps = 0
    while not isinstance(step := plan.step(0.0), Rest):
        assert isinstance(step, Create | Add)
        steps += 1
        if wrong & set(step.uris):
            plan.rejected(step.uris)
        elif isinstance(step, Create):
            plan.created(subscription(steps), step.uris, 0.0)
        else:
            plan.added(step.subscription, step.uris)
        assert steps < 200
    assert (set(plan.unfit()), plan.subscribed) == (wrong, set(many(count)) - wrong)
    assert plan.is_complete()


def test_two_subscriptions_with_one_address_are_one():
    plan = SubscriptionPlan()
    plan.want(many(150))
    plan.created(subscription(1), many(100), 0.0)
    plan.created(subscription(1), many(150)[100:], 0.0)
    assert settled(plan) == []


events = st.sampled_from(["want", "lost", "ending", "reset", "limited", "later"])


@settings(max_examples=100)
@given(st.lists(st.tuples(events, st.integers(0, 250)), max_size=12))
def test_whatever_happens_the_wanted_are_subscribed_to_in_the_end_and_no_subscription_runs_out(
    what: list[tuple[str, int]],
):
    plan, now = SubscriptionPlan(), 0.0
    plan.want(many(20))
    for event, number in what:
        settled(plan, now)
        match event:
            case "want":
                plan.want(many(number))
            case "lost":
                plan.lost(subscription(number % 5).address, now)
            case "ending":
                plan.ending(subscription(number % 5).address, now)
            case "reset":
                plan.reset()
            case "limited":
                plan.limited(now)
            case "later":
                now += number
    now += subscribing.LIMITED_S
    settled(plan, now)
    assert plan.is_complete()
    assert plan.left_out() == []
    assert isinstance(rest := plan.step(now), Rest)
    assert 0 < rest.seconds <= 30 * 60.0


def test_waits_grow_and_end_and_the_server_may_ask_for_more():
    pace = SessionPace()
    assert [pace.wait(attempt) for attempt in (1, 2, 3, 6, 1_000)] == [1.0, 2.0, 4.0, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert pace.wait(1, 120.0) == 120.0


# Tokens


CHALLENGE = TokenChallenge("https://x.org/token", frozenset({"password"}))


def taken(tokens: UcwaTokens, status: int, now: float = 0.0, **said: Any) -> str:
    return tokens.take("https://x.org:443", status, Resource(said), now)


def test_a_token_is_for_the_host_that_asked_for_it_and_is_renewed_before_its_end():
    tokens = UcwaTokens()
    assert taken(tokens, 200, access_token="cwt=1", expires_in=3600) == "cwt=1"
    assert tokens.of("https://x.org:443", 0.0) == "cwt=1"
    assert tokens.of("https://y.org:443", 0.0) == ""
    assert tokens.of("https://x.org:443", 3600 - EARLY_S) == ""
    assert "cwt=1" not in repr(tokens._tokens)


@pytest.mark.parametrize("life", [None, "3600", -1, True, 1e400, [], 10**30])
def test_a_lifetime_that_is_none_is_eight_hours(life: Any):
    tokens = UcwaTokens()
    taken(tokens, 200, access_token="cwt=1", expires_in=life)
    assert tokens.of("https://x.org:443", 7 * 3600.0) == "cwt=1"


@pytest.mark.parametrize("token", [None, 1, "", "cwt=\r\nHost: x", "cwt=ü", "x" * 20_000, "a b"])
def test_an_answer_without_a_token_that_can_be_sent_is_broken(token: Any):
    with pytest.raises(UcwaBroken):
        taken(UcwaTokens(), 200, access_token=token)


@pytest.mark.parametrize(
    ("status", "error"), [(400, "invalid_grant"), (400, ""), (401, ""), (403, "x"), (400, "invalid_request")]
)
def test_a_refused_password_is_not_tried_again(status: int, error: str):
    tokens = UcwaTokens()
    tokens.checked("https://x.org:443", CHALLENGE, 0.0)
    with pytest.raises(UcwaRefused) as refused:
        taken(tokens, status, error=error)
    assert (refused.value.state, refused.value.is_final) == (Connector.CREDENTIALS_NOT_FOUND, True)
    for host in ("https://x.org:443", "https://y.org:443"):
        with pytest.raises(UcwaRefused) as again:
            tokens.checked(host, CHALLENGE, 1e9)
        assert again.value.is_final


def test_a_server_in_trouble_is_signed_in_to_three_times_and_then_refuses():
    tokens = UcwaTokens()
    for _ in range(MOST_SERVER_ERRORS - 1):
        with pytest.raises(UcwaBroken):
            taken(tokens, 500, error="server_error")
    with pytest.raises(UcwaRefused) as refused:
        taken(tokens, 400, error="server_error")
    assert not refused.value.is_final


def test_a_host_that_accepts_none_of_its_tokens_is_not_signed_in_to_without_pause():
    tokens = UcwaTokens()
    taken(tokens, 200, access_token="cwt=1")
    tokens.drop("https://x.org:443", "cwt=1")
    assert tokens.of("https://x.org:443", 1.0) == ""
    with pytest.raises(UcwaBroken, match="a moment ago"):
        tokens.checked("https://x.org:443", CHALLENGE, 1.0)
    assert tokens.checked("https://x.org:443", CHALLENGE, 60.0) == CHALLENGE


@pytest.mark.parametrize(
    "challenge", [None, TokenChallenge("https://x.org/t", frozenset({"urn:microsoft.rtc:windows"}))]
)
def test_without_signing_in_by_password_nothing_is_sent(challenge: TokenChallenge | None):
    with pytest.raises(UcwaRefused) as refused:
        UcwaTokens().checked("https://x.org:443", challenge, 0.0)
    assert (refused.value.state, refused.value.is_final) == (Connector.FORBIDDEN, False)


def test_numbers_of_json_that_python_alone_knows_are_read():
    assert read_resource(json.dumps({"expires_in": float("inf")}).encode()).seconds("expires_in") is None
    assert read_resource(b'{"expires_in": NaN}').seconds("expires_in") is None
