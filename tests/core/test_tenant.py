from __future__ import annotations

import itertools

import pytest

from relay.core.consent.tenant import TRANSITIONS, SignUp, TenantEvent, TenantState, after, is_read, status_of
from relay.core.presence import Status


def test_the_usual_life_of_a_tenant():
    state = TenantState.PENDING
    lived = []
    for event in (
        TenantEvent.CONSENTED,
        TenantEvent.LAST_GRANT_DIED,
        TenantEvent.CONSENTED,
        TenantEvent.LAST_GRANT_DIED,
        TenantEvent.HEALED,
        TenantEvent.REMOVED,
    ):
        state = after(state, event)
        lived.append(state.value)
    assert lived == ["active", "consent-required", "active", "consent-required", "active", "removed"]


@pytest.mark.parametrize(("state", "event"), list(itertools.product(TenantState, TenantEvent)))
def test_every_event_leads_somewhere_and_twice_is_once(state, event):
    once = after(state, event)
    assert once is TRANSITIONS.get((state, event), state)
    assert after(once, event) is once


@pytest.mark.parametrize("event", [TenantEvent.HEALED, TenantEvent.LAST_GRANT_DIED, TenantEvent.RESUMED])
def test_late_events_do_not_bring_a_removed_tenant_back(event):
    assert after(TenantState.REMOVED, event) is TenantState.REMOVED


@pytest.mark.parametrize("event", [TenantEvent.CONSENTED, TenantEvent.HEALED])
def test_only_the_operator_lifts_a_suspension(event):
    assert after(TenantState.SUSPENDED, event) is TenantState.SUSPENDED


def test_a_tenant_that_nobody_approved_is_not_read_whatever_happens_to_it_but_the_operators_word():
    for event in set(TenantEvent) - {TenantEvent.APPROVED, TenantEvent.CONSENTED}:
        assert not is_read(after(TenantState.PENDING, event))
    assert after(TenantState.PENDING, TenantEvent.APPROVED) is TenantState.ACTIVE


def test_the_operator_chooses_what_a_consent_in_the_wizard_is():
    assert [mode.event(has_word=False) for mode in (SignUp.INVITED, SignUp.APPROVAL, SignUp.OPEN)] == [
        None,
        TenantEvent.APPLIED,
        TenantEvent.CONSENTED,
    ]
    assert {mode.event(has_word=True) for mode in SignUp} == {TenantEvent.CONSENTED}


@pytest.mark.parametrize("state", TenantState)
def test_a_tenant_that_is_not_read_always_has_a_reason(state):
    assert is_read(state) is (status_of(state) is Status.NONE)


@pytest.mark.fault("L4")
@pytest.mark.parametrize("state", [TenantState.PENDING, TenantState.SUSPENDED])
def test_what_is_the_operators_to_change_is_never_told_as_the_organisations_own_decision(state: TenantState):
    assert status_of(state) is Status.SUSPENDED
