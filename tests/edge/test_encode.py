"""The generated classes read the messages that are made by joining bytes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence_api.v1 import presence_pb2
from presence_api.v1 import presence_service_pb2 as pb
from relay.core.presence import Status
from relay.core.watching.values import StartOutcome, Take
from relay.edge import encode
from tests.edge.worker import item, presence, user

Response = pb.WatchPresenceResponse
meanings = st.one_of(st.integers(0, 9).map(user), st.sampled_from([status for status in Status if status]))


def parsed(raw: bytes) -> pb.WatchPresenceResponse:
    return Response.FromString(raw)


@given(st.integers(0, (1 << 64) - 1))
def test_a_varint_is_protobufs(number: int) -> None:
    assert Response.FromString(b"\x38" + encode.varint(number)).changes_seen == number


@given(
    st.lists(st.tuples(st.text(max_size=300), meanings), max_size=20),
    st.lists(st.tuples(st.integers(0, 9).map(user), st.text(max_size=300)), max_size=20),
    st.booleans(),
    st.text("abc", max_size=200),
    st.integers(0, 1 << 40),
)
def test_a_batch_is_the_message_that_the_generated_classes_would_make(resolved, answers, complete, token, seen) -> None:
    take = Take(
        resolved=resolved,
        answers=[(user_id, item(user_id, presence(text))) for user_id, text in answers],
        snapshot_complete=complete,
        changes_seen=seen,
    )
    expected = Response(resume_token=token, changes_seen=seen)
    for spelling, meaning in resolved:
        field = "unknown_reason" if isinstance(meaning, Status) else "user_id"
        value = meaning.value if isinstance(meaning, Status) else meaning
        expected.batch.resolved.add(user=spelling, **{field: value})
    for user_id, text in answers:
        expected.batch.answers.add(user_id=user_id, presence=presence(text))
    expected.batch.snapshot_complete = complete
    responses = list(encode.batches(take, token))
    if not (resolved or answers or complete):
        assert responses == []
    else:
        (raw,) = responses
        assert parsed(raw) == Response.FromString(expected.SerializeToString())


def test_a_batch_that_is_too_big_comes_in_parts_of_which_the_last_completes_it() -> None:
    answers = [(user(n), item(user(n), presence("x" * 5000))) for n in range(1000)]
    take = Take(
        resolved=[("y" * 60_000, Status.MALFORMED)] * 30, answers=answers, snapshot_complete=True, changes_seen=3
    )
    responses = list(encode.batches(take, "token"))
    assert len(responses) > 5
    assert max(map(len, responses)) < encode.MAX_BATCH_BYTES + 1000
    messages = [parsed(raw) for raw in responses]
    assert [message.resume_token for message in messages[:-1]] == [""] * (len(messages) - 1)
    assert not any(message.batch.snapshot_complete for message in messages[:-1])
    assert messages[-1].resume_token == "token"
    assert messages[-1].batch.snapshot_complete
    assert {message.changes_seen for message in messages} == {3}
    assert [answer.user_id for message in messages for answer in message.batch.answers] == [u for u, _ in answers]
    assert sum(len(message.batch.resolved) for message in messages) == 30


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_an_answer_without_a_presence_is_what_the_worker_would_encode(status: Status) -> None:
    assert encode.status_item(user(1), status) == item(user(1), status)


def test_pending_is_an_answer_with_that_status() -> None:
    assert encode.pending_item(user(1)) == item(user(1), Status.PENDING)


def test_the_other_events_carry_what_they_are_given() -> None:
    message = parsed(encode.started(StartOutcome.RESET, timedelta(seconds=25), 4))
    assert (message.started.outcome, message.started.progress_interval.seconds, message.changes_seen) == (3, 25, 4)
    message = parsed(encode.tenant_status(Status.STALE, 1_700_000_000_123, 5500, 0))
    assert message.tenant_status.unknown_reason == presence_pb2.UNKNOWN_REASON_STALE
    assert message.tenant_status.contact_time.ToMilliseconds() == 1_700_000_000_123
    assert message.tenant_status.poll_interval.ToMilliseconds() == 5500
    message = parsed(encode.progress(0, 0, "", 0))
    assert message.WhichOneof("event") == "progress"
    assert not message.progress.HasField("contact_time")
    assert not message.progress.HasField("poll_interval")
    message = parsed(encode.drain(timedelta(milliseconds=1500), Response.Drain.REASON_SHUTDOWN, 0))
    assert (message.drain.delay.ToMilliseconds(), message.drain.reason) == (1500, 1)
