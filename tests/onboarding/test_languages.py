"""English and Italian: every message has both, the switch and the browser choose, and nothing else of the page changes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import pytest
from starlette.datastructures import Headers

from pages import dates
from pages.layout import is_path, page_address
from relay.http.paths import ONBOARDING
from relay.locale.languages import CURRENT, Language, Sentence, english, preferred_language, translate
from tests.onboarding.messages import places, translated, written
from tests.onboarding.person import Person

AT = datetime(2026, 11, 26, 21, 4, 9, tzinfo=UTC)


@pytest.fixture
def italian():  # type: ignore[no-untyped-def]
    token = CURRENT.set(Language.ITALIAN)
    yield
    CURRENT.reset(token)


def test_every_message_has_a_translation_and_no_translation_is_left_over():
    known = {_message(table["en"]) for table in translated() if Language.ITALIAN.value in table}
    found = written()
    stubs = "\n".join(
        f'# {place}\n[[message]]\nen = {_toml(text)}\nit = ""\n' for text, place in found.items() if text not in known
    )
    assert not stubs, f"not translated yet; for relay/locale/:\n\n{stubs}"
    assert sorted(map(str, known - set(found))) == []


def test_no_message_is_translated_twice():
    count = Counter(_message(table["en"]) for table in translated())
    assert [text for text, times in count.items() if times > 1] == []


def test_a_translation_keeps_what_is_filled_in_and_the_markup():
    """One test for all: as one each, their hundreds cost more to collect than to run."""
    assert translated()
    assert [table for table in translated() if not _keeps(_forms(table["en"]), _forms(table["it"]))] == []


def _keeps(english: list[str], italian: list[str]) -> bool:
    kept = list(map(places, english))
    # A bare % would be taken for a place, in either language.
    return all(italian) and kept == list(map(places, italian)) and not any("%" in one for one in kept)


@pytest.mark.parametrize(
    ("accepted", "cookie", "language"),
    [
        ("", "", "en"),
        ("it-IT,it;q=0.9,en;q=0.8", "", "it"),
        ("de-DE,de;q=0.9", "", "en"),
        ("de, it;q=0.5, en;q=0.4", "", "it"),
        ("en;q=0.2, it;q=0.7", "", "it"),
        ("it;q=0, en", "", "en"),
        ("it;q=nonsense", "", "en"),
        ("IT-ch", "", "it"),
        ("it", "en", "en"),
        ("en", "it", "it"),
        ("it", "xx", "it"),
        ("it" + ",x" * 100_000, "", "it"),
    ],
)
def test_what_was_chosen_goes_before_what_the_browser_asks_for(accepted: str, cookie: str, language: str):
    assert preferred_language(Headers({"accept-language": accepted}), cookie).value == language


async def test_a_page_comes_in_the_browsers_language_and_says_so(person: Person):
    person.client.headers["accept-language"] = "it"
    await person.get("/onboarding")
    assert '<html lang="it">' in person.page.text
    assert "Non legge chat" in person.text


async def test_the_switch_comes_back_to_the_page_and_is_remembered(person: Person):
    await person.fill()
    flow = str(person.page.url)
    await person.switch("it")
    assert str(person.page.url) == flow
    assert '<html lang="it">' in person.page.text
    await person.get("/onboarding")
    assert '<html lang="it">' in person.page.text
    await person.switch("en")
    assert '<html lang="en">' in person.page.text


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nset-cookie: x=1", ""]
)
async def test_the_switch_leads_to_no_other_host(person: Person, back: str):
    await person.get("/onboarding")
    person.client.follow_redirects = False
    await person.switch("it", back=back)
    assert person.page.status_code == 400


@pytest.mark.parametrize("language", ["", "xx", "en; Domain=evil.example", "it" * 1000])
async def test_only_a_language_that_there_is_can_be_chosen(person: Person, language: str):
    await person.get("/onboarding")
    await person.switch(language)
    assert person.page.status_code == 400
    assert "set-cookie" not in person.page.headers


@pytest.mark.parametrize(
    ("request_line", "page"),
    [
        (("GET", "/onboarding", ""), "/onboarding"),
        (("GET", "/onboarding/abc", "x=1&y=%2F"), "/onboarding/abc?x=1&y=%2F"),
        (("POST", "/onboarding/abc/authorize", ""), "/onboarding/abc"),
        (("POST", "/onboarding", "x=1"), "/onboarding"),
        (("GET", "//evil.example", ""), "/onboarding"),
        (("GET", "/<script>", ""), "/onboarding"),
    ],
)
def test_a_page_knows_where_it_can_be_read_again(request_line: tuple[str, str, str], page: str):
    assert page_address(*request_line, ONBOARDING) == page


def test_a_path_of_ours_is_told_from_everything_else():
    assert all(map(is_path, ["/", "/onboarding", "/a/b-c_d.e?f=g%20h"]))
    assert not any(
        map(is_path, ["", "a", "//a", "/\\a", "/a//b", "/a b", "/a\n", "https://a", "/" + "a" * 500, "/a#b"])
    )


def test_dates_are_said_in_utc_whatever_zone_they_come_in():
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert (dates.when(elsewhere), dates.clock(elsewhere)) == ("26 November 2026, 21:04 UTC", "21:04:09 UTC")
    assert dates.machine(elsewhere) == "2026-11-26T21:04:09Z"


def test_dates_numbers_and_spans_in_italian(italian: None):
    assert dates.when(AT) == "26 novembre 2026, 21:04 UTC"
    assert dates.number(1234567) == "1.234.567"
    spans = [timedelta(seconds=1), timedelta(seconds=59), timedelta(minutes=1), timedelta(hours=5), timedelta(days=90)]
    assert [dates.span(length) for length in spans] == ["1 secondo", "59 secondi", "1 minuto", "5 ore", "90 giorni"]


def test_a_sentence_that_is_no_message_is_said_as_it_stands(italian: None):
    assert translate("100% of an old release") == "100% of an old release"
    assert translate(Sentence(english("%(num)s days"), {"num": 3})) == "3 days"


def _message(en: object) -> str | tuple[str, str]:
    return (str(en[0]), str(en[1])) if isinstance(en, list) else str(en)


def _forms(text: object) -> list[str]:
    return list(map(str, text)) if isinstance(text, list) else [str(text)]


def _toml(text: str | tuple[str, str]) -> str:
    quoted = [
        '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for part in ([text] if isinstance(text, str) else text)
    ]
    return quoted[0] if isinstance(text, str) else f"[{', '.join(quoted)}]"
