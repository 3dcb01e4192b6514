"""What letters say: every kind in every language, whatever people are called."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from relay.alerts.texts import LetterContent, letter_email
from relay.locale.languages import Language
from relay.store.custody.notices import NoticeKind

CONSENT = {NoticeKind.CONSENT_REQUIRED, NoticeKind.CONSENT_RESTORED}
LETTERS = sorted(set(NoticeKind) - CONSENT)
CONTENT = LetterContent(
    kind=NoticeKind.MANAGER_ADDED,
    at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    tenant_id="11111111-0000-4000-8000-000000000001",
    organisation="Contoso",
    domain="contoso.example",
    who="ada@contoso.example",
    about="ben@contoso.example",
    page="https://relay.example/onboarding/tenant",
    operator="Northwind",
)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", LETTERS)
def test_a_letter_names_the_organisation_and_leaves_no_place_empty(kind: str, language: str) -> None:
    subject, text = letter_email(replace(CONTENT, kind=kind), language)
    assert "Contoso" in subject
    assert "%(" not in subject + text
    assert text.endswith("Northwind\n")


@pytest.mark.parametrize("kind", LETTERS)
def test_languages_differ(kind: str) -> None:
    assert letter_email(replace(CONTENT, kind=kind), "en") != letter_email(replace(CONTENT, kind=kind), "it")


def test_a_language_that_is_not_spoken_here_is_english() -> None:
    assert letter_email(CONTENT, "xx") == letter_email(CONTENT, "en")


def test_what_people_chose_stays_short_and_on_one_line() -> None:
    subject, text = letter_email(replace(CONTENT, who="a\r\nBcc: x" * 200, about="%(who)s", organisation="C\no"), "en")
    assert "\n" not in subject
    assert "\r" not in text
    assert "%(who)s" in subject, "a text that looks like a place is a text"
    assert len(text) < 1500


def test_the_operator_is_told_the_commands() -> None:
    _, text = letter_email(replace(CONTENT, kind=NoticeKind.TENANT_WAITS), "en")
    assert f"tenants approve {CONTENT.tenant_id}" in text
    assert CONTENT.page not in text
