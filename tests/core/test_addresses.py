from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.addresses import ascii_domain, mail_address


@pytest.mark.fault("B19")
@pytest.mark.parametrize(
    ("text", "sent_to"),
    [
        ("ada@contoso.example", "ada@contoso.example"),
        ("Ada.L+presence@Contoso.Example", "Ada.L+presence@contoso.example"),
        ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
        ("ada@mu\u0308nchen.example", "ada@xn--mnchen-3ya.example"),
        ("ada@xn--mnchen-3ya.example", "ada@xn--mnchen-3ya.example"),
        ("ädä@contoso.example", None),
        ("ada@contoso.example.", None),
        ("ada@contoso", None),
        ("ada@127.0.0.1", None),
        ("ada@-contoso.example", None),
        ("a@b@contoso.example", None),
        ("ada@" + "b" * 64 + ".example", None),
        ("a" * 64 + "@" + "b." * 94 + "example", None),
    ],
)
def test_e_mail_addresses(text: str, sent_to: str | None):
    assert mail_address(text) == sent_to


@pytest.mark.fault("B37")
def test_a_sharp_s_in_a_domain_is_not_two_letters():
    assert ascii_domain("straße.example") == "xn--strae-oqa.example"


@given(st.text(max_size=300))
def test_whatever_is_a_domain_is_ascii_and_stays_as_it_is(text: str):
    domain = ascii_domain(text)
    assert domain is None or (domain.isascii() and ascii_domain(domain) == domain)
