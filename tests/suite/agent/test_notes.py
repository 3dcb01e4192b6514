"""The rules of notes: which version counts, what is history, what ends, and what is kept of a text."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.agent.notes import notebook as notebook_module
from suite.agent.notes.notebook import Notebook
from suite.agent.notes.page import Page, history, merged, shown
from suite.agent.notes.text import clean_author, clean_text
from suite.agent.notes.values import (
    HISTORY_S,
    LARGEST_STAMP,
    LATEST_MS,
    MOST_OF_ONE,
    TEXT_CHARS,
    Kept,
    Version,
    next_stamp,
)
from suite.agent.notes.wire import decode_version, encode_version
from suite.names import Key, key_of

ADA, BEN, EVE = key_of("ada@x.org"), key_of("ben@x.org"), key_of("eve@x.org")
NOW = 1_000_000.0
DAY = HISTORY_S


def version(
    stamp: int, text: str = "hello", agent: str = "a", lifetime_s: int | None = None, subject: Key = ADA
) -> Version:
    return Version(
        subject=subject, stamp=stamp, agent=agent, text=text, author="Eva", written_ms=stamp, lifetime_s=lifetime_s
    )


def kept(
    stamp: int,
    text: str = "hello",
    agent: str = "a",
    ends: float | None = None,
    lifetime_s: int | None = None,
    subject: Key = ADA,
) -> Kept:
    return Kept(version(stamp, text, agent, lifetime_s, subject), ends)


def texts(page: Page) -> list[str]:
    return [one.version.text for one in page]


def _ends(one: Version, ago: int) -> Kept:
    """A version that ended so many hours ago; the same one always ends at the same time."""
    return Kept(one, None if ago < 0 else NOW - ago * 3600.0)


versions = st.builds(
    lambda stamp, agent, text: _ends(version(stamp, text, agent), stamp * 7 % 40 - 8),
    st.integers(1, 12),
    st.sampled_from("ab"),
    st.sampled_from(["", "here", "at the dentist"]),
)
pages = st.lists(versions, max_size=8).map(lambda found: merged((), found, NOW))


def ids(page: Page) -> list[Version]:
    return [one.version for one in page]


# Which version counts


@given(pages, pages, pages)
def test_merging_is_commutative_associative_and_idempotent(one: Page, two: Page, three: Page):
    assert ids(merged(one, two, NOW)) == ids(merged(two, one, NOW))
    assert ids(merged(merged(one, two, NOW), three, NOW)) == ids(merged(one, merged(two, three, NOW), NOW))
    assert merged(one, one, NOW) == one


@given(st.lists(versions, max_size=30), st.randoms(use_true_random=False))
def test_agents_that_saw_the_same_versions_show_the_same_note_in_whatever_order_they_came(found: list[Kept], random):
    other = [*found, *found[:5]]
    random.shuffle(other)
    page: Page = ()
    for one in other:
        page = merged(page, [one], NOW)
    assert ids(page)[:1] == ids(merged((), found, NOW))[:1]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 2**60)), min_size=1, max_size=20))
def test_a_note_written_after_another_was_seen_wins_whatever_the_clocks_say(writes: list[tuple[str, int]]):
    page: Page = ()
    for number, (agent, clock_ms) in enumerate(writes):
        stamp = next_stamp(clock_ms, page[0].version.stamp if page else 0)
        page = merged(page, [kept(stamp, f"text {number}", agent)], NOW)
        assert page[0].version.text == f"text {number}"
    assert page[0].version.stamp <= LATEST_MS + len(writes) < LARGEST_STAMP


def test_of_two_notes_that_did_not_know_of_each_other_the_later_counts_and_the_other_is_history():
    page = merged((), [kept(1_000, "earlier", "z"), kept(2_000, "later", "a")], NOW)
    assert (texts(page), page[0].ends, page[1].ends) == (["later", "earlier"], None, NOW)
    assert [one.version.text for one in history(page, NOW)] == ["later", "earlier"]


def test_two_agents_on_copies_of_one_disk_agree_all_the_same():
    one, two = kept(5, "one"), kept(5, "two")
    assert merged((one,), [two], NOW) == merged((two,), [one], NOW)


# What ends


def test_a_note_with_a_lifetime_is_shown_until_then_and_is_history_for_a_day():
    page = merged((), [kept(1, lifetime_s=60, ends=NOW + 60)], NOW)
    assert shown(page, NOW + 59.9) == page[0]
    assert (shown(page, NOW + 60), len(history(page, NOW + 60))) == (None, 1)
    assert history(page, NOW + 60 + DAY) == []
    [bare] = merged(page, [], NOW + 60 + DAY)
    assert (bare.version.text, bare.version.author, bare.version.stamp) == ("", "", 1)


def test_what_was_cleared_stays_cleared_when_an_agent_that_was_away_for_a_month_brings_it_back():
    page = merged((), [kept(1, "old")], NOW)
    page = merged(page, [kept(2, "")], NOW)
    assert (shown(page, NOW), texts(page)) == (None, ["", "old"])
    page = merged(page, [], NOW + 30 * DAY)
    assert [one.version.stamp for one in page] == [2]
    page = merged(page, [kept(1, "old")], NOW + 30 * DAY)
    assert shown(page, NOW + 30 * DAY) is None


def test_a_clock_that_was_set_back_over_a_restart_makes_no_note_live_longer_than_it_was_meant_to():
    page = merged((), [kept(2, lifetime_s=60, ends=NOW + 10**8), kept(1, ends=NOW + 10**8)], NOW)
    assert [one.ends for one in page] == [NOW + 60, NOW]


def test_the_history_is_of_one_day_and_bounded():
    page: Page = ()
    for number in range(MOST_OF_ONE + 30):
        page = merged(page, [kept(number + 1, f"text {number}")], NOW + number)
    assert len(page) == MOST_OF_ONE
    assert page[0].version.text == f"text {MOST_OF_ONE + 29}"
    later = merged(page, [], NOW + 2 * DAY)
    assert texts(later) == [page[0].version.text]


# The notebook


def taken(book: Notebook, *found: Kept, now: float = NOW) -> list[str]:
    plan = book.plan(found, now)
    book.apply(plan, now)
    return [subject for subject, _, _ in plan.refused]


def test_a_plan_changes_nothing_until_it_is_made_and_says_what_the_disk_must_hold():
    book = Notebook("a")
    taken(book, kept(1, "one"))
    plan = book.plan([kept(2, "two")], NOW)
    assert shown(book.pages[ADA], NOW) == kept(1, "one")
    assert ([one.version.text for one in plan.put], [one.version.text for one in plan.news]) == (
        ["two", "one"],
        ["two"],
    )
    book.apply(plan, NOW)
    assert book.shown(ADA, NOW) == kept(2, "two")
    assert book.plan([kept(2, "two"), kept(1, "one")], NOW).put == []


@given(
    st.lists(
        st.tuples(st.sampled_from([ADA, BEN, EVE]), st.integers(1, 9), st.sampled_from(["", "x", "y"])), max_size=25
    ),
    st.lists(st.floats(0, 3 * DAY), max_size=25),
)
def test_the_disk_holds_what_the_notebook_holds(writes: list[tuple[Key, int, str]], waits: list[float]):
    book, disk, now = Notebook("a"), {}, NOW
    for place, (subject, stamp, text) in enumerate(writes):
        now += waits[place] if place < len(waits) else 0.0
        arriving = [kept(stamp, text, subject=subject, ends=None if text else now)]
        for planned in (partial(book.plan, arriving), lambda now: book.plan_aging(book.take_due(now), now)):
            plan = planned(now)
            disk |= {one.version.id: one for one in plan.put}
            for version_id in plan.gone:
                del disk[version_id]
            book.apply(plan, now)
            assert disk == {one.version.id: one for one in book.versions()}


def test_what_is_due_is_asked_for_once_and_again_when_the_disk_could_not_be_written():
    book = Notebook("a")
    taken(book, kept(1, lifetime_s=60, ends=NOW + 60))
    assert book.take_due(NOW + 59) == []
    assert book.take_due(NOW + 60) == [ADA]
    assert book.take_due(NOW + 61) == []
    late = NOW + 60 + DAY
    assert book.take_due(late) == [ADA]
    assert (book.take_due(late + 59), book.take_due(late + 60)) == ([], [ADA])
    book.apply(book.plan_aging([ADA], late + 60), late + 60)
    assert book.plan_aging(book.take_due(late + DAY), late + DAY).pages == {}
    assert book.take_due(late + 10 * DAY) == []


def test_a_full_notebook_gives_up_the_note_that_ended_the_longest_ago_and_refuses_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(notebook_module, "MOST_SUBJECTS", 2)
    book = Notebook("a")
    taken(book, kept(1, subject=ADA), kept(1, subject=BEN))
    assert taken(book, kept(1, subject=EVE)) == [EVE]
    assert taken(book, kept(2, "", subject=BEN, ends=NOW)) == []
    assert taken(book, kept(1, subject=EVE), kept(3, subject=ADA)) == []
    assert sorted(book.pages) == [ADA, EVE]


def test_the_history_of_all_pages_together_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notebook_module, "MOST_EARLIER", 3)
    book = Notebook("a")
    for stamp in range(1, 6):
        taken(book, kept(stamp, subject=ADA), kept(stamp, subject=BEN))
    earlier = [one for page in book.pages.values() for one in page[1:]]
    assert len(earlier) <= 4
    assert {book.shown(subject, NOW).version.stamp for subject in (ADA, BEN)} == {5}  # type: ignore[union-attr]


# Texts


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  At the dentist \r\nuntil\tthree\r\n\n", "At the dentist\nuntil three"),
        ("<script>alert(1)</script>&amp;", "<script>alert(1)</script>&amp;"),
        ("a\x00b\x1b[31mc\x7f\x9b", "ab[31mc"),
        ("evil\u202etxt.exe\u2066", "eviltxt.exe"),
        ("one\u2028two\x0bthree", "one\ntwo\nthree"),
        ("e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467", "é \U0001f468\u200d\U0001f469\u200d\U0001f467"),
        ("half \ud83d", "half"),
        ("x" * TEXT_CHARS, "x" * TEXT_CHARS),
    ],
)
def test_a_text_is_kept_without_what_only_machines_and_cheats_use(raw: str, clean: str):
    assert clean_text(raw) == clean


@pytest.mark.parametrize("raw", ["", " \n\t", "\x00\u202e", "x" * (TEXT_CHARS + 1), "\x00" * 10_000_000])
def test_a_text_with_nothing_in_it_or_too_much_is_refused(raw: str):
    with pytest.raises(ValueError, match="1 to 500 characters"):
        clean_text(raw)


@given(st.text(max_size=600))
def test_a_clean_text_stays_as_it_is_and_can_be_sent(raw: str):
    try:
        once = clean_text(raw)
    except ValueError:
        return
    assert clean_text(once) == once
    assert once.encode().decode() == once
    assert not any(ord(char) < 32 and char != "\n" for char in once)


def test_an_author_is_on_one_line():
    assert clean_author(" Eva\n<b>Rossi</b>\x00 ") == "Eva <b>Rossi</b>"
    assert clean_author("") == ""
    with pytest.raises(ValueError, match="100"):
        clean_author("x" * 101)


# Between agents


@given(versions)
def test_a_version_is_the_same_to_another_agent_whatever_its_clock(found: Kept):
    there = decode_version(encode_version(found, NOW), 5.0)
    assert there.version == found.version
    assert (there.ends is None) == (found.ends is None)
    if found.ends is not None and there.ends is not None:
        assert there.ends - 5.0 == pytest.approx(max(found.ends - NOW, -2 * DAY), abs=0.01)


GOOD = encode_version(kept(7, lifetime_s=60, ends=NOW + 5), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": ""}, {"subject": "ADA@x.org"}, {"subject": "a\nb"}, {"subject": "x" * 600}, {"subject": 5}, {"subject": "\ud800"},
        {"stamp": -1}, {"stamp": 2**53}, {"stamp": True}, {"stamp": 1.5}, {"stamp": "1"}, {"agent": ""}, {"agent": "x" * 65}, {"agent": "a b"},
        {"text": None}, {"text": "x" * 501}, {"author": "x" * 101}, {"written_ms": -1}, {"written_ms": 10**18}, {"lifetime_s": 10**9},
        {"ends_in_s": "soon"}, {"ends_in_s": 10**12}, {"ends_in_s": float("nan")}, {"ends_in_s": float("inf")},
    ],
)  # fmt: skip
def test_what_is_no_version_is_refused(change: dict):
    with pytest.raises(ValueError):
        decode_version({**GOOD, **change}, NOW)


def test_a_version_of_a_later_agent_may_have_more_fields_and_one_that_lacks_a_field_is_none():
    assert decode_version({**GOOD, "colour": "red"}, NOW) == kept(7, lifetime_s=60, ends=NOW + 5)
    for field in GOOD:
        with pytest.raises(ValueError, match="lacks"):
            decode_version({name: value for name, value in GOOD.items() if name != field}, NOW)
    for nonsense in (None, [], 5, "x"):
        with pytest.raises(ValueError):
            decode_version(nonsense, NOW)


def test_control_characters_that_another_agent_sends_are_taken_out_here_too():
    found = decode_version({**GOOD, "text": "a\x00<script>", "author": "x\ny"}, NOW)
    assert (found.version.text, found.version.author) == ("a<script>", "x y")
    assert replace(found.version, text="hello", author="Eva") == version(7, lifetime_s=60)
