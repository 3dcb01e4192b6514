"""How far the relay's answers are trusted: certain, uncertain, unknown."""

from __future__ import annotations

from suite.agent.sources.doubt import UNCERTAIN_AFTER_S, Doubt, Trust
from suite.values import Status

CERTAIN, UNCERTAIN = (Doubt.CERTAIN, ""), (Doubt.UNCERTAIN, "")
GONE = (Doubt.UNKNOWN, "connection_error")


def complete() -> Trust:
    trust = Trust(0.0, 60.0)
    trust.completed()
    return trust


def test_nothing_is_certain_before_a_stream_is_complete_and_nothing_known_after_too_long():
    trust = Trust(0.0, 60.0)
    assert [trust.doubt(now) for now in (0.0, 59.0, 60.0)] == [UNCERTAIN, UNCERTAIN, GONE]
    trust.completed()
    assert trust.doubt(1000.0) == CERTAIN


def test_a_short_break_is_not_shown_a_longer_one_is_and_a_long_one_ends_all_answers():
    trust = complete()
    trust.broke(100.0)
    trust.broke(101.0)
    times = (100.0, 100.0 + UNCERTAIN_AFTER_S, 159.0, 160.0)
    assert [trust.doubt(now) for now in times] == [CERTAIN, UNCERTAIN, UNCERTAIN, GONE]
    trust.completed()
    assert trust.doubt(200.0) == CERTAIN


def test_a_reset_is_uncertain_until_everything_was_sent():
    trust = complete()
    trust.reset()
    assert trust.doubt(1.0) == UNCERTAIN
    trust.completed()
    assert trust.doubt(1.0) == CERTAIN


def test_an_organisation_that_the_relay_cannot_read_is_uncertain():
    trust = complete()
    trust.tenant(Status.STALE)
    assert trust.doubt(1.0) == UNCERTAIN
    trust.tenant(Status.NONE)
    assert trust.doubt(1.0) == CERTAIN


def test_a_refusal_shows_nothing_until_the_relay_lets_the_agent_in():
    trust = complete()
    trust.refused("forbidden")
    again = Trust(5.0, 60.0, trust.refusal)
    assert trust.doubt(1.0) == again.doubt(5.0) == (Doubt.UNKNOWN, "forbidden")
    again.completed()
    assert again.doubt(6.0) == CERTAIN
