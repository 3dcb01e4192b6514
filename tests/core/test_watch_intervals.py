"""Which suite watched whom from when to when."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from relay.core.audit import watch_intervals as spans
from relay.core.audit.events import Actor, Entry, EventKind
from relay.core.audit.watch_intervals import GOES_ON_FOR, WatchIntervals
from relay.core.presence import Name, TenantId

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
TENANT, OTHER = TenantId("t1"), TenantId("t2")
DESK, LOBBY = Actor.suite("k1", "desk"), Actor.suite("k2", "lobby")
ADA, BEN = Name("ada@x.com"), Name("ben@x.com")


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def taken(watched: WatchIntervals, now: datetime) -> dict[TenantId, list[Entry]]:
    found = {tenant_id: watched.take(tenant_id, now) for tenant_id in watched.tenants}
    return {tenant_id: entries for tenant_id, entries in found.items() if entries}


def ended(watched: WatchIntervals, now: datetime) -> list[Entry]:
    watched.end(now)
    return watched.take(TENANT, now, goes_on=False)


def told(entries: list[Entry]) -> list[tuple[str, EventKind, tuple[str, ...], datetime | None, datetime | None]]:
    return [(e.by.id, e.kind, e.users, e.since, e.until) for e in entries]


def test_a_watch_is_told_when_it_begins_and_when_it_has_ended() -> None:
    watched = WatchIntervals()
    watched.want(TENANT, DESK, [BEN, ADA], at(0))
    assert told(taken(watched, at(1))[TENANT]) == [("k1", EventKind.WATCH_BEGAN, (ADA, BEN), at(0), None)]
    assert taken(watched, at(2)) == {}
    watched.release(TENANT, DESK, [ADA, BEN], at(10))
    assert taken(watched, at(14)) == {}
    assert told(taken(watched, at(15))[TENANT]) == [("k1", EventKind.WATCHED, (ADA, BEN), at(0), at(10))]
    assert watched.names == 0


def test_a_suite_that_is_back_within_minutes_watched_all_the_time() -> None:
    watched = WatchIntervals()
    watched.want(TENANT, DESK, [ADA], at(0))
    for minute in range(10, 100, 10):
        watched.release(TENANT, DESK, [ADA], at(minute))
        watched.want(TENANT, DESK, [ADA], at(minute + 4))
    watched.release(TENANT, DESK, [ADA], at(200))
    entries = [entry for minute in range(300) for entry in taken(watched, at(minute)).get(TENANT, [])]
    assert told(entries) == [
        ("k1", EventKind.WATCH_BEGAN, (ADA,), at(0), None),
        ("k1", EventKind.WATCHED, (ADA,), at(0), at(200)),
    ]


def test_several_streams_of_a_suite_are_one_watch_and_several_suites_are_several() -> None:
    watched = WatchIntervals()
    for by in (DESK, DESK, LOBBY):
        watched.want(TENANT, by, [ADA], at(0))
    taken(watched, at(0))
    watched.release(TENANT, DESK, [ADA], at(1))
    watched.release(TENANT, LOBBY, [ADA], at(2))
    assert told(taken(watched, at(60))[TENANT]) == [("k2", EventKind.WATCHED, (ADA,), at(0), at(2))]
    watched.release(TENANT, DESK, [ADA], at(3))
    assert told(taken(watched, at(60))[TENANT]) == [("k1", EventKind.WATCHED, (ADA,), at(0), at(3))]


def test_tenants_never_mix() -> None:
    watched = WatchIntervals()
    watched.want(TENANT, DESK, [ADA], at(0))
    watched.want(OTHER, LOBBY, [BEN], at(0))
    found = taken(watched, at(0))
    assert {tenant: [entry.by.id for entry in entries] for tenant, entries in found.items()} == {
        TENANT: ["k1"], OTHER: ["k2"],
    }  # fmt: skip


def test_many_users_take_several_entries_and_lose_nobody() -> None:
    names = [Name(f"user{n:04d}@x.com") for n in range(1234)]
    watched = WatchIntervals()
    watched.want(TENANT, DESK, names, at(0))
    entries = taken(watched, at(0))[TENANT]
    assert len(entries) == 13
    assert sorted(user for entry in entries for user in entry.users) == names


def test_an_edge_that_ends_ends_every_watch_of_it() -> None:
    watched = WatchIntervals()
    watched.want(TENANT, DESK, [ADA, BEN], at(0))
    watched.release(TENANT, DESK, [BEN], at(1))
    ends = [entry for entry in ended(watched, at(2)) if entry.kind is EventKind.WATCHED]
    assert Counter((entry.users, entry.until) for entry in ends) == {((BEN,), at(1)): 1, ((ADA,), at(2)): 1}
    assert watched.names == 0


def test_whoever_subscribes_and_unsubscribes_for_ever_fills_no_memory(monkeypatch) -> None:
    monkeypatch.setattr(spans, "MOST_ENDED", 1000)
    watched = WatchIntervals()
    for n in range(5000):  # nothing is taken meanwhile
        watched.want(TENANT, DESK, [Name(f"u{n}")], at(n / 100))
        watched.release(TENANT, DESK, [Name(f"u{n}")], at(n / 100))
        assert watched.names <= 1000
    watched.want(OTHER, LOBBY, [ADA], at(50))
    watched.release(OTHER, LOBBY, [ADA], at(50))
    assert watched.count_dropped() == {TENANT: 4000}  # its own oldest, and nobody else's
    assert watched.count_dropped() == {}
    users = [user for entry in ended(watched, at(60)) for user in entry.users]
    assert set(users) == {f"u{n}" for n in range(4000, 5000)}  # of the others neither beginning nor end
    assert watched.tenants == [OTHER]


def test_what_is_told_is_taken_in_portions(monkeypatch) -> None:
    monkeypatch.setattr(spans, "PORTION", 300)
    names = [Name(f"user{n:04d}@x.com") for n in range(1000)]
    watched = WatchIntervals()
    watched.want(TENANT, DESK, names, at(0))
    watched.release(TENANT, DESK, names[:500], at(1))
    portions = []
    while entries := watched.take(TENANT, at(10)):
        portions.append(entries)
    assert max(sum(len(entry.users) for entry in entries) for entries in portions) <= 300
    told = Counter((entry.kind, user) for entries in portions for entry in entries for user in entry.users)
    assert told == Counter(
        [(EventKind.WATCH_BEGAN, name) for name in names] + [(EventKind.WATCHED, name) for name in names[:500]]
    )


def test_a_release_of_what_nobody_wanted_does_nothing() -> None:
    watched = WatchIntervals()
    watched.release(TENANT, DESK, [ADA], at(0))
    watched.want(TENANT, DESK, [ADA], at(1))
    watched.release(TENANT, DESK, [BEN], at(1))
    assert len(taken(watched, at(1))[TENANT]) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 1), st.floats(0.1, 8)), max_size=60))
def test_every_moment_of_a_watch_is_within_a_told_span(steps: list[tuple[bool, int, int, float]]) -> None:
    """Whatever comes and goes: each (suite, user) has beginnings and ends in turn, and no moment of watching is outside."""
    watched, counts, now = WatchIntervals(), Counter[tuple[str, str]](), T0
    moments: list[tuple[str, str, datetime]] = []
    entries: list[Entry] = []
    for is_want, user, suite, minutes in steps:
        now += timedelta(minutes=minutes)
        by, name = (DESK, LOBBY)[suite], Name(f"u{user}")
        if is_want:
            watched.want(TENANT, by, [name], now)
            counts[by.id, name] += 1
        elif counts[by.id, name]:
            watched.release(TENANT, by, [name], now)
            counts[by.id, name] -= 1
        moments += [(by_id, name, now) for (by_id, name), count in counts.items() if count]
        entries += taken(watched, now).get(TENANT, [])
    entries += ended(watched, now + GOES_ON_FOR)
    over = [e for e in entries if e.kind is EventKind.WATCHED]
    assert len(over) == len([e for e in entries if e.kind is EventKind.WATCH_BEGAN])
    for by_id, name, moment in moments:
        assert any(
            e.by.id == by_id and name in e.users and e.since and e.until and e.since <= moment <= e.until for e in over
        )
