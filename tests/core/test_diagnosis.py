"""Words, reasons and remedies: every status has its own, and the connector's state follows from what matters most."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from relay.core.consent.tenant import TenantState
from relay.core.presence import Availability, Status
from relay.core.showing.diagnosis import (
    ABSENCES,
    ConnectorState,
    Seen,
    Word,
    availability_word,
    connector,
    sentences,
    word,
)

WELL = Seen(state=TenantState.ACTIVE, grants=1, status=Status.NONE, age_s=2.0, interval_s=5.0)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.PENDING, Word.REQUESTING),
        (Status.MALFORMED, Word.USER_NOT_CONFIGURED),
        (Status.NOT_FOUND, Word.NOT_FOUND),
        (Status.NOT_REPORTED, Word.USER_NOT_CONFIGURED),
        (Status.ACCESS_DENIED, Word.ACCESS_DENIED),
        (Status.NOT_PERMITTED, Word.ACCESS_DENIED),
        (Status.CONSENT_REQUIRED, Word.SERVER_NOT_CONFIGURED),
        (Status.THROTTLED, Word.ERROR),
        (Status.SOURCE_UNREACHABLE, Word.ERROR),
        (Status.STALE, Word.ERROR),
        (Status.SUSPENDED, Word.SERVER_NOT_CONFIGURED),
        (None, Word.REQUESTING),
    ],
)
def test_every_reason_has_a_word(status: Status | None, said: Word):
    assert word(status) is said


def test_every_status_says_why_and_what_to_do_in_sentences_of_its_own():
    assert ABSENCES.keys() == set(Status) - {Status.NONE}
    told = [(absence.why, absence.remedy) for absence in ABSENCES.values()]
    assert len({why for why, _ in told}) == len(told)
    assert all(text.endswith(".") for pair in told for text in pair)


def test_every_base_state_has_a_word_and_none_but_offline_is_offline():
    words = {availability: availability_word(availability) for availability in Availability}
    assert [availability for availability, said in words.items() if said is Word.OFFLINE] == [Availability.OFFLINE]


@pytest.mark.parametrize(
    ("seen", "state", "cause"),
    [
        (WELL, ConnectorState.UP_AND_RUNNING, "last confirmed presence 2 s ago"),
        (replace(WELL, state=TenantState.PENDING), ConnectorState.NOT_CONFIGURED, "waiting for the approval"),
        (replace(WELL, grants=0), ConnectorState.NOT_CONFIGURED, "No account has consented"),
        (replace(WELL, state=TenantState.SUSPENDED), ConnectorState.DISABLED, "suspended"),
        (replace(WELL, state=TenantState.REMOVED), ConnectorState.DISABLED, "left this relay"),
        (
            replace(WELL, state=TenantState.CONSENT_REQUIRED, code="invalid_grant"),
            ConnectorState.FORBIDDEN,
            "Microsoft reports: invalid_grant",
        ),
        (replace(WELL, state=TenantState.CONSENT_REQUIRED), ConnectorState.FORBIDDEN, "No account has a valid consent"),
        (replace(WELL, status=None), ConnectorState.CONNECTION_ERROR, "No worker"),
        (replace(WELL, status=Status.CONSENT_REQUIRED), ConnectorState.FORBIDDEN, "No account has a valid consent"),
        (replace(WELL, status=Status.ACCESS_DENIED), ConnectorState.FORBIDDEN, "not allowed to see it"),
        (replace(WELL, status=Status.SUSPENDED), ConnectorState.DISABLED, "suspended"),
        (replace(WELL, status=Status.THROTTLED), ConnectorState.CONNECTION_ERROR, "slow down"),
        (replace(WELL, status=Status.SOURCE_UNREACHABLE), ConnectorState.CONNECTION_ERROR, "cannot reach"),
        (replace(WELL, status=Status.STALE), ConnectorState.CONNECTION_ERROR, "three polling intervals"),
        (replace(WELL, age_s=None), ConnectorState.CONNECTION_ERROR, "not answered"),
        (replace(WELL, age_s=20.0), ConnectorState.UP_AND_RUNNING, "20 s ago"),
        (replace(WELL, age_s=21.0), ConnectorState.CONNECTION_ERROR, "last confirmed presence 21 s ago"),
        (replace(WELL, age_s=60.0, interval_s=30.0), ConnectorState.UP_AND_RUNNING, "60 s ago"),
    ],
)
def test_the_connector_says_its_state_and_the_cause(seen: Seen, state: ConnectorState, cause: str):
    found = connector(seen)
    assert found.state is state
    assert cause in str(found.cause)


def test_the_connector_has_a_state_and_a_cause_whatever_is_seen():
    for state, status, grants, age_s in product(TenantState, (None, *Status), (0, 1), (None, 0.0, 1e9)):
        found = connector(Seen(state=state, status=status, grants=grants, age_s=age_s))
        assert str(found.cause).endswith(".")


def test_what_is_not_as_it_should_be_is_noted_beside_a_connector_that_runs():
    seen = replace(WELL, grants=2, dead=1, pushed=3, polled=2, silent=2, is_push_off=False)
    notes = " ".join(map(str, connector(seen).notes))
    assert "every 5 s" in notes
    assert "change notifications for 3 users" in notes
    assert "notifications for 2 users have stopped" in notes
    assert "1 of 2 accounts no longer work" in notes
    refused = " ".join(map(str, connector(replace(seen, silent=0, push_reason="Graph says no")).notes))
    assert "Graph says no" in refused


def test_nothing_that_is_said_is_said_twice_in_other_words():
    told = sentences()
    assert len(told) > 40
    assert all(told)
