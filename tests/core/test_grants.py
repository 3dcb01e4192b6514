from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.consent.grants import (
    HEALTHY,
    PATIENCE,
    GrantHealth,
    GrantState,
    all_dead,
    choose,
    refused,
    remembered,
    succeeded,
)
from relay.core.consent.microsoft_error import NO_ERROR, MicrosoftError, parse_error
from relay.core.consent.refusals import Refusal, RefusalClass, classify

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CONSENT, OURS = RefusalClass.CONSENT_REQUIRED, RefusalClass.OURS
TEMPORARY, UNREACHABLE = RefusalClass.TEMPORARY, RefusalClass.UNREACHABLE

# error, AADSTS numbers, who must act: the table of the documented refusals.
DOCUMENTED = [
    ("interaction_required", (50072, 50074, 50076, 50078, 50079, 50158), CONSENT),
    ("invalid_grant", (50173, 50132, 50133, 50089, 70008, 700082, 70043, 70000, 65001), CONSENT),
    ("access_denied", (65004, 90094, 90095), CONSENT),
    (
        "interaction_required",
        (53003, 53000, 53001, 53002, 50131, 530032, 530035, 53011, 53004, 530003, 530084),
        CONSENT,
    ),
    ("invalid_grant", (50057, 50034, 51004, 50020, 50014, 50105, 50053), CONSENT),
    ("invalid_request", (90002,), CONSENT),
    ("invalid_request", (90038, 900432, 900382), OURS),
    ("unauthorized_client", (700016, 700011, 500011, 650052, 7000112, 70001), CONSENT),
    ("invalid_client", (7000215, 7000222, 70002, 700027, 700030, 7000218, 700024), OURS),
    ("invalid_request", (700084,), OURS),
    ("invalid_grant", (54005, 501481, 700005), CONSENT),
    ("invalid_request", (50196, 90055), TEMPORARY),
    ("invalid_request", (50033, 90006, 90024, 90033, 90090), UNREACHABLE),
    ("invalid_resource", (650057, 65005, 650056, 70011), OURS),
]
DEFAULTS = [
    ("invalid_grant", CONSENT),
    ("interaction_required", CONSENT),
    ("consent_required", CONSENT),
    ("login_required", CONSENT),
    ("invalid_client", OURS),
    ("invalid_scope", OURS),
    ("invalid_request", OURS),
    ("temporarily_unavailable", TEMPORARY),
    ("server_error", UNREACHABLE),
    ("something_new", UNREACHABLE),
    ("", UNREACHABLE),
]


@pytest.mark.parametrize(
    ("error", "number", "kind"), [(error, number, kind) for error, numbers, kind in DOCUMENTED for number in numbers]
)
def test_a_documented_refusal_says_who_must_act(error, number, kind):
    refusal = classify(error, "", [number])
    assert refusal.kind is kind
    assert refusal.code == error
    assert refusal.sentence.endswith(".")


@pytest.mark.parametrize(("error", "kind"), DEFAULTS)
@pytest.mark.parametrize("numbers", [(), (123456789,)])
def test_each_error_has_a_default_for_numbers_nobody_knows(error, kind, numbers):
    assert classify(error, "", numbers).kind is kind


@given(st.integers(0, 999_999_999).filter(lambda number: number != 650052))
def test_our_own_bad_credential_never_costs_a_tenant_its_consent(number):
    assert classify("invalid_client", "", [number]).kind is not CONSENT


@pytest.mark.parametrize("number", [50173, 65001, 700016, 53003, 90002])
def test_no_number_makes_invalid_client_the_tenants_fault(number):
    assert classify("invalid_client", "", [number]).kind is OURS


def test_what_a_tenant_lacks_is_the_tenants_fault_though_microsoft_calls_it_invalid_client():
    assert classify("invalid_client", "", [650052]).kind is CONSENT


@pytest.mark.fault("B22")
@pytest.mark.parametrize("number", [53004, 53999, 530003, 530084])
def test_a_policy_that_has_no_row_is_a_policy_and_heals(number):
    assert replace(classify("interaction_required", "", [number]), said=NO_ERROR) == classify(
        "interaction_required", "", [53003]
    )


@pytest.mark.fault("B22")
def test_a_number_in_the_text_alone_counts():
    said = parse_error(description="AADSTS53003: Access has been blocked by Conditional Access policies.")
    assert classify("invalid_grant", "", [], said).heals
    assert classify("invalid_grant", "", [50173], said) == replace(GONE, said=said), "what is listed goes before"


@pytest.mark.fault("B21")
def test_a_clock_that_differs_is_named_and_costs_no_tenant_its_consent():
    refusal = classify("invalid_client", "", [700024])
    assert (refusal.kind, "clock" in refusal.sentence) == (OURS, True)


def test_the_code_is_microsofts_short_name():
    assert classify("invalid_grant", "bad_token", []).code == "invalid_grant/bad_token"
    assert len(classify("x" * 9999).code) <= 200


def test_a_suberror_sharpens_the_sentence():
    assert "withdrawn" in classify("invalid_grant", "consent_required").sentence


GONE = classify("invalid_grant", "", [50173], MicrosoftError(number=50173))
BLOCKED = classify("interaction_required", "", [53003], MicrosoftError(number=53003))
BUSY = classify("temporarily_unavailable")


def test_ended_consent_kills_a_grant_for_good():
    dead = refused(HEALTHY, GONE, NOW)
    assert dead.state is GrantState.DEAD
    assert dead.reason == GONE
    assert not dead.is_usable(NOW + timedelta(days=365))
    assert not dead.is_due(NOW + timedelta(days=365))


def test_a_grant_that_a_policy_blocks_is_tried_hourly():
    dead = refused(HEALTHY, BLOCKED, NOW)
    assert not dead.is_due(NOW + timedelta(minutes=59))
    assert dead.is_due(NOW + timedelta(hours=1))
    assert not dead.is_usable(NOW + timedelta(hours=1))


def test_temporary_trouble_makes_a_grant_suspect_for_longer_each_time():
    health, pauses = HEALTHY, []
    for _ in range(8):
        health = refused(health, BUSY, NOW)
        assert health.next_try is not None
        pauses.append((health.next_try - NOW).total_seconds())
    assert health.state is GrantState.SUSPECT
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert health.is_usable(NOW + timedelta(minutes=1))


def test_entra_says_itself_how_long_to_wait():
    assert refused(HEALTHY, BUSY, NOW, timedelta(seconds=17)).next_try == NOW + timedelta(seconds=17)


LOCKED = classify("invalid_grant", "", [50053])


def test_a_refusal_that_may_pass_counts_after_a_minute_of_trying():
    health, now, tries = HEALTHY, NOW, 0
    while (health := refused(health, LOCKED, now)).state is GrantState.SUSPECT:
        assert health.next_try is not None
        assert not health.is_told(now, PATIENCE)
        assert health.is_due(health.next_try)
        now, tries = health.next_try, tries + 1
    assert (now - NOW, tries) == (timedelta(minutes=1), 5)
    assert health.state is GrantState.DEAD
    assert health.is_told(now, PATIENCE)
    assert health.is_due(now + timedelta(hours=1))


GRAPHS = Refusal(CONSENT, "x", "InvalidAuthenticationToken", heals=True, passes=True, by_graph=True)


def lasting(refusal: Refusal, until: timedelta, *, is_widespread: bool = False) -> tuple[GrantHealth, list[timedelta]]:
    """The health of a grant that is refused whenever it may be tried, and the pauses between the tries."""
    health, now, pauses = HEALTHY, NOW, []
    while now - NOW < until and health.state is not GrantState.DEAD:
        health = refused(health, refusal, now, is_widespread=is_widespread)
        assert health.next_try is not None
        pauses.append(health.next_try - now)
        now = health.next_try
    return health, pauses


@pytest.mark.fault("B2")
def test_graphs_refusal_counts_after_long_and_is_tried_each_minute_before_and_after():
    health, pauses = lasting(GRAPHS, timedelta(minutes=14))
    assert health.state is GrantState.SUSPECT
    assert max(pauses) <= timedelta(minutes=1)
    dead, pauses = lasting(GRAPHS, timedelta(minutes=20))
    assert dead.state is GrantState.DEAD
    assert max(pauses) <= timedelta(minutes=1), "also when it is dead: Graph may be well at any moment"
    again = remembered(GrantState.DEAD, dead.trouble, NOW + timedelta(minutes=30))
    assert again.is_due(NOW + timedelta(minutes=30))


@pytest.mark.fault("B2")
def test_what_graph_refuses_everybody_kills_nobody():
    health, pauses = lasting(GRAPHS, timedelta(hours=5), is_widespread=True)
    assert (health.state, max(pauses)) == (GrantState.SUSPECT, timedelta(minutes=1))
    assert refused(HEALTHY, GONE, NOW, is_widespread=True).state is GrantState.DEAD, "Entra says so itself"


def test_a_refusal_that_passed_costs_nothing():
    health = refused(HEALTHY, LOCKED, NOW)
    assert not all_dead([health])
    assert succeeded(health) == HEALTHY
    assert refused(succeeded(health), LOCKED, NOW + timedelta(hours=1)).state is GrantState.SUSPECT


def test_trouble_of_entras_is_told_of_a_grant_when_it_lasts_but_never_kills_it():
    health = refused(HEALTHY, BUSY, NOW)
    later = NOW + timedelta(minutes=1)
    assert not health.is_told(NOW + timedelta(seconds=59), PATIENCE)
    health = refused(health, BUSY, later)
    assert (health.state, health.is_told(later, PATIENCE)) == (GrantState.SUSPECT, True)
    assert refused(health, LOCKED, later).state is GrantState.SUSPECT, "its minute begins with the refusal"


@pytest.mark.parametrize("refusal", [GONE, BLOCKED, classify("invalid_grant", "bad_token", [999])])
def test_what_is_kept_of_a_dead_grant_says_whether_it_may_heal(refusal):
    dead = refused(HEALTHY, refusal, NOW)
    later = NOW + timedelta(hours=3)
    again = remembered(GrantState.DEAD, dead.trouble, later)
    assert (again.state, again.reason) == (GrantState.DEAD, refusal)
    assert again.is_due(later) is refusal.heals
    assert again.trouble == dead.trouble


def test_a_healthy_grant_is_remembered_as_healthy_whatever_was_wrong_once():
    assert remembered(GrantState.HEALTHY, refused(HEALTHY, GONE, NOW).trouble, NOW) == HEALTHY
    assert remembered(GrantState.DEAD, None, NOW).state is GrantState.DEAD
    assert remembered(GrantState.SUSPECT, None, NOW).is_usable(NOW)


def test_temporary_trouble_does_not_raise_the_dead():
    dead = refused(HEALTHY, GONE, NOW)
    still = refused(dead, BUSY, NOW + timedelta(hours=2))
    assert still.state is GrantState.DEAD
    assert still.reason == GONE


def test_the_operators_fault_is_not_the_grants():
    assert refused(HEALTHY, classify("invalid_client", "", [7000222]), NOW) is HEALTHY


def test_success_clears_everything():
    assert succeeded(refused(HEALTHY, BLOCKED, NOW)) == HEALTHY


def _suspect(failed: datetime, next_try: datetime) -> GrantHealth:
    return GrantHealth(state=GrantState.SUSPECT, failures=1, failed_at=failed, next_try=next_try, reason=BUSY)


def test_a_healthy_grant_is_preferred_and_the_choice_lasts():
    pool = [("c", HEALTHY), ("a", _suspect(NOW, NOW)), ("b", HEALTHY)]
    assert choose(pool, NOW) == "b"
    assert choose(reversed(pool), NOW) == "b"


def test_among_suspects_the_one_that_failed_longest_ago_is_used():
    pool = [("a", _suspect(NOW, NOW)), ("b", _suspect(NOW - timedelta(minutes=1), NOW))]
    assert choose(pool, NOW) == "b"


def test_nobody_is_chosen_while_all_have_to_wait_or_are_dead():
    pool = [("a", _suspect(NOW, NOW + timedelta(seconds=1))), ("b", refused(HEALTHY, GONE, NOW))]
    assert choose(pool, NOW) is None
    assert not all_dead(health for _, health in pool)


def test_a_tenant_needs_consent_when_its_last_grant_is_dead_or_it_has_none():
    assert all_dead([refused(HEALTHY, GONE, NOW)])
    assert not all_dead([refused(HEALTHY, GONE, NOW), HEALTHY])
    assert all_dead([])


@given(st.lists(st.sampled_from([GONE, BLOCKED, BUSY, Refusal(OURS, "x")]), max_size=20))
def test_a_dead_grant_revives_by_success_only(refusals):
    health, was_dead = HEALTHY, False
    for refusal in refusals:
        health = refused(health, refusal, NOW)
        was_dead = was_dead or health.state is GrantState.DEAD
    assert (health.state is GrantState.DEAD) is was_dead


@pytest.mark.fault("B4")
def test_an_account_that_graph_denies_reads_only_where_no_other_can() -> None:
    denial = Refusal(RefusalClass.DENIED, "denied", "Forbidden", heals=True, by_graph=True)
    denied = refused(HEALTHY, denial, NOW)
    assert (denied.state, denied.is_denied) == (GrantState.SUSPECT, True)
    assert choose([("a", denied), ("b", HEALTHY)], NOW) == "b"
    later = refused(HEALTHY, denial, NOW + timedelta(seconds=1))
    assert choose([("a", denied), ("b", later)], NOW) == "a"  # in turn, so that one that is let in again is found
    assert denied.next_try is not None
    assert denied.next_try <= NOW + timedelta(minutes=1)
    assert not denied.is_due(NOW)
