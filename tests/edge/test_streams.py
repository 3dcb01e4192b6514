"""A suite's view of a stream when nothing goes wrong."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from relay.core.presence import Status
from relay.edge.service import SERVICE
from relay.store.custody.suite_keys import SuiteKeys
from tests.edge.suite import Outcome, Request, pb
from tests.edge.worker import OTHER, TENANT, name, user
from tests.support.ring import MARKS
from tests.support.waiting import eventually

SOON = timedelta(milliseconds=200)


async def test_every_user_is_answered_and_each_change_follows(worker, suite) -> None:
    await worker.users(3)
    stream = await suite().open(name(0), "SIP:User1@Contoso.com ", user(2), "user9@contoso.com").ready()
    assert stream.resolved[name(0)] == user(0)
    assert stream.resolved["SIP:User1@Contoso.com "] == user(1)
    assert stream.resolved[user(2)] == Status.PENDING
    assert stream.resolved["user9@contoso.com"] == Status.PENDING
    await stream.shows({user(0): "first-0", user(1): "first-1"})
    await stream.until(lambda: stream.tenant_statuses)
    assert stream.events()[:2] == ["started", "batch"], "that all is well vouches for the answers, and follows them"
    assert stream.outcomes == [Outcome.OUTCOME_SNAPSHOT]
    assert stream.responses[0].started.progress_interval.seconds == 25
    assert stream.token
    await worker.found({user(1): "second"})
    await stream.shows({user(1): "second"})
    await worker.resolve({user(2): user(2), "user9@contoso.com": Status.NOT_FOUND})
    await stream.until(lambda: stream.resolved[user(2)] == user(2))
    await stream.until(lambda: stream.resolved["user9@contoso.com"] == Status.NOT_FOUND)
    await stream.shows({user(2): "first-2"})


async def test_a_user_without_an_answer_is_pending_until_there_is_one(worker, suite) -> None:
    await worker.resolve({name(0): user(0)})
    stream = await suite().open(name(0)).ready()
    assert stream.activity(user(0)) == Status.PENDING
    await worker.found({user(0): Status.NOT_REPORTED})
    await stream.until(lambda: stream.activity(user(0)) == Status.NOT_REPORTED)


async def test_a_stream_that_names_nobody_is_complete_at_once_and_takes_changes(worker, suite) -> None:
    await worker.users(1)
    stream = await suite().open().ready()
    await stream.until(lambda: stream.tenant_statuses)
    assert stream.events()[:3] == ["started", "batch", "tenant_status"]
    assert stream.token
    await stream.change([name(0)])
    await stream.shows({user(0): "first-0"})


async def test_changes_are_counted_in_every_response_after_them(worker, suite) -> None:
    await worker.users(3)
    stream = await suite().open(name(0)).ready()
    assert {response.changes_seen for response in stream.responses} == {0}
    await stream.change([name(1)])
    await stream.shows({user(1): "first-1"})
    assert stream.responses[-1].changes_seen == 1
    await stream.change([name(2)], [name(1), "nobody@contoso.com"])
    await stream.shows({user(2): "first-2"})
    assert stream.responses[-1].changes_seen == 2
    before = len(stream.responses)
    await worker.found({user(1): "unseen", user(2): "seen"})
    await stream.shows({user(2): "seen"})
    assert all(answer.user_id == user(2) for r in stream.responses[before:] for answer in r.batch.answers)


async def test_a_name_asked_for_again_is_answered_again(worker, suite) -> None:
    await worker.users(1)
    stream = await suite().open(name(0)).ready()
    before = len(stream.responses)
    await stream.change([name(0)])
    await stream.until(lambda: any(r.batch.answers for r in stream.responses[before:]))


async def test_a_start_in_parts_begins_after_the_last(worker, suite) -> None:
    await worker.users(3)
    parts = [
        Request(start=pb.WatchStart(subscribe_users=[name(0)], more_follows=True)),
        Request(start=pb.WatchStart(subscribe_users=[name(1)], more_follows=True)),
        Request(start=pb.WatchStart(subscribe_users=[name(2), name(0)])),
    ]
    stream = await suite().open_raw(*parts).ready()
    await stream.shows({user(n): f"first-{n}" for n in range(3)})
    assert stream.complete == 1


async def test_a_server_stream_is_like_the_start_of_a_bidirectional_one(worker, suite) -> None:
    await worker.users(2)
    first = await suite().open_server_stream(name(0)).ready()
    await first.shows({user(0): "first-0"})
    await worker.found({user(0): "second"})
    await first.shows({user(0): "second"})
    await first.kill()
    await worker.found({user(0): "third"})
    again = await suite().open_server_stream(name(1), held_users=first.held(), resume_token=first.token).ready()
    assert again.outcomes == [Outcome.OUTCOME_RESUMED]
    await again.shows({user(0): "third", user(1): "first-1"})


async def test_half_closing_ends_the_stream_without_an_error(worker, suite) -> None:
    stream = await suite().open().ready()
    await stream.done_writing()
    await eventually(lambda: stream.closed or stream.error)
    assert stream.error is None


async def test_streams_of_different_tenants_share_a_connection(worker, suite) -> None:
    await worker.users(1)
    await worker.users(1, OTHER, "other")
    other_key = (await worker.enrol(OTHER)).text
    mine = await suite().open(name(0)).ready()
    theirs = await suite(other_key).open(name(0)).ready()
    await mine.shows({user(0): "first-0"})
    await theirs.shows({user(0): "other-0"})


async def test_progress_comes_when_nothing_else_does_and_carries_the_token(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(progress_min=SOON)
    await worker.users(1)
    await worker.contact(1_700_000_000_000, 7000)
    interval = pb.WatchStart().progress_interval
    interval.FromTimedelta(SOON)
    stream = await suite(channel=await connect(edge)).open(name(0), progress_interval=interval).ready()
    assert stream.responses[0].started.progress_interval.ToTimedelta() == SOON
    await stream.until(lambda: stream.events().count("progress") >= 2)
    progress = next(r for r in stream.responses if r.HasField("progress"))
    assert progress.resume_token == stream.token
    assert progress.progress.contact_time.ToMilliseconds() == 1_700_000_000_000
    assert progress.progress.poll_interval.ToMilliseconds() == 7000


async def test_the_progress_interval_is_kept_between_its_limits(worker, suite) -> None:
    for wanted, used in ((timedelta(milliseconds=1), 5), (timedelta(days=1), 300), (timedelta(seconds=-7), 5)):
        interval = pb.WatchStart().progress_interval
        interval.FromTimedelta(wanted)
        stream = await suite().open(progress_interval=interval).ready()
        assert stream.responses[0].started.progress_interval.seconds == used


async def test_many_users_come_in_several_batches(worker, suite) -> None:
    count = 6000
    names = await worker.users(count)
    stream = await suite().open(*names).ready()
    assert len(stream.answers) == count
    assert sum(1 for response in stream.responses if response.HasField("batch")) >= 3
    await worker.found({user(count - 1): "last"})
    await stream.shows({user(count - 1): "last"})


async def test_the_worker_hears_of_new_names_and_of_names_that_nobody_wants(worker, suite, raw, edge) -> None:
    await worker.users(2)
    first, second = suite(), suite()
    await first.open(name(0), name(1)).ready()
    await second.open(name(0)).ready()

    async def interest() -> set[bytes]:
        (key,) = [key async for key in raw.scan_iter("*interest*")] or [b"none"]
        return set(await raw.smembers(key))

    assert await interest() == {name(0).encode(), name(1).encode()}
    await first.change(unsubscribe=[name(0), name(1)])
    await eventually(lambda: _is(interest, {name(0).encode()}))
    await second.kill()
    await eventually(lambda: _is(interest, set()))


async def _is(read, expected) -> bool:
    return await read() == expected


async def test_a_key_in_use_is_noted(worker, suite, store) -> None:
    await suite().open().ready()

    async def noted() -> bool:
        (record,) = await SuiteKeys(store, MARKS).list(TENANT)
        return record.last_used is not None

    await eventually(noted)


async def test_a_name_that_comes_to_stand_for_somebody_else_is_told_with_the_new_users_answer(worker, suite) -> None:
    await worker.users(2)
    stream = await suite().open(name(0)).ready()
    await worker.resolve({name(0): user(1)})
    await stream.until(lambda: stream.resolved[name(0)] == user(1))
    await stream.shows({user(1): "first-1"})


async def test_health_answers_everybody(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        response = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert response.status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="another"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_answers_whoever_has_a_key(channel: grpc.aio.Channel, key: str, edge) -> None:
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reflection.ServerReflectionInfo().read()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    call = reflection.ServerReflectionInfo(metadata=[("authorization", f"Bearer {key}")])
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = await call.read()
    assert SERVICE in [service.name for service in listed.list_services_response.service]
    assert edge.statistics().calls.get(TENANT) == 1
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    await eventually(lambda: not edge.statistics().calls)


async def test_many_changes_arrive_newest_last(worker, suite) -> None:
    await worker.users(5)
    stream = await suite().open(*[name(n) for n in range(5)]).ready()
    for n in range(200):
        await worker.found({user(n % 5): f"change-{n}"})
        await asyncio.sleep(0)
    await stream.shows({user(n % 5): f"change-{n}" for n in range(195, 200)})
