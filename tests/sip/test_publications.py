"""States that others publish: entity tags, ends and bounds, by the clock that the test sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from suite.sip.publications import Publications, PublishedState


def state(body: bytes = b"x", resource: str = "sip:ada@h", event: str = "presence") -> PublishedState:
    return PublishedState(resource=resource, event=event, content_type="application/pidf+xml", body=body)


def test_a_state_lives_by_its_newest_tag_and_ends_by_itself():
    kept = Publications()
    first = kept.publish(state(), None, 60, 0.0)
    assert (first.status, first.changed) == (200, state())
    refreshed = kept.publish(state(b""), first.tag, 60, 50.0)
    assert (refreshed.status, refreshed.changed, refreshed.ended) == (200, None, None)
    assert kept.publish(state(b""), first.tag, 60, 51.0).status == 412
    changed = kept.publish(state(b"y"), refreshed.tag, 60, 60.0)
    assert (changed.changed, changed.ended) == (state(b"y"), state())
    assert kept.expire(119.0) == []
    assert kept.expire(120.0) == [state(b"y")]
    assert kept.publish(state(b""), changed.tag, 60, 121.0).status == 412


def test_a_tag_of_another_user_or_event_does_not_count():
    kept = Publications()
    mine = kept.publish(state(), None, 60, 0.0)
    assert kept.publish(state(b"forged", resource="sip:ben@h"), mine.tag, 60, 1.0).status == 412
    assert kept.publish(state(b"forged", event="dialog"), mine.tag, 60, 1.0).status == 412
    assert kept.publish(state(b""), mine.tag, 0, 1.0).ended == state()
    assert len(kept) == 0


def test_what_is_too_short_empty_or_too_much_is_refused():
    kept = Publications(most=3)
    assert (kept.publish(state(), None, 29, 0.0).status, kept.publish(state(), None, 29, 0.0).expires_s) == (423, 30)
    assert kept.publish(state(b""), None, 60, 0.0).status == 400
    assert kept.publish(state(), None, 0, 0.0).status == 400
    assert kept.publish(state(), None, 1e9, 0.0).expires_s == 24 * 3600
    assert kept.publish(state(), None, None, 0.0).status == 200
    assert kept.publish(state(b"x" * 70_000), None, None, 0.0).status == 413
    assert [kept.publish(state(resource=f"sip:{n}@h"), None, None, 0.0).status for n in range(2)] == [200, 503]


def test_the_oldest_of_a_user_gives_way_to_a_publisher_that_was_started_again():
    kept = Publications(most=3, most_of_a_resource=2, most_bytes=20)
    left = [kept.publish(state(b"left %d" % number), None, 3600, 0.0) for number in range(2)]
    other = kept.publish(state(b"other", resource="sip:ben@h"), None, 3600, 0.0)
    again = kept.publish(state(b"again"), None, 3600, 1.0)
    assert (again.status, again.changed, again.ended) == (200, state(b"again"), state(b"left 0"))
    assert kept.publish(state(b""), left[0].tag, 60, 1.0).status == 412
    refreshed = kept.publish(state(b""), left[1].tag, 60, 1.0)  # it is the newest now
    assert kept.publish(state(b"third"), None, 3600, 2.0).ended == state(b"again")
    assert kept.publish(state(b""), refreshed.tag, 60, 2.0).status == 200
    assert kept.publish(state(b"", resource="sip:ben@h"), other.tag, 60, 2.0).status == 200
    assert len(kept) == 3


def test_the_bytes_of_all_states_are_bounded():
    kept = Publications(most_bytes=1000)
    states = [state(b"x" * 400, resource=f"sip:{number}@h") for number in range(3)]
    first, second, third = (kept.publish(each, None, 60, 0.0) for each in states)
    assert [each.status for each in (first, second, third)] == [200, 200, 503]
    kept.publish(state(b"", resource="sip:0@h"), first.tag, 0, 1.0)
    assert kept.publish(states[2], None, 60, 1.0).status == 200
    kept.expire(100.0)
    assert kept.publish(states[0], None, 60, 100.0).status == 200
    assert kept._bytes == 400


def test_a_state_that_grows_has_no_more_room_than_a_new_one():
    kept = Publications(most_bytes=1000)
    first, second = (kept.publish(state(b"x", resource=f"sip:{number}@h"), None, 60, 0.0) for number in range(2))
    grown = kept.publish(state(b"x" * 900, resource="sip:0@h"), first.tag, 60, 1.0)
    assert grown.status == 200
    assert kept.publish(state(b"x" * 900, resource="sip:1@h"), second.tag, 60, 1.0).status == 503
    # What was told before is there still, and can be refreshed, replaced and withdrawn.
    again = kept.publish(state(b"", resource="sip:1@h"), second.tag, 60, 2.0)
    less = kept.publish(state(b"yy", resource="sip:1@h"), again.tag, 60, 2.0)
    assert (again.status, less.status, kept._bytes) == (200, 200, 902)
    assert kept.publish(state(b"x" * 2000, resource="sip:1@h"), less.tag, 0, 3.0).status == 200


_steps = st.lists(
    st.tuples(st.sampled_from(["new", "refresh", "change", "end", "wait"]), st.integers(0, 2), st.integers(30, 90)),
    max_size=40,
)


@given(_steps)
def test_each_state_that_began_ends_once(steps: list[tuple[str, int, int]]):
    kept, now, tags = Publications(most_of_a_resource=2), 0.0, dict[int, str]()
    alive: list[bytes] = []
    for number, (step, who, seconds) in enumerate(steps):
        if step == "wait":
            now += seconds
            for each in kept.expire(now):
                alive.remove(each.body)
            continue
        body = str(number).encode() if step in ("new", "change") else b""
        tag = None if step == "new" else tags.get(who, "unknown")
        answer = kept.publish(state(body, f"sip:{who}@h"), tag, 0 if step == "end" else seconds, now)
        if answer.ended is not None:
            alive.remove(answer.ended.body)
        if answer.changed is not None:
            alive.append(answer.changed.body)
        if answer.status == 200:
            tags[who] = answer.tag
        assert len(kept) == len(alive)
    for each in kept.expire(now + 91):
        alive.remove(each.body)
    assert (alive, len(kept), kept._of) == ([], 0, {})


def test_what_is_cleared_is_forgotten_with_its_tags():
    kept = Publications(most_bytes=1)
    mine = kept.publish(state(), None, 60, 0.0)
    kept.clear()
    assert (len(kept), kept.expire(1e9), kept.next_due()) == (0, [], None)
    assert kept.publish(state(b""), mine.tag, 60, 1.0).status == 412
    assert kept.publish(state(), None, 60, 1.0).status == 200
