"""Positions compare as numbers; a resume token comes back as it was, or not at all."""

from __future__ import annotations

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.core.presence import TenantId
from relay.core.revision import MAX_TOKEN_CHARS, START, Epoch, ResumeToken, Revision, parse, render

HALVES = st.integers(0, 2**64 - 1)
IDS = st.tuples(HALVES, HALVES)
REVISIONS = IDS.map(lambda halves: Revision(halves[0] << 64 | halves[1]))
EPOCHS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=80).map(Epoch)
TOKENS = st.builds(ResumeToken, st.uuids().map(lambda value: TenantId(str(value))), EPOCHS, REVISIONS)

TOKEN = ResumeToken(
    TenantId("7a0f1d3e-0000-4000-8000-000000000001"), Epoch("0123456789abcdef." + 40 * "a"), Revision(7)
)


def entry_id(halves: tuple[int, int]) -> bytes:
    return b"%d-%d" % halves


@given(IDS)
def test_a_stream_id_is_rendered_as_it_was_parsed(halves: tuple[int, int]) -> None:
    assert render(parse(entry_id(halves))) == entry_id(halves)


@given(IDS, IDS)
def test_revisions_order_as_the_ids_do(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (parse(entry_id(one)) < parse(entry_id(other))) == (one < other)


def test_an_id_without_a_sequence_is_the_first_of_its_millisecond() -> None:
    assert parse(b"5") == parse(b"5-0")


def test_the_start_is_before_every_entry() -> None:
    assert parse(b"0-0") == START < parse(b"0-1")


@pytest.mark.parametrize("text", [b"", b"-", b"a-1", b"1-a", b"1-2-3", b"1.5-0"])
def test_what_is_no_id_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse(text)


@given(TOKENS)
def test_a_token_comes_back_as_it_was(token: ResumeToken) -> None:
    text = token.encode()
    assert ResumeToken.decode(text) == token
    assert len(text) <= MAX_TOKEN_CHARS


@given(st.text() | st.text(st.sampled_from("ABCabc019-_="), max_size=200))
def test_garbage_is_no_token(text: str) -> None:
    assert ResumeToken.decode(text) is None


@given(st.binary(max_size=300))
def test_garbage_in_the_right_alphabet_is_no_token(raw: bytes) -> None:
    assert ResumeToken.decode(base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None


@given(TOKENS, st.data())
def test_a_flipped_bit_gives_no_other_token(token: ResumeToken, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(padded(token.encode())))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert ResumeToken.decode(base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None


@given(TOKENS, st.data())
def test_a_changed_character_gives_no_other_token(token: ResumeToken, data: st.DataObject) -> None:
    text = token.encode()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters()) + text[at + 1 :]
    assert ResumeToken.decode(changed) in (None, token)


@given(TOKENS, st.data())
def test_a_token_cut_short_is_none(token: ResumeToken, data: st.DataObject) -> None:
    text = token.encode()
    assert ResumeToken.decode(text[: data.draw(st.integers(0, len(text) - 1))]) is None


def test_a_token_that_something_follows_is_none() -> None:
    assert ResumeToken.decode(TOKEN.encode() + TOKEN.encode()) is None


@pytest.mark.parametrize("text", ["", "x" * 10_000, "=" * 400, "é" * 100, "\x00" * 100, " " + TOKEN.encode()])
def test_these_are_no_tokens(text: str) -> None:
    assert ResumeToken.decode(text) is None


def test_a_token_that_was_padded_or_has_its_tenant_in_capitals_is_the_same() -> None:
    assert ResumeToken.decode(padded(TOKEN.encode())) == TOKEN
    capitals = ResumeToken(TenantId(TOKEN.tenant_id.upper()), TOKEN.epoch, TOKEN.revision)
    assert ResumeToken.decode(capitals.encode()) == TOKEN


def test_a_token_says_nothing_that_it_need_not() -> None:
    raw = base64.urlsafe_b64decode(padded(TOKEN.encode()))
    assert uuid.UUID(TOKEN.tenant_id).bytes in raw
    assert len(raw) < 100


def padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
