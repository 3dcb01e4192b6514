"""The endings of streams, and that nothing is left of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from relay.edge.connected_suites import SWEEP_S
from relay.edge.errors import wire_error
from relay.errors import Bug, SuiteKeyUnknown
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.server import keys
from tests.edge.suite import Outcome, Request, pb
from tests.edge.worker import TENANT, name, user
from tests.support.clock import SteppedClock
from tests.support.ring import MARKS
from tests.support.waiting import eventually

SHORT = timedelta(milliseconds=200)
DrainReason = pb.WatchPresenceResponse.Drain.Reason


async def test_a_revoked_key_ends_its_streams_and_no_others(worker, suite, store) -> None:
    await worker.users(1)
    issued = await worker.issue()
    first = await suite(issued.text).open(name(0)).ready()
    second = await suite(issued.text).open_server_stream(name(0)).ready()
    stays = await suite().open(name(0)).ready()
    await SuiteKeys(store, MARKS).revoke(issued.key_id)
    for stream in (first, second):
        ended = await stream.ending(5)
        assert (ended.code, ended.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_SUITE_KEY_REVOKED")
        assert ended.metadata == {"key_id": issued.key_id}
    ended = await suite(issued.text).open(name(0)).ending()
    assert ended.reason == "ERROR_REASON_SUITE_KEY_REVOKED"
    await worker.found({user(0): "later"})
    await stays.shows({user(0): "later"})


async def test_a_revocation_that_the_edge_could_not_read_ends_the_stream_too(worker, suite, store, raw) -> None:
    issued = await worker.issue()
    stream = await suite(issued.text).open().ready()
    await raw.hset(f"suite-key:{issued.key_id}", "revoked", 1)
    await worker.renew_epoch()
    assert (await stream.ending(5)).reason == "ERROR_REASON_SUITE_KEY_REVOKED"


@pytest.mark.fault("V4")
async def test_a_key_that_is_made_while_the_edge_reads_its_keys_does_not_end_its_stream(
    worker, suite, edge, edge_store
) -> None:
    await worker.users(1)
    issued = await worker.issue()
    first = await suite(issued.text).open(name(0)).ready()
    held = edge_store.hold_reply("HGETALL", keys.suite_key(issued.key_id))
    await worker.renew_epoch()  # after which the edge reads its tenants' keys again
    await held.came.wait()
    second = await suite((await worker.issue()).text).open(name(0)).ready()
    held.let_go()
    await worker.found({user(0): "later"})
    for stream in (first, second):
        await stream.shows({user(0): "later"})


async def test_a_key_revoked_while_its_stream_begins_does_not_begin_it(worker, suite, store, edge) -> None:
    issued = await worker.issue()
    stream = suite(issued.text).open(name(0), more_follows=True)
    await eventually(lambda: edge.statistics().calls.get(TENANT))  # its key was found good
    await SuiteKeys(store, MARKS).revoke(issued.key_id)
    await stream.call.write(Request(start=pb.WatchStart()))
    assert (await stream.ending()).reason == "ERROR_REASON_SUITE_KEY_REVOKED"
    assert stream.responses == []


async def test_a_removed_tenant_ends_its_streams(worker, suite, store) -> None:
    streams = [await suite().open(name(0)).ready() for _ in range(3)]
    await Tenants(store).remove(TENANT)
    for stream in streams:
        ended = await stream.ending(5)
        assert ended.code is grpc.StatusCode.PERMISSION_DENIED
        assert ended.reason in ("ERROR_REASON_TENANT_REMOVED", "ERROR_REASON_SUITE_KEY_REVOKED")
    assert (await suite().open(name(0)).ending()).reason == "ERROR_REASON_TENANT_REMOVED"


async def test_an_old_stream_is_drained_and_loses_nothing(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(max_stream_age=SHORT, connection_age=SHORT, drain_delay=timedelta(seconds=1))
    channel = await connect(edge)
    await worker.users(1)
    stream = await suite(channel=channel).open(name(0)).ready()
    await stream.until(lambda: "drain" in stream.events())
    drain = next(response.drain for response in stream.responses if response.HasField("drain"))
    assert drain.reason == DrainReason.REASON_REBALANCE
    assert timedelta() <= drain.delay.ToTimedelta() <= timedelta(seconds=1)
    await worker.found({user(0): "draining"})
    ended = await stream.ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_REBALANCE")
    assert ended.retry_s is not None
    again = await suite(channel=channel).open(resume_token=stream.token, held_users=stream.held()).ready()
    assert again.outcomes == [Outcome.OUTCOME_RESUMED]
    await eventually(lambda: "draining" in (stream.activity(user(0)), again.activity(user(0))))


async def test_an_edge_that_stops_asks_its_suites_to_leave(worker, start_edge, connect, suite) -> None:
    # gRPC ends an old connection by real time, however slow the machine is: here it must not, for the last calls need it.
    timing = {"drain_delay": timedelta(seconds=10), "connection_age": timedelta(hours=1)}
    edge = await start_edge(clock := SteppedClock(is_stopped=True), **timing)
    channel = await connect(edge)
    streams = [await suite(channel=channel).open(name(0)).ready() for _ in range(10)]

    def all_told() -> bool:
        """Step on once each suite that was asked to leave has read so: in a longer step its time would be over before."""
        told = sum("drain" in stream.events() for stream in streams)
        if told >= edge.statistics().leaving:
            clock.advance(0.2)
        return told == len(streams)

    stopping = asyncio.create_task(edge.drain())
    await eventually(lambda: edge.statistics().is_draining)
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await eventually(all_told)
    refused = await suite(channel=channel).open(name(0)).ending()
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN")
    clock.advance(10)
    for stream in streams:
        await eventually(lambda stream=stream: stream.error)
        assert (stream.error.code, stream.error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN")
        assert stream.error.retry_s is not None
    assert len({r.drain.delay.ToTimedelta() for s in streams for r in s.responses if r.HasField("drain")}) > 5
    await stopping


async def test_an_edge_stops_in_time_although_a_suite_never_leaves(worker, start_edge, connect, suite) -> None:
    edge = await start_edge(drain_delay=timedelta(milliseconds=50))
    await suite(channel=await connect(edge)).open(name(0), more_follows=True).until(lambda: edge.statistics().streams)
    async with asyncio.timeout(20):
        await edge.__aexit__()


async def test_a_suite_that_stops_reading_is_ended_and_one_that_is_slow_is_not(
    worker, start_edge, connect, suite
) -> None:
    edge = await start_edge(blocked_write=timedelta(seconds=1))
    small = {"grpc.http2.bdp_probe": 0, "grpc.http2.lookahead_bytes": 4096}
    await worker.users(400)
    names = [name(n) for n in range(400)]
    reader = await suite(channel=await connect(edge)).open(*names).ready()
    stuck = suite(channel=await connect(edge, **small))
    stuck.call = stuck._stub.WatchPresence(metadata=stuck._metadata)
    await stuck.call.write(Request(start=pb.WatchStart(subscribe_users=names)))
    await stuck.call.read()

    async def stuck_is_gone() -> bool:
        await worker.found({user(n): f"{'x' * 900}-{worker._polls}" for n in range(400)})
        return edge.statistics().streams == 1

    await eventually(stuck_is_gone, 30)
    with suppress(grpc.aio.AioRpcError):
        while await stuck.call.read() is not grpc.aio.EOF:
            pass
    assert await stuck.call.code() is grpc.StatusCode.ABORTED
    assert reader.error is None
    await worker.found({user(7): "newest"})
    await reader.shows({user(7): "newest"})


async def test_a_slow_suite_gets_the_newest_and_not_everything(worker, start_edge, connect, suite) -> None:
    edge = await start_edge()
    small = {"grpc.http2.bdp_probe": 0, "grpc.http2.lookahead_bytes": 4096}
    await worker.users(200)
    names = [name(n) for n in range(200)]
    slow = suite(channel=await connect(edge, **small))
    slow.call = slow._stub.WatchPresence(metadata=slow._metadata)
    await slow.call.write(Request(start=pb.WatchStart(subscribe_users=names)))
    slow._apply(await slow.call.read())
    rounds = 60
    for n in range(rounds):
        await worker.found({user(i): f"{'x' * 900}-{n}" for i in range(200)})
    wanted = {user(i): f"{'x' * 900}-{rounds - 1}" for i in range(200)}
    async with asyncio.timeout(20):
        while {u: slow.activity(u) for u in wanted} != wanted:
            slow._apply(await slow.call.read())
    assert sum(len(response.batch.answers) for response in slow.responses) < 200 * rounds


@pytest.mark.long
async def test_streams_that_come_and_go_leave_nothing_behind(worker, edge, channel, suite) -> None:
    await worker.users(3)
    tasks = len(asyncio.all_tasks())

    async def come_and_go(n: int) -> None:
        stream = suite().open(name(n % 3), f"extra{n}@contoso.com")
        if n % 3 == 0:
            await stream.ready()
        elif n % 3 == 1:
            await asyncio.sleep(0.001 * (n % 7))
        await stream.kill()

    for start in range(0, 500, 25):
        await asyncio.gather(*(come_and_go(n) for n in range(start, start + 25)))
    await eventually(lambda: not (now := edge.statistics()).streams and not now.tasks and not now.interest_tenants)
    left = edge.statistics()
    assert (left.joined, left.partitions, left.calls, left.names) == ({}, 0, {}, 0)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_what_goes_wrong_inside_is_an_incident_without_details(worker, suite, raw) -> None:
    await raw.set(keys.tenant_contact(TENANT), "what no worker writes")
    ended = await suite().open(name(0)).ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.INTERNAL, "ERROR_REASON_BUG")
    assert len(ended.metadata["incident"]) == 8
    assert "Traceback" not in ended.details
    assert "ValueError" not in ended.details


def test_every_ending_has_its_reason_and_no_inner_text() -> None:
    ending = wire_error(Bug("inner detail"), "abc")
    assert (ending.code, ending.reason, ending.metadata) == (
        grpc.StatusCode.INTERNAL,
        "ERROR_REASON_BUG",
        {"incident": "abc"},
    )
    assert "inner detail" not in ending.message
    assert wire_error(SuiteKeyUnknown("in words")).message == "in words"


async def test_a_key_that_ends_by_itself_ends_its_streams(worker, suite, store, edge, raw) -> None:
    issued, other = await worker.issue(), await worker.issue()
    stream = await suite(issued.text).open().ready()
    stays = await suite(other.text).open().ready()
    await SuiteKeys(store, MARKS).end_later(TENANT, issued.key_id, timedelta(milliseconds=300))
    ended = await stream.ending(2 * SWEEP_S)
    assert (ended.code, ended.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_SUITE_KEY_REVOKED")
    assert not stays.call.done()


async def test_a_revocation_that_nobody_could_tell_ends_the_streams_too(worker, suite, raw) -> None:
    """The process that revoked was killed between writing it down and telling the edges."""
    issued = await worker.issue()
    stream = await suite(issued.text).open().ready()
    await raw.hset(f"suite-key:{issued.key_id}", "revoked", 1)
    assert (await stream.ending(2 * SWEEP_S)).reason == "ERROR_REASON_SUITE_KEY_REVOKED"


async def test_a_large_stream_whose_call_is_cancelled_while_it_closes_leaves_no_name_behind(edge, suite) -> None:
    """gRPC cancels the handler of a call that its client cancels; reading has failed by then, and names are being counted out."""
    await suite().open(*(f"person{n}@contoso.com" for n in range(6_000))).ready()
    [handler] = [task for task in asyncio.all_tasks() if "WatchPresence" in task.get_name()]
    handler.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    handler.cancel()
    await eventually(lambda: not (now := edge.statistics()).names and not now.interest_tenants)
