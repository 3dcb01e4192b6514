"""The connected suites that a tenant's people see."""

from __future__ import annotations

from relay.store.custody.suite_keys import SuiteKeys
from relay.store.presence.connected import ConnectedSuites, OpenStreams
from tests.edge.suite import pb
from tests.edge.worker import TENANT, name
from tests.support.ring import MARKS
from tests.support.waiting import eventually


async def test_who_is_connected_and_how_many_users_each_watches(worker, suite, store, edge) -> None:
    issued = await worker.issue()
    stream = await suite(issued.text).open(name(0), name(1)).ready()
    await suite(issued.text).open(name(0)).ready()
    await edge.sweep()
    assert (await ConnectedSuites(store).of(TENANT))[issued.key_id] == OpenStreams(2, 3)
    await stream.kill()
    await eventually(lambda: edge.statistics().joined.get(TENANT) == 1)
    await edge.sweep()
    assert (await ConnectedSuites(store).of(TENANT))[issued.key_id] == OpenStreams(1, 1)


async def test_nothing_is_written_while_nothing_changes(worker, suite, store, edge, raw) -> None:
    await suite().open(name(0)).ready()
    await edge.sweep()
    await raw.config_resetstat()
    await edge.sweep()
    stats = await raw.info("commandstats")
    assert "cmdstat_hset" not in stats
    assert "cmdstat_pexpire" not in stats


async def test_a_suites_program_is_noted_with_its_key(worker, suite, store, edge) -> None:
    issued = await worker.issue()
    await suite(issued.text).open(name(0), client=pb.SuiteClient(name="console", version="7.2.1")).ready()

    async def noted() -> bool:
        (record,) = [each for each in await SuiteKeys(store, MARKS).list(TENANT) if each.key_id == issued.key_id]
        return (record.client, record.client_version) == ("console", "7.2.1") and record.last_used is not None

    await eventually(noted)


async def test_an_edge_that_stops_says_that_nobody_is_connected_there(
    worker, suite, store, start_edge, connect
) -> None:
    issued = await worker.issue()
    edge = await start_edge()
    await suite(issued.text, await connect(edge)).open().ready()
    await edge.sweep()
    assert issued.key_id in await ConnectedSuites(store).of(TENANT)
    await edge.__aexit__()
    assert issued.key_id not in await ConnectedSuites(store).of(TENANT)
