"""Whom suites may watch: the decision is on the user, an opt-out wins, and what is not known is not permitted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.names import normalise
from relay.core.presence import Name, UserId
from relay.core.watching.permission import (
    MAX_CHARS,
    MAX_ENTRIES,
    WATCH_DOMAINS,
    WATCH_NEVER,
    WATCH_ONLY,
    Permission,
    faults,
    permission,
    tidied,
)

ADA, BEN = UserId("00000000-0000-4000-8000-00000000000a"), UserId("00000000-0000-4000-8000-00000000000b")
ADA_UPN, BEN_UPN = "ada@contoso.com", "ben@fabrikam.com"


@pytest.mark.parametrize(
    ("domains", "only", "never", "ada", "ben"),
    [
        ("", "", "", True, True),
        ("contoso.com", "", "", True, False),
        ("@Contoso.COM; fabrikam.com", "", "", True, True),
        ("contoso", "", "", False, False),  # no domain: permits nobody rather than everybody
        ("sub.contoso.com", "", "", False, False),
        ("", ADA_UPN, "", True, False),
        ("", str(ADA).upper(), "", True, False),
        ("contoso.com", BEN_UPN, "", True, True),
        ("", "", ADA_UPN.upper(), False, True),
        ("", "", str(ADA), False, True),
        ("contoso.com", ADA_UPN, str(ADA), False, False),
        ("contoso.com,fabrikam.com", "", f"sip:{ADA_UPN}", False, True),
    ],
)
def test_the_settings_decide_by_upn_and_by_object_id(domains: str, only: str, never: str, ada: bool, ben: bool):
    rules = permission({WATCH_DOMAINS: domains, WATCH_ONLY: only, WATCH_NEVER: never})
    assert rules.permits(ADA, ADA_UPN.title()) is ada
    assert rules.permits(BEN, BEN_UPN) is ben


def test_a_name_that_opted_out_forbids_its_user_whatever_the_canonical_name():
    rules = permission({WATCH_NEVER: "ada.old@contoso.com"})
    assert rules.permits(ADA, ADA_UPN, [Name("ada.old@contoso.com")]) is False


def test_a_guest_belongs_to_the_domain_behind_the_last_at_sign():
    rules = permission({WATCH_DOMAINS: "contoso.com"})
    assert rules.permits(BEN, "ben_contoso.com#EXT#@fabrikam.com") is False


def test_a_permitted_name_does_not_permit_a_user_who_is_called_otherwise():
    rules = permission({WATCH_ONLY: "ben.old@fabrikam.com", WATCH_DOMAINS: "contoso.com"})
    assert rules.permits(BEN, BEN_UPN, [Name("ben.old@fabrikam.com"), Name("ben@contoso.com")]) is False


_upns = st.builds("{}@{}".format, st.sampled_from("abcd"), st.sampled_from(["a.com", "b.com", "x.b.com"]))
_users = st.integers(0, 5).map(lambda n: UserId(f"00000000-0000-4000-8000-{n:012d}"))
_names = st.frozensets(st.one_of(_upns, _users).map(Name), max_size=4)
_rules = st.builds(
    lambda domains, only, never, narrowed: Permission(domains, only, never, bool(domains or only) or narrowed),
    st.frozensets(st.sampled_from(["a.com", "b.com"])),
    _names,
    _names,
    st.booleans(),
)


@given(_rules, _users, _upns, _names)
def test_who_opted_out_is_never_permitted_by_whatever_name(
    rules: Permission, user: UserId, upn: str, names: frozenset[Name]
):
    if rules.never & {user, upn, *names}:
        assert rules.permits(user, upn, names) is False
        assert rules.permits(user, upn.upper(), names) is False


@given(_rules, _users, _upns, _names)
def test_what_is_decided_without_the_upn_stays_so_when_it_is_known(
    rules: Permission, user: UserId, upn: str, names: frozenset[Name]
):
    early = rules.permits(user, "", names)
    if early is not None:
        assert early is rules.permits(user, upn, names)


@given(_rules, _users, _upns, _names)
def test_the_names_that_suites_use_never_permit_anybody(
    rules: Permission, user: UserId, upn: str, names: frozenset[Name]
):
    if rules.permits(user, upn, names):
        assert rules.permits(user, upn)


@given(_rules, _users, _upns, st.one_of(_upns, _users))
def test_one_more_opt_out_permits_nobody_new(rules: Permission, user: UserId, upn: str, more: str):
    narrower = Permission(rules.domains, rules.only, rules.never | {Name(more)}, rules.is_narrowed)
    assert not (narrower.permits(user, upn) and not rules.permits(user, upn))


@given(st.text())
def test_any_text_can_be_kept_or_is_refused_with_a_sentence(text: str):
    settings = {WATCH_DOMAINS: text, WATCH_ONLY: text, WATCH_NEVER: text}
    rules = permission(settings)
    assert rules.is_narrowed is bool(text.strip())
    for sentence in faults(settings):
        assert sentence.startswith(("watch_domains: ", "watch_only: ", "watch_never: "))
    assert permission({WATCH_ONLY: tidied(text)}).only == rules.only


def test_what_is_wrong_is_said_of_each_entry_and_never_at_length():
    assert faults({WATCH_DOMAINS: "contoso.com\nfabrikam.com", WATCH_ONLY: ADA_UPN, WATCH_NEVER: str(ADA)}) == []
    assert faults({WATCH_DOMAINS: "contoso"}) == ["watch_domains: “contoso” is not a domain such as contoso.com."]
    many = faults({WATCH_NEVER: "<b>nobody</b> " * 5000})
    assert len(many) == 12
    assert many[-1].endswith("4,990 more entries that are not.")
    assert len(faults({WATCH_ONLY: "a@b.com " * (MAX_ENTRIES + 1)})) == 1
    assert "too long" in faults({WATCH_ONLY: "x" * (MAX_CHARS + 1)})[0]
    assert normalise("ada@contoso.com") is not None
