"""Items are what protobuf would write, and say again what they were made of."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from presence_api.v1 import presence_service_pb2 as service
from relay.core.presence import (
    Availability,
    ConsoleStatus,
    DirectoryNames,
    OutOfOffice,
    Presence,
    Source,
    Status,
    UserId,
)
from relay.wire.encode import decode, encode_presence, encode_status

USER = UserId("0953efbf-282d-5a02-90d3-4a78a7e9256a")
texts = st.text(max_size=400)
times = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
presences = st.builds(
    Presence,
    user_id=st.just(USER),
    upn=texts,
    availability=st.sampled_from(Availability),
    raw_availability=texts,
    raw_activity=texts,
    idle=st.just(True),
    idle_time=times,
    console_status=st.sampled_from(ConsoleStatus),
    status_message=st.none() | texts,
    out_of_office=st.none() | st.builds(OutOfOffice, st.booleans(), texts),
    observe_time=times,
    source=st.sampled_from(Source),
    sequence_number=texts,
    called=st.builds(DirectoryNames, texts, texts),
)


@given(presences)
def test_a_presence_comes_back_as_it_was(presence: Presence):
    item = encode_presence(presence)
    assert decode(item) == presence
    batch = service.WatchPresenceResponse.Batch.FromString(item)
    assert batch.SerializeToString(deterministic=True) == item


@given(st.sampled_from([status for status in Status if status]))
def test_a_status_comes_back_as_it_was(status: Status):
    assert decode(encode_status(USER, status)) is status


@given(st.lists(presences, max_size=4))
def test_items_put_together_are_a_batch(some: list[Presence]):
    batch = service.WatchPresenceResponse.Batch.FromString(b"".join(map(encode_presence, some)))
    assert [answer.presence.upn for answer in batch.answers] == [presence.upn for presence in some]
