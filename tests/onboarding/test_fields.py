"""What is typed, pace and flows, as values."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.tenant.setting_forms import GROUPS
from onboarding.wizard import fields
from onboarding.wizard.fields import FieldsInvalid, applicant
from onboarding.wizard.flow import Applicant, Flow, decode, encode, is_flow_id, new_flow_id
from pages.rate_limit import RateLimiter, RequestKind
from pages.settings import RateLimits
from relay.core.addresses import pasted_domain
from relay.core.presence import TenantId
from tests.onboarding.person import APPLICANT


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("contoso.com", "contoso.com"),
        ("  Contoso.COM ", "contoso.com"),
        ("ada@contoso.com", "contoso.com"),
        ("https://contoso.com/", "contoso.com"),
        ("contoso.onmicrosoft.com", "contoso.onmicrosoft.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("contoso", None),
        ("contoso.com/common", None),
        ("contoso.com?x=1", None),
        ("contoso..com", None),
        ("-contoso.com", None),
        ("127.0.0.1", None),
        ("contoso.com:443", None),
        ("con toso.com", None),
        ("..", None),
        ("a" * 64 + ".com", None),
        ("ä" * 300 + ".com", None),
        ("a." * 127 + "com", None),
    ],
)
def test_domains(text: str, domain: str | None):
    assert pasted_domain(text) == domain


@pytest.mark.fault("B19")
@pytest.mark.parametrize(
    ("email", "is_taken"),
    [("ada@münchen.example", True), ("ädä@contoso.example", False), ("ada@contoso.example.", False)],
)
def test_an_e_mail_address_is_taken_only_if_it_can_be_written_to(email: str, is_taken: bool):
    with nullcontext() if is_taken else pytest.raises(FieldsInvalid, match=r"^email$"):
        applicant({**APPLICANT, "email": email})
    _, faults = GROUPS["contact"].check({"contact_name": "Ada", "contact_email": email}, {})
    assert ("contact_email" not in faults) is is_taken


@pytest.mark.parametrize("name", ["Åse Þór", "陳大文", "O’Brien & Söhne <GmbH>", "محمد", "رضا\u200cپور", "😀 Ltd"])
def test_names_of_the_whole_world_are_taken_as_they_are(name: str):
    assert applicant({**APPLICANT, "contact": name}).contact == name


def test_spaces_are_tidied():
    typed = applicant({**APPLICANT, "organisation": "  Contoso   Ltd "})
    assert typed.organisation == "Contoso Ltd"


@given(st.dictionaries(st.sampled_from([*APPLICANT, "other"]), st.text(max_size=1200)))
def test_whatever_is_typed_is_taken_whole_or_refused_with_words(typed: dict[str, str]):
    try:
        found = applicant(typed)
    except FieldsInvalid as invalid:
        told = list(invalid.faults.values())
    else:
        told = ["taken"]
        for name, limit in fields.MAX_CHARS.items():
            text = getattr(found, name)
            assert 0 < len(text) <= limit
            assert text.isprintable() or "\u200c" in text or "\u200d" in text or "\u00a0" in text or not text.isascii()
    assert told
    assert all(told)
    shown = fields.shown_again(typed)
    assert set(shown) == set(fields.MAX_CHARS)


def test_windows_pass_and_addresses_are_forgotten():
    rate_limiter = RateLimiter(RateLimits(requests=2, window=timedelta(seconds=10), networks=2))
    assert [rate_limiter.allows("192.0.2.1", now) for now in (0, 1, 2, 9.9, 10, 11, 12)] == [
        True,
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert rate_limiter.allows("192.0.2.2", 12)
    assert rate_limiter.allows("192.0.2.3", 12)
    assert rate_limiter.allows("192.0.2.1", 12), "the address that asked longest ago was forgotten"


def test_forms_are_counted_for_each_network_and_apart_for_what_they_begin():
    rate_limiter = RateLimiter(RateLimits(sign_ups=1, sign_ins=1, window=timedelta(seconds=10)))
    assert rate_limiter.allows("192.0.2.1", 0, RequestKind.SIGN_UP)
    assert not any(rate_limiter.allows("192.0.2.1", 0, RequestKind.SIGN_UP) for _ in range(20))
    assert rate_limiter.allows("192.0.2.1", 0, RequestKind.SIGN_IN), "sign-ins go on while sign-ups are flooded"
    assert all(rate_limiter.allows(f"10.{n // 250}.{n % 250}.1", 0, RequestKind.SIGN_UP) for n in range(5000)), (
        "nobody locks others out"
    )
    assert rate_limiter.allows("192.0.2.1", 10, RequestKind.SIGN_UP)


def test_what_the_pacer_remembers_is_bounded():
    rate_limiter = RateLimiter(RateLimits(networks=100))
    for n in range(1_000):
        rate_limiter.allows(f"2001:db8:{n:x}::1", 0)
        rate_limiter.allows(f"unix:{n}" * 1000, 0)
    assert len(rate_limiter) == 100


def test_an_ipv6_block_of_48_bits_gets_four_times_as_far_as_one_of_64():
    rate_limiter = RateLimiter(RateLimits(requests=2))
    admitted = [rate_limiter.allows(f"2001:db8:0:{n:x}::1", 0) for n in range(20)]
    assert admitted == [True] * 8 + [False] * 12
    assert rate_limiter.allows("2001:db8:1::1", 0)
    assert [rate_limiter.allows(f"::ffff:192.0.2.{n}", 0) for n in (1, 1, 1, 2)] == [True, True, False, True]


def test_an_ipv6_network_counts_as_one_address():
    rate_limiter = RateLimiter(RateLimits(requests=2))
    assert [rate_limiter.allows(f"2001:db8::{n}", 0) for n in (1, 2, 3)] == [True, True, False]
    assert rate_limiter.allows("2001:db8:0:1::1", 0)
    assert [rate_limiter.allows(text, 0) for text in ("", "", "", "unix:/socket")] == [True, True, False, True]


def test_flows_survive_the_way_through_the_store():
    flow = Flow(
        flow_id=new_flow_id(),
        browser="b",
        returning="r",
        applicant=Applicant("C", "A", "a@b.de", "b.de"),
        tenant_id=TenantId("t"),
    )
    assert decode(encode(flow)) == flow
    assert decode('{"of": "another release"}') is None
    assert decode("garbage") is None
    assert is_flow_id(flow.flow_id)
    assert not any(map(is_flow_id, ["", "../x", "a" * 23, "ä" * 24, flow.flow_id + "a"]))
