"""One suite key asks for more names, or for other names faster, than any suite needs. (In process, over real TLS.)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from presence_api.v1 import presence_service_pb2 as pb
from relay.core.audit.events import OPERATOR
from relay.core.presence import Name
from relay.store.custody.tenants import Tenants
from relay.store.presence.interest import Interest
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.edge.suite import SuiteStream
from tests.edge.worker import OTHER, TENANT, PlayedWorker
from tests.support.waiting import eventually

pytestmark = pytest.mark.finding(4)


def numbered(first: int, count: int) -> list[str]:
    return [f"user{n}@contoso.com" for n in range(first, first + count)]


@pytest.fixture
async def open_suite(start_edge: Any, connect: Any, key: str) -> Any:
    """Start an edge with settings; gives what makes streams there."""
    streams: list[SuiteStream] = []

    async def start(**settings: Any) -> Callable[..., SuiteStream]:
        channel = await connect(await start_edge(**settings))

        def make(key: str = key) -> SuiteStream:
            streams.append(SuiteStream(channel, key))
            return streams[-1]

        return make

    yield start
    for stream in streams:
        await stream.kill()


async def watched(store: Store, tenant: Any = TENANT) -> int:
    return sum(map(len, (await Interest(store).read(tenant)).values()))


async def test_a_tenants_names_are_bounded_over_all_its_streams_and_others_are_served(
    open_suite: Any, worker: PlayedWorker, store: Store
) -> None:
    suite = await open_suite(tenant_names=100)
    first, second = suite().open(*numbered(0, 60)), suite().open(*numbered(50, 40))
    await first.ready()
    await second.ready()
    ended = await suite().open(*numbered(90, 11)).ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_USERS")
    assert ended.metadata == {"limit": "100", "per": "tenant"}
    await suite().open(*numbered(30, 60)).ready()  # names that are watched already are no more
    await second.change(numbered(90, 10))
    await second.until(lambda: "user99@contoso.com" in second.resolved)
    await second.change(numbered(100, 1))
    assert (await second.ending()).metadata == {"limit": "100", "per": "tenant"}
    assert first.error is None
    other = (await worker.enrol(OTHER)).text
    await suite(other).open(*numbered(0, 100)).ready()


async def test_names_that_are_given_up_make_room_at_once(open_suite: Any) -> None:
    suite = await open_suite(tenant_names=100)
    stream = await suite().open(*numbered(0, 100)).ready()
    for turn in range(1, 4):
        await stream.change(numbered(100 * turn, 100), numbered(100 * (turn - 1), 100))
        await stream.until(lambda turn=turn: f"user{100 * turn + 99}@contoso.com" in stream.resolved)


async def test_a_start_that_is_refused_leaves_nothing_behind(open_suite: Any, store: Store) -> None:
    suite = await open_suite(tenant_names=100)
    keeps = await suite().open(*numbered(0, 10)).ready()
    assert (await suite().open(*numbered(1000, 200)).ending()).reason == "ERROR_REASON_TOO_MANY_USERS"

    async def is_right() -> bool:
        return await watched(store) == 10

    await eventually(is_right)
    assert keeps.error is None


async def test_an_operator_raises_a_tenants_limit(open_suite: Any, worker: PlayedWorker, store: Store) -> None:
    await Tenants(store).change_settings(TENANT, {"most_names": "300"}, OPERATOR)
    suite = await open_suite(tenant_names=100)
    await suite().open(*numbered(0, 300)).ready()
    assert (await suite().open(*numbered(300, 1)).ending()).metadata["limit"] == "300"


async def test_the_same_names_on_many_streams_are_bounded_too(open_suite: Any) -> None:
    suite = await open_suite(tenant_names=100)
    streams = [await suite().open(*numbered(0, 100)).ready() for _ in range(4)]
    ended = await suite().open(*numbered(0, 100)).ending()
    assert (ended.reason, ended.metadata) == ("ERROR_REASON_TOO_MANY_USERS", {"limit": "400", "per": "tenant_at_edge"})
    assert all(stream.error is None for stream in streams)


async def test_suites_of_an_edge_that_was_killed_are_taken_in_elsewhere_at_once(open_suite: Any, store: Store) -> None:
    await Interest(store).add(TENANT, "killed", [Name(name) for name in numbered(0, 100)])
    suite = await open_suite(tenant_names=100)
    stream = await suite().open(*numbered(0, 100)).ready()
    await store.command("DEL", keys.interest(TENANT, "killed"))  # as when it expires
    await stream.change(numbered(100, 1), numbered(0, 1))
    await stream.until(lambda: "user100@contoso.com" in stream.resolved)


async def test_interest_that_was_lost_is_registered_again_up_to_the_limit(
    open_suite: Any, worker: PlayedWorker, store: Store
) -> None:
    suite = await open_suite(tenant_names=100)
    stream = await suite().open(*numbered(0, 100)).ready()
    edge = next(iter(await Interest(store).read_edges(TENANT)))
    await store.command("SREM", keys.interest(TENANT, edge), *numbered(0, 50))
    await worker.renew_epoch()  # history is lost, as after a failover

    async def is_right() -> bool:
        return await watched(store) == 100

    await eventually(is_right)
    await eventually(lambda: stream.complete == 2)
    assert (await suite().open(*numbered(100, 1)).ending()).reason == "ERROR_REASON_TOO_MANY_USERS"
    assert stream.error is None


def rotation() -> Iterator[pb.WatchPresenceRequest]:
    for turn in range(1, 10_000):
        new, old = numbered(100 * turn, 100), numbered(100 * (turn - 1), 100)
        yield pb.WatchPresenceRequest(change=pb.WatchPresenceRequest.Change(subscribe_users=new, unsubscribe_users=old))


async def test_changes_beyond_the_budget_wait_in_http2_and_break_nobody(open_suite: Any, worker: PlayedWorker) -> None:
    suite = await open_suite(names_at_once=1000, names_a_second=400)
    stream = await suite().open(*numbered(0, 100)).ready()
    beside = await suite((await worker.enrol(OTHER)).text).open("user1@contoso.com").ready()

    async def flood() -> None:
        for request in rotation():
            await stream.call.write(request)

    loop = asyncio.get_running_loop()
    began, flooding = loop.time(), asyncio.create_task(flood())
    seen = 0
    while loop.time() < began + 2:
        seen += 1
        await beside.change([f"guest{seen}@contoso.com"])
        await beside.until(lambda seen=seen: f"guest{seen}@contoso.com" in beside.resolved)
    counted = max(response.changes_seen for response in stream.responses)
    # Each change has 200 names: 1,000 at once, one that overdraws, and what came back meanwhile.
    assert 5 <= counted <= 6 + (loop.time() - began) * 400 / 200
    assert stream.error is None
    assert not flooding.done()  # it could not get rid of what it has: 20 MB
    flooding.cancel()


async def test_starts_beyond_the_budget_wait_and_are_answered(open_suite: Any) -> None:
    suite = await open_suite(start_names_at_once=200, start_names_a_second=200)
    streams = [suite().open(*numbered(0, 100)) for _ in range(5)]
    for stream in streams:
        await stream.ready()


async def test_who_waits_for_its_budget_is_not_ended_for_being_late(open_suite: Any) -> None:
    suite = await open_suite(start_names_at_once=10, start_names_a_second=100, start_parts=timedelta(milliseconds=50))
    await suite().open(*numbered(0, 100)).ready()
    await suite().open(*numbered(0, 100)).ready()  # 0.9 s later
