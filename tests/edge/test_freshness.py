"""The freshness of a tenant: a function of the worker's contact and the edge's own clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from presence_api.v1 import presence_service_pb2 as pb
from presence_api.v1.presence_pb2 import UnknownReason
from relay.core.presence import Status
from relay.core.watching.values import Position
from relay.edge.hub.history import Partition, Verdict, judge
from relay.edge.hub.tenants import TenantView
from relay.edge.settings import EdgeSettings
from relay.store.presence.entries import TenantContact
from relay.store.server import keys
from tests.edge.suite import SuiteStream
from tests.edge.worker import TENANT, name, user
from tests.support.waiting import eventually

SETTINGS = EdgeSettings()
SOON = timedelta(milliseconds=50)


@dataclass(eq=False)
class Woken:
    """A stream that only counts how often it was woken."""

    watch: object = None
    key_id: str = ""
    times: list[float] = field(default_factory=list)

    def wake(self) -> None:
        self.times.append(1)


def view() -> TenantView:
    return TenantView(TENANT, 0, SETTINGS, now=100.0)


def contact(
    ms: int, interval_ms: int = 5000, status: Status = Status.NONE, beat_ms: int = 0, said_ms: int = 0
) -> TenantContact:
    return TenantContact(TENANT, ms, interval_ms, status, beat_ms, said_ms)


def test_a_tenant_is_stale_when_contact_has_not_moved_for_three_intervals_and_a_grace() -> None:
    tenant = view()
    tenant.set_contact(contact(1), now=100.0)
    assert tenant.freshness(117.0).status is Status.NONE
    assert tenant.freshness(117.1).status is Status.STALE
    tenant.set_contact(contact(1), now=110.0)  # said again, not moved
    assert tenant.freshness(117.1).status is Status.STALE
    tenant.set_contact(contact(2), now=120.0)
    assert tenant.freshness(137.0).status is Status.NONE


def test_a_longer_interval_takes_longer_to_be_stale() -> None:
    tenant = view()
    tenant.set_contact(contact(1, 60_000), now=100.0)
    assert tenant.freshness(281.0).status is Status.NONE
    assert tenant.freshness(283.0).status is Status.STALE


def test_a_tenant_of_whom_no_worker_says_anything_is_stale_long_before_its_interval_says_so() -> None:
    tenant = view()
    tenant.set_contact(contact(1, 60_000, beat_ms=5000), now=100.0)
    assert tenant.freshness(117.0).status is Status.NONE
    assert tenant.freshness(117.1).status is Status.STALE
    tenant.set_contact(contact(1, 60_000, beat_ms=5000), now=118.0)
    assert tenant.freshness(135.0).status is Status.NONE


def test_a_beat_is_no_contact() -> None:
    tenant = view()
    for now in range(100, 300, 5):
        tenant.set_contact(contact(1, 60_000, beat_ms=5000), now=float(now))
    assert tenant.freshness(282.1).status is Status.STALE


def test_a_worker_that_promises_no_beat_is_judged_by_contact_alone() -> None:
    tenant = view()
    tenant.set_contact(contact(1, 60_000, beat_ms=0), now=100.0)
    assert tenant.freshness(281.0).status is Status.NONE


def test_a_tenant_that_nobody_ever_read_becomes_stale() -> None:
    tenant = view()
    assert tenant.told.status is Status.NONE
    tenant.judge(118.0)
    assert tenant.told.status is Status.STALE


def test_the_workers_reason_says_more_than_stale() -> None:
    tenant = view()
    tenant.set_contact(contact(1, status=Status.CONSENT_REQUIRED), now=100.0)
    assert tenant.freshness(1000.0).status is Status.CONSENT_REQUIRED


def test_streams_are_woken_when_status_or_interval_change_and_not_otherwise() -> None:
    tenant, stream = view(), Woken()
    tenant.streams[stream] = None  # type: ignore[index]
    tenant.set_contact(contact(1), now=100.0)
    assert len(stream.times) == 1  # the interval is known now
    tenant.set_contact(contact(2), now=101.0)
    tenant.judge(102.0)
    assert len(stream.times) == 1
    tenant.set_contact(contact(3, 6000), now=103.0)
    tenant.set_contact(contact(3, 6000, Status.THROTTLED), now=104.0)
    assert len(stream.times) == 3


def test_history_is_judged_by_epoch_position_and_gaps() -> None:
    fresh = Partition(0)
    used = Partition(0, position=Position("e1.r1", 10))
    missing = Partition(0, position=Position("e1.r1", 10), gap=True)
    cases = [
        (fresh, None, None, 5, "r1", Verdict.UNVOUCHED),
        (fresh, None, "e1.r0", 5, "r1", Verdict.UNVOUCHED),
        (fresh, None, "e1.r1", 5, "r1", Verdict.FIRST),
        (used, 10, "e1.r1", 10, "r1", Verdict.SAME),
        (used, 10, "e1.r1", 12, "r1", Verdict.SAME),
        (used, 10, "e1.r1", 9, "r1", Verdict.LOST),
        (used, 10, "e2.r1", 12, "r1", Verdict.LOST),
        (used, 10, "e1.r1", 12, "r2", Verdict.UNVOUCHED),
        (missing, 10, "e1.r1", 12, "r1", Verdict.MISSED),
        (missing, 10, "e1.r1", 9, "r1", Verdict.LOST),
        (missing, 10, "e2.r1", 12, "r1", Verdict.LOST),
    ]
    for partition, before, epoch, last, replid, verdict in cases:
        assert judge(partition, before, epoch, last, replid).verdict is verdict  # type: ignore[arg-type]


@pytest.mark.fault("V8")
def test_what_the_worker_said_before_anybody_listened_counts_from_when_it_said_so() -> None:
    tenant = view()
    tenant.set_kept_contact(contact(1), 20.0, now=100.0)
    assert tenant.told.status is Status.STALE
    tenant = view()
    tenant.set_kept_contact(contact(1), 2.0, now=100.0)
    assert tenant.freshness(115.0).status is Status.NONE
    assert tenant.freshness(115.1).status is Status.STALE


@pytest.mark.fault("V8")
def test_contact_that_was_old_when_it_was_said_is_old_whatever_the_clocks_say() -> None:
    """The worker's clock is decades behind; only the difference of its own two times counts."""
    tenant = view()
    tenant.set_kept_contact(contact(1_000, said_ms=64_000), 0.0, now=100.0)
    assert tenant.told.status is Status.STALE
    tenant = view()
    tenant.set_kept_contact(contact(60_000, said_ms=64_000), 0.0, now=100.0)
    assert tenant.freshness(117.0).status is Status.NONE


@pytest.mark.fault("V8")
async def test_a_suite_that_comes_back_to_a_restarted_edge_while_no_worker_lives_is_told_at_once(
    worker, start_edge, connect, suite, raw
) -> None:
    await worker.users(1)
    await worker.contact(1)
    key = keys.tenant_contact(TENANT)
    *said, kept_ms = (await raw.get(key)).split()
    await raw.set(key, b"%b %d" % (b" ".join(said), int(kept_ms) - 60_000))  # a minute ago
    stream = await suite(channel=await connect(await start_edge())).open(name(0)).ready()
    await stream.until(lambda: stream.tenant_statuses)
    assert stream.tenant_statuses == [UnknownReason.UNKNOWN_REASON_STALE]
    await worker.contact(2)
    await stream.until(lambda: stream.tenant_statuses[1:])
    assert stream.tenant_statuses[1] == UnknownReason.UNKNOWN_REASON_UNSPECIFIED


@pytest.mark.fault("V8")
async def test_a_worker_whose_clock_is_an_hour_off_makes_nobody_stale(worker, suite) -> None:
    for wrong_ms in (-3_600_000, 3_600_000):
        now_ms = int(time.time() * 1000) + wrong_ms
        told = TenantContact(TENANT, now_ms - 1000, 5000, Status.NONE, said_ms=now_ms)
        await worker.presences.contact(worker.lease(TENANT), [told])
        stream = await suite().open().ready()
        await stream.until(lambda stream=stream: stream.tenant_statuses)
        assert stream.tenant_statuses == [UnknownReason.UNKNOWN_REASON_UNSPECIFIED]
        await stream.kill()


@pytest.mark.fault("V7")
async def test_a_suite_is_told_that_all_is_well_only_after_the_answers_of_that_time(
    worker, start_edge, connect, key
) -> None:
    """A new owner's reads come with the contact that confirms them: the suite must not call older answers fresh."""
    names = await worker.users(2)
    edge = await start_edge(linger=timedelta(seconds=0.5))
    stream = SuiteStream(await connect(edge), key).open(*names)
    await stream.ready()
    await worker.contact(1, status=Status.THROTTLED)
    await stream.until(lambda: stream.tenant_statuses[-1:] == [Status.THROTTLED.value])
    # The stream has just written, so what follows is sent together.
    await worker.found({user(0): "now-0", user(1): "now-1"})
    await worker.contact(2)
    await stream.until(lambda: stream.tenant_statuses[-1:] == [0])
    await stream.shows({user(0): "now-0", user(1): "now-1"})
    assert stream.events()[-2:] == ["batch", "tenant_status"]
    await stream.kill()


async def test_no_contact_is_told_while_older_answers_are_shown(worker, start_edge, connect, suite, raw) -> None:
    """After a failover contact is read again before answers are: a suite must not take what it still shows for confirmed then."""
    edge = await start_edge(progress_min=SOON)
    await worker.users(1)
    await worker.contact(1_000)
    interval = pb.WatchStart().progress_interval
    interval.FromTimedelta(SOON)
    stream = await suite(channel=await connect(edge)).open(name(0), progress_interval=interval).ready()
    await stream.until(lambda: contacts(stream) and contacts(stream)[-1] == 1_000)
    await raw.set(keys.tenant_unenforced(TENANT), b"mark")  # no snapshot is used until this is gone
    hub, known = edge.context.hub, edge.context.hub.position(TENANT)
    await worker.renew_epoch()
    await eventually(lambda: hub.position(TENANT).epoch != known.epoch)
    await worker.found({user(0): "after"})
    await worker.contact(2_000, 6_000)
    await eventually(lambda: hub.tenants[TENANT].contact_ms == 2_000)
    told = len(contacts(stream))
    await stream.until(lambda: len(contacts(stream)) >= told + 2)
    assert set(contacts(stream)) == {1_000}, "progress goes on with the contact that holds for what is shown"
    await raw.delete(keys.tenant_unenforced(TENANT))
    await stream.until(lambda: contacts(stream)[-1] == 2_000)
    answered = max(at for at, one in enumerate(stream.responses) if one.batch.answers)
    assert stream.activity(user(0)) == "after"
    assert all(contact_of(one) < 2_000 for one in stream.responses[:answered])


def contact_of(response: pb.WatchPresenceResponse) -> int:
    """Return the contact time of a response, in milliseconds; 0 without one."""
    return max(response.progress.contact_time.ToMilliseconds(), response.tenant_status.contact_time.ToMilliseconds())


def contacts(stream: SuiteStream) -> list[int]:
    return [contact for contact in map(contact_of, stream.responses) if contact]
