"""The whole sets of edges: one reading at a time, and what was heard meanwhile after it."""

from __future__ import annotations

import pytest

from relay.core.presence import Name
from relay.core.watching.readings import InterestChange, Readings

ADA = Name("ada@x.example")


@pytest.mark.fault("V5")
def test_an_edge_that_is_being_read_is_not_read_beside_it_but_once_more_after_it():
    readings = Readings()
    assert readings.begin("e1")
    assert not readings.begin("e1")
    assert not readings.begin("e1")
    assert readings.begin("e2")
    assert readings.end("e1").again
    assert readings.begin("e1")
    assert not readings.end("e1").again


def test_what_hints_say_meanwhile_is_kept_in_its_order():
    readings = Readings()
    change, back = InterestChange((ADA,), ()), InterestChange((), (ADA,))
    assert not readings.hold("e1", change)
    readings.begin("e1")
    assert not readings.heard("e1")
    assert readings.hold("e1", change)
    assert readings.hold("e1", back)
    assert readings.heard("e1")
    assert readings.end("e1").changes == [change, back]
    assert not readings.hold("e1", change)
