"""The audit log learns from a real edge who watched whom."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relay.core.audit.events import EventKind
from relay.errors import StoreUnavailable
from relay.store.custody.audit import AuditLog
from relay.store.server import keys
from relay.store.server.connection import Store
from tests.edge.worker import OTHER, TENANT, name, user
from tests.support.waiting import eventually

SOON = {"watch_log_every": timedelta(milliseconds=20), "watch_goes_on_for": timedelta(milliseconds=300)}


async def told(store: Store, kind: EventKind) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (one.entry.by.id, one.entry.users) async for one in AuditLog(store).all(TENANT) if one.entry.kind is kind
    ]  # fmt: skip


async def test_what_a_suite_watches_is_told_when_it_begins_and_when_it_has_ended(
    worker, suite, store, start_edge, connect
) -> None:
    issued = await worker.issue()
    edge = await start_edge(**SOON)
    stream = await suite(issued.text, await connect(edge)).open(name(1), name(0), "not a name").ready()
    await eventually(lambda: told(store, EventKind.WATCH_BEGAN))
    assert await told(store, EventKind.WATCH_BEGAN) == [(issued.key_id, (name(0), name(1)))]
    await stream.change(unsubscribe=[name(0)])
    await eventually(lambda: told(store, EventKind.WATCHED))
    assert await told(store, EventKind.WATCHED) == [(issued.key_id, (name(0),))]
    await stream.kill()

    async def both_ended() -> bool:
        return len(await told(store, EventKind.WATCHED)) == 2

    await eventually(both_ended)
    [last, _] = [one.entry async for one in AuditLog(store).all(TENANT) if one.entry.kind is EventKind.WATCHED]
    assert last.since is not None
    assert last.until is not None
    assert last.since <= last.until
    assert edge.statistics().audited_names == 0


async def test_a_suite_that_reconnects_soon_has_one_watch(worker, suite, store, start_edge, connect) -> None:
    issued = await worker.issue()
    edge = await start_edge(watch_log_every=timedelta(milliseconds=10))
    channel = await connect(edge)
    for _ in range(4):
        stream = await suite(issued.text, channel).open(name(0)).ready()
        await stream.kill()
        await eventually(lambda: not edge.statistics().joined.get(TENANT))
    await edge.context.watch_audit.write(all_end=True)
    assert len(await told(store, EventKind.WATCH_BEGAN)) == len(await told(store, EventKind.WATCHED)) == 1


async def test_an_edge_that_stops_tells_the_end_of_what_it_served(worker, suite, store, start_edge, connect) -> None:
    issued = await worker.issue()
    edge = await start_edge()
    await suite(issued.text, await connect(edge)).open(name(0)).ready()
    await edge.__aexit__()
    assert (
        await told(store, EventKind.WATCH_BEGAN)
        == await told(store, EventKind.WATCHED)
        == [(issued.key_id, (name(0),))]
    )


async def test_watches_of_a_time_without_redis_are_told_when_it_is_back(
    worker, suite, store, start_edge, connect, valkey
) -> None:
    issued = await worker.issue()
    edge = await start_edge()
    stream = await suite(issued.text, await connect(edge)).open(name(0)).ready()
    valkey.kill()
    with pytest.raises(StoreUnavailable):
        await edge.context.watch_audit.write()
    valkey.start()
    await stream.kill()
    await eventually(lambda: not edge.statistics().joined.get(TENANT))
    await edge.context.watch_audit.write(all_end=True)
    assert (
        await told(store, EventKind.WATCH_BEGAN)
        == await told(store, EventKind.WATCHED)
        == [(issued.key_id, (name(0),))]
    )


async def test_answers_cost_the_audit_log_nothing_and_are_not_in_it(
    worker, suite, store, start_edge, connect, raw
) -> None:
    issued = await worker.issue()
    [who] = await worker.users(1)
    edge = await start_edge(**SOON)
    stream = await suite(issued.text, await connect(edge)).open(who).ready()
    await eventually(lambda: told(store, EventKind.WATCH_BEGAN))
    before = await raw.xlen(keys.audit_watches(TENANT))
    for activity in ("second", "third", "fourth"):
        await worker.found({user(0): activity})
        await stream.shows({user(0): activity})
    await edge.context.watch_audit.write()
    entries = await raw.xrange(keys.audit_watches(TENANT))
    assert len(entries) == before
    assert "fourth" not in str(entries)
    assert await raw.exists(keys.audit_watches(OTHER)) == 0
