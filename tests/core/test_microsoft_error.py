from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.consent.microsoft_error import MOST_WORDS, NO_ERROR, MicrosoftError, parse_error

TRACE, CORRELATION = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
DEATHS = tomllib.loads(Path("emulator/entra/deaths.toml").read_text())["death"]


def test_microsofts_sentence_and_its_marks_are_told_apart():
    text = (
        f"AADSTS50173: The grant has expired.\r\nTrace ID: {TRACE}\r\nCorrelation ID: {CORRELATION}\r\n"
        "Timestamp: 2026-11-26 09:00:00Z"
    )
    assert parse_error(description=text) == MicrosoftError(
        number=50173, words="AADSTS50173: The grant has expired.", trace_id=TRACE, correlation_id=CORRELATION,
        time="2026-11-26 09:00:00Z",
    )  # fmt: skip
    assert parse_error(description=text, trace_id="other").trace_id == "other"
    assert parse_error() == NO_ERROR


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: str(death["code"]))
def test_every_documented_sentence_stays_as_it_is(death):
    words = f"AADSTS{death['code']}: {death['text']}"
    assert parse_error(description=words).words == (
        words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 1] + "…"
    )
    assert parse_error(description=words).number == death["code"]


@pytest.mark.parametrize(
    "secret",
    ["Xy8Q~" + "aB3" * 12, "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiIwMDAwMDAwMy0wMDAwIn0", "0.AXoAa1" * 40],
)
def test_what_may_be_a_secret_is_not_kept(secret):
    said = parse_error(description=f"AADSTS7000215: Invalid '{secret}' was given for {TRACE}", trace_id=secret * 3)
    assert secret not in repr(said)
    assert said.words == f"AADSTS7000215: Invalid '…' was given for {TRACE}"


@given(st.text(max_size=9000), st.text(max_size=99), st.integers())
def test_whatever_microsoft_says_is_bounded_and_one_line(text, mark, number):
    said = parse_error(number=number, description=text, trace_id=mark, correlation_id=mark, time=mark)
    assert len(said.words) <= MOST_WORDS
    assert said.words.isprintable()
    assert 0 <= said.number < 1_000_000_000
    assert all(len(kept) <= 60 and kept.isprintable() for kept in (said.trace_id, said.correlation_id, said.time))
