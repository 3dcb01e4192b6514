"""The client against a scripted relay: what it sends, what it gives, how it resumes."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite import events as ev
from suite.backoff import Backoff
from suite.client import PresenceClient
from suite.errors import ConfigError, Refused, TooManyUsers
from suite.values import ConsoleStatus, Outcome, Status

Response = api.WatchPresenceResponse
FORMS = pytest.mark.parametrize("form", ["watch", "stream"])
KEY = "psk_1f2e3d4c_secret"


@FORMS
async def test_names_are_answered_in_order_and_the_view_follows(relay, connect, form):
    suite = await connect("ada@x.org", "nobody@x.org", form=form, client_name="console", version="7")
    stream = await relay.stream()
    assert stream.metadata["authorization"] == f"Bearer {KEY}"
    assert (stream.starts[0].client.name, stream.starts[0].client.version) == ("console", "7")
    assert stream.asked == ["ada@x.org", "nobody@x.org"]

    stream.started()
    stream.batch(
        {"ada@x.org": "A", "nobody@x.org": pb.UNKNOWN_REASON_NOT_FOUND}, {"A": "Busy"}, complete=True, token="t1"
    )

    assert (await suite.next(ev.Connected)).outcome is Outcome.SNAPSHOT
    assert await suite.next(ev.Resolved) == ev.Resolved("ada@x.org", "A", None)
    assert await suite.next(ev.Resolved) == ev.Resolved("nobody@x.org", None, Status.NOT_FOUND)
    changed = await suite.next(ev.Changed)
    assert (changed.user_id, changed.names, changed.status) == ("A", ("ada@x.org",), None)
    assert changed.presence.raw_availability == "Busy"
    assert changed.presence.console_status is ConsoleStatus.UNKNOWN
    await suite.next(ev.SnapshotComplete)
    assert suite.client.answers["A"].presence == changed.presence
    assert suite.client.names["nobody@x.org"].status is Status.NOT_FOUND


@pytest.mark.fault("L5")
async def test_a_program_names_itself_the_same_on_each_of_its_streams_and_otherwise_than_others(relay, connect):
    await connect("ada@x.org")
    first = await relay.stream()
    first.fail(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN")
    again = await relay.stream()
    await connect("ada@x.org", instance_id="desk-1")
    other = await relay.stream()
    ids = [stream.starts[0].client.instance_id for stream in (first, again, other)]
    assert ids == [ids[0], ids[0], "desk-1"]
    assert len(ids[0]) == 32


@FORMS
async def test_after_a_kill_it_resumes_with_token_held_users_and_those_not_answered(relay, connect, cert, form):
    suite = await connect("ada@x.org", "bob@x.org", "new@x.org", "gone@x.org", form=form)
    stream = await relay.stream()
    stream.started()
    resolved = {"ada@x.org": "A", "bob@x.org": "B", "new@x.org": "N", "gone@x.org": pb.UNKNOWN_REASON_NOT_FOUND}
    stream.batch(resolved, {"A": "Busy", "B": pb.UNKNOWN_REASON_PENDING}, token="t1")
    await suite.next(ev.Changed, lambda e: e.user_id == "B")
    port = relay.port
    await relay.kill()
    lost = await suite.next(ev.Disconnected)
    assert "lost" in lost.reason or "Nothing listens" in lost.reason
    await relay.listen(cert, port)

    resumed = await relay.stream()
    assert resumed.token == "t1"
    assert resumed.held == {"ada@x.org": "A", "bob@x.org": "B", "gone@x.org": "UNKNOWN_REASON_NOT_FOUND"}
    assert resumed.asked == ["new@x.org"]
    resumed.started(Response.OUTCOME_RESUMED)
    assert (await suite.next(ev.Connected)).outcome is Outcome.RESUMED
    assert suite.client.answers["A"].presence.raw_availability == "Busy"


async def test_without_a_token_everything_is_asked_for_again(relay, connect):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.started()
    stream.batch({"ada@x.org": "A"}, {"A": "Busy"})
    await suite.next(ev.Changed)
    stream.end()
    again = await relay.stream()
    assert (again.token, again.held, again.asked) == ("", {}, ["ada@x.org"])


async def test_after_a_reset_answers_are_shown_as_uncertain_and_never_called_held(relay, connect):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.started()
    stream.batch({"ada@x.org": "A"}, {"A": "Busy"}, complete=True, token="t1")
    await suite.next(ev.SnapshotComplete)
    stream.started(Response.OUTCOME_RESET)
    await suite.next(ev.Reset)
    assert suite.client.answers["A"].is_uncertain
    assert suite.client.names["ada@x.org"].user_id == "A"
    stream.end()
    again = await relay.stream()
    assert (again.token, again.held, again.asked) == ("", {}, ["ada@x.org"])
    again.started()
    again.batch({"ada@x.org": "A"}, {"A": "Away"}, complete=True, token="t2")
    assert (await suite.next(ev.Changed, lambda e: e.presence.raw_availability == "Away")).user_id == "A"
    assert not suite.client.answers["A"].is_uncertain


async def test_a_large_start_goes_in_parts_of_at_most_ten_thousand(relay, connect):
    names = [f"user{n}@x.org" for n in range(25_001)]
    await connect(*names)
    stream = await relay.stream()
    assert [len(part.subscribe_users) for part in stream.starts] == [10_000, 10_000, 5_001]
    assert [part.more_follows for part in stream.starts] == [True, True, False]
    assert stream.starts[0].client.name
    assert not stream.starts[1].HasField("client")
    assert stream.asked == names


async def test_changes_of_users_are_sent_on_the_open_stream(relay, connect):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.started()
    await suite.next(ev.Connected)
    await suite.client.subscribe(["bob@x.org", "ADA@x.org "])
    await stream.until(lambda: stream.changes)
    assert list(stream.changes[0].subscribe_users) == ["bob@x.org"]
    await suite.client.unsubscribe([" sip:Bob@x.org"])
    await stream.until(lambda: len(stream.changes) == 2)
    assert list(stream.changes[1].unsubscribe_users) == ["bob@x.org"]
    assert relay.nothing_opened()


async def test_the_stream_form_closes_and_reopens_to_change_its_users(relay, connect):
    suite = await connect("ada@x.org", form="stream")
    stream = await relay.stream()
    stream.started()
    stream.batch({"ada@x.org": "A"}, {"A": "Busy"}, complete=True, token="t1")
    await suite.next(ev.SnapshotComplete)
    await suite.client.subscribe(["bob@x.org"])
    await suite.client.subscribe(["cem@x.org"])
    again = await relay.stream()
    assert (again.token, again.held, again.asked) == ("t1", {"ada@x.org": "A"}, ["bob@x.org", "cem@x.org"])
    await asyncio.wait_for(stream.closed.wait(), 30)
    assert suite.of(ev.Disconnected) == []


async def test_a_drained_stream_is_left_only_when_the_new_one_has_begun(relay, connect):
    suite = await connect("ada@x.org")
    old = await relay.stream()
    old.started()
    old.batch({"ada@x.org": "A"}, {"A": "Busy"}, complete=True, token="t1")
    await suite.next(ev.SnapshotComplete)
    old.send(drain=Response.Drain(delay=Duration(nanos=200_000_000), reason=Response.Drain.REASON_REBALANCE))
    new = await relay.stream()
    assert (new.token, new.held) == ("t1", {"ada@x.org": "A"})
    assert not old.closed.is_set()
    new.started(Response.OUTCOME_RESUMED)
    assert (await suite.next(ev.Connected)).outcome is Outcome.RESUMED
    await suite.client.subscribe(["bob@x.org"])
    await new.until(lambda: new.changes)
    await asyncio.wait_for(_ended(old), 30)
    assert suite.of(ev.Disconnected) == []


async def _ended(stream) -> None:
    """A suite's cancellation reaches the handler when it next writes or waits; ending it is enough here."""
    stream.end()
    await stream.closed.wait()


async def test_a_drained_stream_goes_on_when_no_new_one_begins(relay, connect):
    suite = await connect("ada@x.org")
    old = await relay.stream()
    old.started()
    old.send(drain=Response.Drain(delay=Duration()))
    refused = await relay.stream()
    refused.fail(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_STORE_UNAVAILABLE")
    old.batch({"ada@x.org": "A"}, {"A": "Busy"})
    assert (await suite.next(ev.Changed)).user_id == "A"
    assert suite.of(ev.Disconnected) == []


async def test_the_stream_form_leaves_a_drained_stream_before_it_opens_another(relay, connect):
    suite = await connect("ada@x.org", form="stream")
    old = await relay.stream()
    old.started()
    old.send(drain=Response.Drain(delay=Duration()))
    new = await relay.stream()
    new.started()
    await suite.next(ev.Connected)
    assert (await suite.next(ev.Connected)).outcome is Outcome.SNAPSHOT


async def test_a_slow_watcher_resumes_at_once_but_only_once(relay, connect):
    suite = await connect("ada@x.org", backoff=Backoff(lambda _low, high: high / 10))
    for _ in range(2):
        stream = await relay.stream()
        stream.started()
        stream.fail(grpc.StatusCode.ABORTED, "ERROR_REASON_SLOW_WATCHER", limit_s="30")
    first, second = await suite.next(ev.Disconnected), await suite.next(ev.Disconnected)
    assert first.retry_in == timedelta(0)
    assert second.retry_in > timedelta(0)
    assert first.error_reason == "ERROR_REASON_SLOW_WATCHER"
    await relay.stream()


async def test_the_relays_retry_delay_is_honoured(relay, connect):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.fail(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN", retry=timedelta(seconds=0.3))
    lost = await suite.next(ev.Disconnected)
    assert timedelta(seconds=0.3) <= lost.retry_in < timedelta(seconds=0.4)
    assert lost.reason == "The relay is restarting."
    await relay.stream()


async def test_another_tenants_token_is_dropped_with_all_that_is_held(relay, connect):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.started()
    stream.batch({"ada@x.org": "A"}, {"A": "Busy"}, complete=True, token="t1")
    stream.end()
    stream = await relay.stream()
    assert stream.token == "t1"
    stream.fail(grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT")
    await suite.next(ev.Reset)
    assert dict(suite.client.answers) == {}
    again = await relay.stream()
    assert (again.token, again.asked) == ("", ["ada@x.org"])


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("UNAUTHENTICATED", "ERROR_REASON_SUITE_KEY_UNKNOWN", "does not know this suite key"),
        ("PERMISSION_DENIED", "ERROR_REASON_SUITE_KEY_REVOKED", "was revoked"),
        ("PERMISSION_DENIED", "ERROR_REASON_TENANT_REMOVED", "left the relay"),
        ("INVALID_ARGUMENT", "ERROR_REASON_START_EXPECTED", "needs an update"),
        ("RESOURCE_EXHAUSTED", "ERROR_REASON_TOO_MANY_USERS", "50 a stream"),
        ("PERMISSION_DENIED", "SOMETHING_NEWER", "does not permit"),
    ],
)
async def test_a_refusal_stops_the_client_in_plain_words(relay, connect, code, reason, words):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.fail(grpc.StatusCode[code], reason, limit="50", per="stream")
    error = await suite.stopped()
    assert isinstance(error, Refused)
    assert error.reason == reason
    assert words in str(error)
    assert "secret" not in str(error)


async def test_too_many_watches_waits_a_minute(relay, connect):
    suite = await connect("ada@x.org")
    (await relay.stream()).fail(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_WATCHES", limit="64", per="tenant"
    )
    lost = await suite.next(ev.Disconnected)
    assert lost.retry_in >= timedelta(minutes=1)
    assert "64" in lost.reason


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "UNIMPLEMENTED"])
async def test_any_other_end_is_resumed(relay, connect, code):
    suite = await connect("ada@x.org")
    (await relay.stream()).fail_bare(grpc.StatusCode[code])
    assert (await suite.next(ev.Disconnected)).reason
    await relay.stream()


async def test_a_stream_that_falls_silent_is_given_up(relay, connect):
    suite = await connect("ada@x.org")
    stream = await relay.stream()
    stream.send(started=Response.Started(outcome=1, progress_interval=Duration(nanos=1)))
    assert "too long" in (await suite.next(ev.Disconnected)).reason
    await relay.stream()


async def test_users_changed_while_away_are_in_the_next_start(relay, connect):
    suite = await connect("ada@x.org", "bob@x.org")
    stream = await relay.stream()
    stream.started()
    stream.batch({"ada@x.org": "A", "bob@x.org": "B"}, {"A": "Busy", "B": "Away"}, complete=True, token="t1")
    await suite.next(ev.SnapshotComplete)
    stream.fail(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN", retry=timedelta(seconds=0.2))
    await suite.next(ev.Disconnected)
    await suite.client.unsubscribe(["bob@x.org"])
    await suite.client.subscribe(["cem@x.org"])
    again = await relay.stream()
    assert (again.held, again.asked) == ({"ada@x.org": "A"}, ["cem@x.org"])
    assert "B" not in suite.client.answers


@pytest.mark.long
async def test_a_reader_that_does_not_take_events_holds_the_stream_back(relay, ca_pem):
    names = [f"user{n}@x.org" for n in range(20)]
    async with PresenceClient(f"localhost:{relay.port}", KEY, ca_pem=ca_pem, users=names) as client:
        stream = await relay.stream()
        stream.started()
        stream.batch({name: name[:6] for name in names})
        for n in range(2000):
            stream.batch(answers={"user1@": str(n)})
        events = client.events()
        while not isinstance(await asyncio.wait_for(anext(events), 30), ev.Changed):
            pass
        assert await _settled(lambda: len(client._events)) <= 1100
        last = None
        while last is None or last.presence.raw_availability != "1999":
            last = await asyncio.wait_for(anext(events), 30)


async def _settled(measure) -> int:
    """The measure once it has stopped growing."""
    before, now = -1, measure()
    while now != before:
        await asyncio.sleep(0.1)
        before, now = now, measure()
    return now


async def test_leaving_while_it_cannot_connect_ends_cleanly(ca_pem, unused_tcp_port):
    async with PresenceClient(f"127.0.0.1:{unused_tcp_port}", KEY, ca_pem=ca_pem, users=["a@x.org"]) as client:
        assert isinstance(await asyncio.wait_for(anext(client.events()), 30), ev.Disconnected)
    assert [event async for event in client.events()] == []


async def test_more_users_than_a_stream_may_watch_change_nothing(connect):
    suite = await connect(form="stream")
    await suite.client.subscribe([f"u{n}@x.org" for n in range(10_000)])
    with pytest.raises(TooManyUsers, match="10,000"):
        await suite.client.subscribe(["one@x.org"])
    assert "one@x.org" not in suite.client.names
    with pytest.raises(TooManyUsers, match="100,000"):
        PresenceClient("relay:443", KEY, users=[f"u{n}@x.org" for n in range(100_001)])


async def test_names_that_fit_no_message_are_malformed_without_asking(relay, connect):
    suite = await connect("", "x" * 10_000, "\ud800@x.org", "ada@x.org")
    stream = await relay.stream()
    assert stream.asked == ["ada@x.org"]
    assert [e.status for e in suite.of(ev.Resolved)] == [Status.MALFORMED] * 3


@pytest.mark.parametrize("key", ["", "secret", "psk_a b", "psk_ä", "-----BEGIN PRIVATE KEY-----"])
def test_what_cannot_be_a_suite_key_is_refused_without_repeating_it(key):
    with pytest.raises(ConfigError) as refused:
        PresenceClient("relay:443", key)
    assert not key or key not in str(refused.value)


async def test_many_random_breaks_lose_no_user(relay, connect):
    """Whatever breaks: every wanted name is either held or asked for in the next start, and never both."""
    rng = random.Random(7)
    suite = await connect()
    wanted: set[str] = set()
    for turn in range(25):
        stream = await relay.stream()
        names = {**dict.fromkeys(stream.asked), **stream.held}
        assert set(names) == wanted
        assert len(names) == len(stream.asked) + len(stream.held)
        stream.started(Response.OUTCOME_RESUMED if stream.token else Response.OUTCOME_SNAPSHOT)
        answered = {name: f"U{name}" for name in stream.asked if rng.random() < 0.7}
        stream.batch(answered, {user: str(turn) for user in answered.values() if rng.random() < 0.8}, token=f"t{turn}")
        await suite.next(ev.Connected)
        added, removed = {f"n{rng.randrange(20)}@x.org"}, {f"n{rng.randrange(20)}@x.org"}
        await suite.client.subscribe(added)
        await suite.client.unsubscribe(removed)
        wanted = (wanted | added) - removed
        stream.end()
