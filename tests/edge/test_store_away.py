"""The store goes away and comes back: open streams stay, new ones are refused, and nothing is missed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from relay.core.presence import Status
from relay.errors import NotPrimary, RelayError
from tests.edge.suite import Outcome
from tests.edge.worker import name, user
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server of its own, to be killed."""
    with ValkeyServer(tmp_path) as server:
        yield server


async def test_streams_outlive_a_store_that_restarts_and_begin_anew(worker, edge, suite, valkey) -> None:
    await worker.users(2)
    stream = await suite().open(name(0)).ready()
    valkey.kill()
    await stream.change([name(1)])
    refused = await suite().open(name(0)).ending()
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_STORE_UNAVAILABLE")
    assert refused.retry_s
    valkey.start()
    assert stream.error is None
    assert stream.outcomes == [Outcome.OUTCOME_SNAPSHOT]
    await eventually(lambda: _renewed(worker))
    await worker.found({user(0): "after", user(1): "after"})
    await stream.until(lambda: stream.outcomes == [Outcome.OUTCOME_SNAPSHOT, Outcome.OUTCOME_RESET])
    await stream.shows({user(0): "after", user(1): "after"})
    assert stream.resolved[name(1)] == user(1)
    await worker.found({user(1): "later"})
    await stream.shows({user(1): "later"})


async def test_interest_that_was_lost_with_history_is_registered_again(worker, edge, suite, valkey, raw) -> None:
    await worker.users(2)
    stream = await suite().open(name(0), name(1)).ready()
    (key,) = [key async for key in raw.scan_iter("*interest*")]
    await raw.srem(key, name(1))
    await worker.renew_epoch()
    await stream.until(lambda: stream.complete == 2)
    assert await raw.smembers(key) == {name(0).encode(), name(1).encode()}


@pytest.mark.fault("B1")
async def test_a_server_that_is_no_primary_any_more_serves_nobody(worker, edge, suite, raw, tmp_path) -> None:
    await worker.users(1)
    stream = await suite().open(name(0)).ready()
    (tmp_path / "primary").mkdir()
    with ValkeyServer(tmp_path / "primary") as primary:
        await raw.replicaof("127.0.0.1", primary.port)
        await eventually(lambda: edge.statistics().is_store_away)
        assert (await suite().open(name(0)).ending()).reason in (
            "ERROR_REASON_STORE_UNAVAILABLE",
            "ERROR_REASON_TENANT_REMOVED",
            "ERROR_REASON_SUITE_KEY_UNKNOWN",
        )
        assert stream.error is None
        with pytest.raises(NotPrimary):  # a replica that knows no key ends no stream for it
            await edge.sweep()
        assert stream.error is None


async def test_a_tenant_is_stale_while_the_store_is_away_and_well_after_contact(
    worker, start_edge, connect, suite, valkey
) -> None:
    edge = await start_edge(stale_grace=timedelta(seconds=1))
    await worker.users(1)
    await worker.contact(1_000, interval_ms=1000)
    stream = await suite(channel=await connect(edge)).open(name(0)).ready()
    await stream.until(lambda: stream.tenant_statuses == [0])
    valkey.kill()
    await stream.until(lambda: stream.tenant_statuses == [0, Status.STALE])
    valkey.start()
    await eventually(lambda: _renewed(worker))
    await worker.contact(2_000, interval_ms=1000)
    await stream.until(lambda: stream.tenant_statuses[:3] == [0, Status.STALE, 0])


async def _renewed(worker) -> bool:
    try:
        await worker.renew_epoch()
    except RelayError:
        return False
    return True


async def test_a_stream_whose_partition_no_worker_takes_is_refused_after_a_while(suite_of) -> None:
    _, stream = await suite_of(begin_within=timedelta(milliseconds=300))
    ended = await stream.ending()
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_STORE_UNAVAILABLE")
    assert stream.responses == []
