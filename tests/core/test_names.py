"""Names as suites give them, and the one form that the relay keeps."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.names import MAX_NAME_CHARS, is_object_id, normalise, tenant_id, user_id

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
GUEST = "ada_fabrikam.example#ext#@contoso.onmicrosoft.com"


@pytest.mark.fault("B37")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ada@contoso.com", "ada@contoso.com"),
        ("Ada@Contoso.COM", "ada@contoso.com"),
        ("  ada@contoso.com\t", "ada@contoso.com"),
        ("\nada@contoso.com\r\n", "ada@contoso.com"),
        ("\u00a0ada@contoso.com\u3000", "ada@contoso.com"),
        ("sip:ada@contoso.com", "ada@contoso.com"),
        (" SIP: Ada@contoso.com", "ada@contoso.com"),
        ("o'hara@contoso.com", "o'hara@contoso.com"),
        ("ada+desk-2_b.c@sub.contoso.co.uk", "ada+desk-2_b.c@sub.contoso.co.uk"),
        (GUEST.replace("#ext#", "#EXT#"), GUEST),
        ("jörg@bücher.example", "jörg@bücher.example"),
        ("STRASSE@contoso.com", "strasse@contoso.com"),
        ("straße@contoso.com", "straße@contoso.com"),
        ("mu\u0308ller@contoso.com", "m\u00fcller@contoso.com"),
        ("M\u00dcLLER@contoso.com", "m\u00fcller@contoso.com"),
        (GUID, GUID),
        (GUID.upper(), GUID),
        (f" sip:{GUID.upper()} ", GUID),
        ("a" * (MAX_NAME_CHARS - 2) + "@b", "a" * (MAX_NAME_CHARS - 2) + "@b"),
    ],
)
def test_a_name_is_kept_in_one_form(given: str, kept: str) -> None:
    assert normalise(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "\t\n",
        "sip:",
        "sip:sip:ada@contoso.com",
        "ada",
        "@",
        "ada@",
        "@contoso.com",
        "ada@b@contoso.com",
        "ada lovelace@contoso.com",
        "ada@contoso .com",
        "ada\x00@contoso.com",
        "ada\x1b[31m@contoso.com",
        "ada@contoso.com\x7f",
        "ada@contoso.com,bob@contoso.com",
        "Ada <ada@contoso.com>",
        '"ada"@contoso.com',
        "tel:+15550100@contoso.com",
        "https://contoso.com/ada@b",
        "ada@contoso.com?x=1",
        "ada@contoso.com/extra",
        "ada@contoso.com#ext#",
        "a%20b@contoso.com",
        "*@contoso.com",
        f"{{{GUID}}}",
        GUID.replace("-", ""),
        GUID[:-1],
        f"{GUID}0",
        GUID.replace("0", "g"),
        "a" * (MAX_NAME_CHARS - 1) + "@b",
        "a" * 10_240,
        " " * 10_240 + "ada@contoso.com",
        "a" * 10_238 + "@b",
    ],
)
def test_what_cannot_be_a_name_is_none(given: str) -> None:
    assert normalise(given) is None


@given(st.text() | st.emails() | st.uuids().map(str))
def test_a_normalised_name_stays_as_it_is(text: str) -> None:
    name = normalise(text)
    assert name is None or normalise(name) == name


@given(st.emails(), st.sampled_from(["", " ", "sip:", " sip: ", "SIP:"]), st.booleans())
def test_spellings_of_one_name_are_one_name(email: str, prefix: str, upper: bool) -> None:
    spelling = prefix + (email.upper() if upper else email)
    assert normalise(spelling) == normalise(email.upper() if upper else email)


@given(st.text(max_size=400))
def test_a_normalised_name_has_neither_capitals_nor_white_space_nor_controls(text: str) -> None:
    name = normalise(text + "@contoso.com")
    if name is not None:
        assert name == unicodedata.normalize("NFC", name.lower())
        assert not any(char.isspace() or ord(char) < 32 for char in name)
        assert len(name) <= MAX_NAME_CHARS


def test_object_ids_are_told_from_upns() -> None:
    assert is_object_id(GUID)
    assert not is_object_id("ada@contoso.com")
    assert not is_object_id(f"{GUID}@contoso.com")


@pytest.mark.parametrize("reading", [user_id, tenant_id])
def test_ids_are_guids_in_lower_case(reading: Callable[[str], str | None]) -> None:
    assert reading(GUID.upper()) == GUID
    for text in ("", "x", f" {GUID}", f"{GUID}\n", GUID.replace("-", ""), "common"):
        assert reading(text) is None
