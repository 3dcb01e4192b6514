"""Nothing that changed while a suite was away is missing after it resumed, and older never follows newer."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from relay.core.presence import Status
from relay.store.server import keys
from tests.edge.suite import Outcome
from tests.edge.worker import TENANT, name, user
from tests.support.waiting import eventually

P = keys.partition_of(TENANT)


async def test_a_killed_suite_resumes_with_just_what_changed(worker, suite) -> None:
    await worker.users(20)
    first = await suite().open(*[name(n) for n in range(20)]).ready()
    await first.kill()
    await worker.found({user(3): "away", user(4): Status.NOT_REPORTED})
    again = await suite().open(resume_token=first.token, held_users=first.held()).ready()
    assert again.outcomes == [Outcome.OUTCOME_RESUMED]
    assert {u: again.activity(u) for u in again.answers} == {user(3): "away", user(4): Status.NOT_REPORTED}
    assert again.resolved == {}
    await worker.found({user(5): "back"})
    await again.shows({user(5): "back"})


async def test_a_suite_resumes_at_another_edge(worker, suite, start_edge, connect) -> None:
    await worker.users(2)
    first = await suite().open(name(0)).ready()
    await first.kill()
    await worker.found({user(0): "away"})
    other = await connect(await start_edge())
    again = await suite(channel=other).open(name(1), resume_token=first.token, held_users=first.held()).ready()
    assert again.outcomes == [Outcome.OUTCOME_RESUMED]
    await again.shows({user(0): "away", user(1): "first-1"})


async def test_a_name_that_changed_its_user_meanwhile_is_told(worker, suite) -> None:
    await worker.users(2)
    first = await suite().open(name(0)).ready()
    await first.kill()
    await worker.resolve({name(0): user(1)})
    again = await suite().open(resume_token=first.token, held_users=first.held()).ready()
    assert again.resolved == {name(0): user(1)}
    assert again.activity(user(1)) == "first-1"


@pytest.mark.long
async def test_resuming_many_times_while_presence_changes_misses_nothing(worker, suite) -> None:
    count, chance = 30, random.Random(7)
    await worker.users(count)
    truth = {user(n): f"first-{n}" for n in range(count)}
    shown: dict[str, str | int | None] = {}
    going = True

    async def change() -> None:
        n = 0
        while going:
            n += 1
            changed = {user(i): f"change-{n:06d}" for i in chance.sample(range(count), 3)}
            await worker.found(changed)
            truth.update(changed)

    changing = asyncio.create_task(change())
    stream = await suite().open(*[name(n) for n in range(count)]).ready()
    for round_ in range(15):
        shown.update({u: stream.activity(u) for u in stream.answers})
        held, token = stream.held(), stream.token
        await stream.kill()
        shown.update({u: stream.activity(u) for u in stream.answers})
        stream, last = suite().open(resume_token=token, held_users=held), stream
        await stream.ready()
        assert stream.outcomes == [Outcome.OUTCOME_RESUMED]
        stream.resolved = {**last.resolved, **stream.resolved}
        await asyncio.sleep(chance.random() * 0.05)
        if round_ == 14:
            going = False
            await changing
    await eventually(lambda: {**shown, **{u: stream.activity(u) for u in stream.answers}} == truth)


async def test_a_new_epoch_begins_the_stream_anew(worker, suite) -> None:
    await worker.users(2)
    stream = await suite().open(name(0), "nonsense").ready()
    old = stream.token
    await worker.renew_epoch()
    await worker.found({user(0): "after"})
    await stream.until(lambda: stream.outcomes == [Outcome.OUTCOME_SNAPSHOT, Outcome.OUTCOME_RESET])
    await stream.until(lambda: stream.complete == 2)
    await stream.shows({user(0): "after"})
    assert stream.resolved == {name(0): user(0), "nonsense": Status.MALFORMED}
    assert stream.token not in ("", old)
    await worker.found({user(0): "later"})
    await stream.shows({user(0): "later"})


async def test_history_below_the_edges_position_begins_the_stream_anew(worker, suite, raw) -> None:
    """A failover lost the last writes, and the server says so by nothing but a smaller last id."""
    await worker.users(1)
    stream = await suite().open(name(0)).ready()
    head = await raw.get(keys.changes_head(P))
    await worker.found({user(0): "lost"})
    await stream.shows({user(0): "lost"})
    async with raw.pipeline() as pipe:
        pipe.delete(keys.changes(P))
        pipe.set(keys.changes_head(P), head)
        pipe.delete(keys.answers(TENANT))
        await pipe.execute()
    await stream.until(lambda: stream.outcomes[1:] == [Outcome.OUTCOME_RESET])
    await stream.until(lambda: stream.activity(user(0)) == Status.PENDING)


async def test_entries_that_were_trimmed_before_the_edge_read_them_are_made_good(worker, suite, raw) -> None:
    await worker.users(10)
    stream = await suite().open(*[name(n) for n in range(10)]).ready()
    for n in range(10):
        await worker.found({user(n): f"unseen-{n}"})
        await raw.xtrim(keys.changes(P), maxlen=0, approximate=False)
    await worker.found({user(0): "seen"})
    await stream.shows({user(0): "seen", **{user(n): f"unseen-{n}" for n in range(1, 10)}})
    assert stream.outcomes == [Outcome.OUTCOME_SNAPSHOT]


async def test_a_stream_waits_for_a_partition_that_no_worker_has_taken_yet(suite_of) -> None:
    worker, stream = await suite_of()
    await asyncio.sleep(0.05)
    assert stream.responses == []
    await worker.renew_epoch()
    await stream.ready()
    assert stream.outcomes == [Outcome.OUTCOME_SNAPSHOT]


async def test_entries_read_while_a_snapshot_is_under_way_are_kept_for_it(worker, suite, edge) -> None:
    await worker.users(1)
    stream = await suite().open(name(0)).ready()
    hub = edge.context.hub
    view = hub.tenants[TENANT]
    with hub.hold(view) as hold:
        await worker.found({user(0): "meanwhile"})
        await stream.shows({user(0): "meanwhile"})
        assert [user_id for entry in hold.missed for user_id, _ in entry.answers] == [user(0)]
        assert not hold.void
        await worker.renew_epoch()
        await eventually(lambda: hold.void)
    assert all(one is not hold for one in view.holds), "the stream may hold anew: its history was lost"


@pytest.mark.long
async def test_a_change_that_meets_a_snapshot_is_not_lost(worker, suite, start_edge, connect) -> None:
    edge = await start_edge(linger=timedelta(milliseconds=1))
    await worker.users(1)
    chance = random.Random(3)
    stream = await suite(channel=await connect(edge)).open().ready()

    async def change(text: str) -> None:
        await asyncio.sleep(chance.random() * 0.004)
        await worker.found({user(0): text})

    for n in range(150):
        await asyncio.gather(change(f"change-{n}"), stream.change([name(0)]))
        await stream.shows({user(0): f"change-{n}"})
        await stream.change(unsubscribe=[name(0)])


@pytest.mark.fault("V3")
async def test_of_three_snapshots_under_way_none_misses_what_is_read_meanwhile(
    worker, suite, edge, monkeypatch
) -> None:
    """All three have missed nothing yet, and so are equal; the end of one must not be taken for another's. Only replies wait."""
    await worker.users(1)
    replies: list[asyncio.Event] = []
    read = edge.context.presences.snapshot

    async def snapshot(*asked: Any) -> Any:
        found = await read(*asked)
        replies.append(may_come := asyncio.Event())
        await may_come.wait()
        return found

    monkeypatch.setattr(edge.context.presences, "snapshot", snapshot)
    streams = []
    for number in range(3):
        streams.append(suite().open(name(0)))
        await eventually(lambda number=number: len(replies) > number)
    replies[1].set()
    await streams[1].ready()
    await worker.found({user(0): "meanwhile"})
    await streams[1].shows({user(0): "meanwhile"})
    replies[0].set()
    replies[2].set()
    for stream in streams:
        await stream.shows({user(0): "meanwhile"})
        assert stream.error is None
