"""Whatever a suite sends gets a clear answer, and nobody else notices."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from presence_api.v1 import presence_pb2
from relay.core.presence import Status
from relay.core.revision import Epoch, ResumeToken, Revision
from tests.edge.suite import Outcome, Request, SuiteStream, pb
from tests.edge.worker import OTHER, TENANT, name, user
from tests.support.waiting import eventually

METHOD = "/relay.api.presence.v1.PresenceService/WatchPresence"


def resolved(user_name: str, user_id: str = "", status: int = 0) -> presence_pb2.ResolvedName:
    if status:
        return presence_pb2.ResolvedName(user=user_name, unknown_reason=status)  # type: ignore[arg-type]
    return presence_pb2.ResolvedName(user=user_name, user_id=user_id)


# ------------------------------------------------------------------- names


async def test_malformed_empty_long_and_duplicate_names_are_answered_and_lose_nothing(worker, suite) -> None:
    await worker.users(1)
    bad = ["", "   ", "not a name", "x" * 1024, "sip:", "a@b@c", "\x00@contoso.com", "💥"]
    stream = await suite().open(*bad, *bad, name(0), name(0), name(0).upper()).ready()
    assert {spelling: stream.resolved[spelling] for spelling in bad} == dict.fromkeys(bad, Status.MALFORMED)
    assert stream.resolved[name(0)] == stream.resolved[name(0).upper()] == user(0)
    assert stream.activity(user(0)) == "first-0"
    answers = [a.user_id for r in stream.responses for a in r.batch.answers]
    assert answers == [user(0)]
    assert stream.error is None


async def test_malformed_names_in_a_change_are_answered_too(worker, suite) -> None:
    stream = await suite().open().ready()
    await stream.change(["nobody", ""], ["never watched", name(5)])
    await stream.until(lambda: stream.resolved.get("nobody") == Status.MALFORMED and "" in stream.resolved)


async def test_a_suite_that_sends_malformed_names_for_ever_gets_them_all_back(worker, suite) -> None:
    stream = await suite().open().ready()
    sent = [f"{n}-{'x' * 1000}" for n in range(5400)]
    for start in range(0, 5400, 900):
        await stream.change(sent[start : start + 900])
    await stream.until(lambda: len(stream.resolved) == 5400)


async def test_a_name_too_long_to_send_back_ends_the_stream_with_a_clear_error(worker, suite) -> None:
    ended = await suite().open("x" * 1025).ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_START_EXPECTED")
    assert "1024 characters" in ended.details
    stream = await suite().open().ready()
    await stream.change(["x" * 1025])
    assert (await stream.ending()).reason == "ERROR_REASON_ACTION_EXPECTED"


async def test_a_start_has_a_budget_for_names_that_are_too_long_to_be_anybodys(
    worker, start_edge, connect, suite
) -> None:
    channel = await connect(await start_edge(start_long_chars=3000))
    long = [f"{n}" + "x" * 999 for n in range(4)]
    short = [f"{n} is no name" for n in range(1000)]
    await suite(channel=channel).open(*long[:3], *short).ready()
    for names in (long, ["é" * 999 + str(n) for n in range(4)]):
        ended = await suite(channel=channel).open(*names).ending()
        assert (ended.reason, "3000 characters" in ended.details) == ("ERROR_REASON_START_EXPECTED", True)
    parts = [Request(start=pb.WatchStart(subscribe_users=[one], more_follows=True)) for one in long]
    assert (await suite(channel=channel).open_raw(*parts).ending()).reason == "ERROR_REASON_START_EXPECTED"


async def test_the_bytes_of_all_parts_of_a_start_have_a_limit(worker, start_edge, connect, suite) -> None:
    channel = await connect(await start_edge(start_bytes=10_000))
    part = Request(start=pb.WatchStart(resume_token="x" * 4000, more_follows=True))
    ended = await suite(channel=channel).open_raw(part, part, part).ending()
    assert (ended.reason, "10000 bytes" in ended.details) == ("ERROR_REASON_START_EXPECTED", True)


# ------------------------------------------------------------------- limits


async def test_10001_users_in_a_message_are_refused_with_the_limit(worker, suite) -> None:
    names = [name(n) for n in range(10_001)]
    ended = await suite().open(*names).ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_USERS")
    assert ended.metadata == {"limit": "10000", "per": "message"}
    assert ended.domain == "presence.relay"
    held = [resolved(spelling, user(1)) for spelling in names[:5000]]
    assert (await suite().open(*names[:5001], held_users=held).ending()).metadata["per"] == "message"
    assert (await suite().open_server_stream(*names).ending()).metadata["per"] == "message"
    stream = await suite().open().ready()
    await stream.change(names)
    assert (await stream.ending()).reason == "ERROR_REASON_TOO_MANY_USERS"


async def test_10000_users_in_a_message_are_watched(worker, suite) -> None:
    names = [name(n) for n in range(10_000)]
    stream = await suite().open(*names).ready()
    assert len(stream.resolved) == 10_000


async def test_100001_users_on_a_stream_are_refused_with_the_limit(worker, suite) -> None:
    parts = [
        Request(
            start=pb.WatchStart(
                subscribe_users=[name(n) for n in range(i * 10_000, (i + 1) * 10_000)], more_follows=True
            )
        )
        for i in range(10)
    ]
    last = Request(start=pb.WatchStart(subscribe_users=[name(100_000)]))
    ended = await suite().open_raw(*parts, last).ending(30)
    assert (ended.code, ended.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_USERS")
    assert ended.metadata == {"limit": "100000", "per": "stream"}


async def test_more_users_than_a_stream_may_have_are_refused_in_changes_too(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(stream_users=20)
    stream = await suite(channel=await connect(edge)).open(*[name(n) for n in range(15)]).ready()
    await stream.change([name(n) for n in range(10, 20)])
    await stream.until(lambda: len(stream.resolved) == 20)
    await stream.change([name(20)], [name(0)])
    await stream.until(lambda: name(20) in stream.resolved)
    await stream.change([name(21)])
    assert (await stream.ending()).metadata == {"limit": "20", "per": "stream"}


async def test_a_message_above_4_mib_is_refused_by_the_transport(worker, suite) -> None:
    ended = await suite().open("x" * (4 << 20)).ending()
    assert ended.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ended.reason == ""


async def test_a_tenant_has_only_so_many_streams_and_closing_one_makes_room(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(streams_per_tenant=2)
    channel = await connect(edge)
    first = await suite(channel=channel).open().ready()
    await suite(channel=channel).open().ready()
    ended = await suite(channel=channel).open().ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_WATCHES")
    assert ended.metadata == {"limit": "2", "per": "tenant_at_edge"}
    assert ended.retry_s == 60
    other = (await worker.enrol(OTHER)).text
    await suite(other, channel).open().ready()
    await first.kill()

    async def admitted() -> bool:
        stream = suite(channel=channel).open()
        await eventually(lambda: stream.complete or stream.error)
        return stream.error is None

    await eventually(admitted)


# ------------------------------------------------------------------ requests


@pytest.mark.parametrize(
    "request_",
    [
        Request(),
        Request(change=Request.Change(subscribe_users=[name(0)])),
    ],
)
async def test_a_first_request_that_is_no_start_is_refused(worker, suite, request_: Request) -> None:
    ended = await suite().open_raw(request_).ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_START_EXPECTED")


async def test_something_else_between_the_parts_of_a_start_is_refused(worker, suite) -> None:
    part = Request(start=pb.WatchStart(more_follows=True))
    ended = await suite().open_raw(part, Request(change=Request.Change())).ending()
    assert ended.reason == "ERROR_REASON_START_EXPECTED"


async def test_a_second_start_and_an_empty_request_are_refused_as_no_action(worker, suite) -> None:
    for request in (Request(start=pb.WatchStart()), Request()):
        stream = await suite().open().ready()
        await stream.call.write(request)
        ended = await stream.ending()
        assert (ended.code, ended.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_ACTION_EXPECTED")


async def test_a_stream_closed_before_its_start_is_refused(worker, suite) -> None:
    stream = suite().open_raw()
    await stream.done_writing()
    assert (await stream.ending()).reason == "ERROR_REASON_START_EXPECTED"


async def test_a_start_whose_parts_do_not_arrive_in_time_is_refused(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(start_parts=timedelta(milliseconds=200))
    ended = await suite(channel=await connect(edge)).open(name(0), more_follows=True).ending()
    assert ended.reason == "ERROR_REASON_START_EXPECTED"
    assert "0.2 s" in ended.details


async def test_more_follows_in_a_server_stream_and_a_request_without_start_are_refused(channel, suite, key) -> None:
    assert (await suite().open_server_stream(more_follows=True).ending()).reason == "ERROR_REASON_START_EXPECTED"
    call = channel.unary_stream("/relay.api.presence.v1.PresenceService/StreamPresence")
    with pytest.raises(grpc.aio.AioRpcError, match="must carry a start"):
        await call(b"", metadata=[("authorization", f"Bearer {key}")]).read()


@pytest.mark.parametrize("sent", [b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x03\x0a\x01\xff"])
async def test_bytes_that_are_no_message_are_refused_in_words(worker, channel, key, sent: bytes) -> None:
    call = channel.stream_stream(METHOD)(metadata=[("authorization", f"Bearer {key}")])
    await call.write(sent)
    with pytest.raises(grpc.aio.AioRpcError, match="not a message of this service") as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# -------------------------------------------------------------------- tokens


async def test_a_token_of_another_tenant_is_refused(worker, suite) -> None:
    other = await suite((await worker.enrol(OTHER)).text).open().ready()
    assert other.token
    for stream in (
        suite().open(name(0), resume_token=other.token),
        suite().open_server_stream(name(0), resume_token=other.token),
    ):
        ended = await stream.ending()
        assert (ended.code, ended.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT",
        )


@pytest.mark.parametrize("token", ["garbage", "x" * 100_000, "AAAA", "💥"])
async def test_a_token_that_cannot_be_read_resets(worker, suite, token: str) -> None:
    await worker.users(1)
    stream = await suite().open(resume_token=token, held_users=[resolved(name(0), user(0))]).ready()
    assert stream.outcomes == [Outcome.OUTCOME_RESET]
    await stream.shows({user(0): "first-0"})


async def test_a_token_of_another_epoch_or_of_the_future_resets(worker, suite) -> None:
    await worker.users(1)
    first = await suite().open(name(0)).ready()
    mine = ResumeToken.decode(first.token)
    assert mine is not None
    for token in (
        ResumeToken(TENANT, Epoch("another"), mine.revision),
        ResumeToken(TENANT, mine.epoch, Revision(mine.revision + (1 << 80))),
    ):
        stream = await suite().open(resume_token=token.encode(), held_users=first.held()).ready()
        assert stream.outcomes == [Outcome.OUTCOME_RESET]
        assert stream.activity(user(0)) == "first-0"


async def test_held_users_with_odd_meanings_are_answered_in_full(worker, suite) -> None:
    await worker.users(4)
    first = await suite().open(name(0)).ready()
    held = [
        presence_pb2.ResolvedName(user=name(0)),
        resolved(name(1), "not an id"),
        resolved(name(2), status=999),
        resolved("malformed", user(3)),
    ]
    stream = await suite().open(resume_token=first.token, held_users=held).ready()
    assert stream.outcomes == [Outcome.OUTCOME_RESUMED]
    assert {u: stream.activity(u) for u in map(user, range(3))} == {user(n): f"first-{n}" for n in range(3)}
    assert stream.resolved["malformed"] == Status.MALFORMED


# ---------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer nonsense")],
        [("authorization", "Bearer psk_0123456789abcdef_" + "x" * 43)],
        [("authorization", "Basic dXNlcjpwYXNz")],
        [("authorization", "Bearer " + "x" * 4000)],
        [("x-api-key", "psk_0123456789abcdef_" + "x" * 43)],
    ],
)
async def test_a_missing_or_wrong_key_is_refused(worker, channel, metadata) -> None:
    for stream in (
        SuiteStream(channel, None, metadata).open(name(0)),
        SuiteStream(channel, None, metadata).open_server_stream(name(0)),
    ):
        ended = await stream.ending()
        assert (ended.code, ended.reason) == (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_SUITE_KEY_UNKNOWN")


async def test_a_key_with_a_wrong_secret_is_refused(worker, suite, key) -> None:
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert (await suite(wrong).open().ending()).reason == "ERROR_REASON_SUITE_KEY_UNKNOWN"


async def test_the_scheme_is_not_case_sensitive(worker, channel, key) -> None:
    async with SuiteStream(channel, None, [("authorization", f"bEARER  {key} ")]) as stream:
        await stream.open().ready()
