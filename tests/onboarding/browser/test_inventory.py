"""Every page in every state: in real Chromium, with axe runs that find nothing, and pictures of each where they are wanted.

Each row is visited once, by turns in English or in Italian, and wide and light or dark on a phone. The first row of each page is part of
`make test` and is looked at whole. The others are part of `make test-long`, without axe and the picture, which take most of the time.
`make soak` looks at every row whole, in both languages and in both looks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from _pytest.mark import ParameterSet
from playwright.async_api import Browser

import onboarding
import pages as kit
from relay.locale.languages import Language
from tests.onboarding.chromium import LOOKS, ON_ITS_LOOP, Look, Watched, window
from tests.onboarding.inventory import ROWS, Row, Visit, diagnostics, sign_up, tenant, tenant_door, wizard
from tests.onboarding.person import Person
from tests.onboarding.site import Site

MODULES = (wizard, sign_up, tenant_door, tenant, diagnostics)
COUNT = 88
"""Rows that there are. A page or a state more is a row more."""
LANGUAGES = (Language.ENGLISH, Language.ITALIAN)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def windows(chromium: Browser) -> AsyncIterator[dict[Language, Watched]]:
    """One window in each language for all rows, which are without cookies at first: a window of its own is most of a row's cost."""
    async with AsyncExitStack() as stack:
        contexts = [await stack.enter_async_context(await window(chromium, locale=one.value)) for one in LANGUAGES]
        yield {one: Watched(await context.new_page()) for one, context in zip(LANGUAGES, contexts, strict=True)}


def visits() -> Iterator[ParameterSet]:
    """Each row in one language and one look, and for `make soak` in each."""
    seen = set[str]()
    for at, row in enumerate(ROWS):
        language, look = LANGUAGES[at % 2], LOOKS[at // 2 % 2]
        is_first = row.page not in seen
        marks = [] if is_first else [pytest.mark.long]
        yield pytest.param(row, language, (look,), is_first, id=f"{row.name}-{language.value}", marks=marks)
        seen.add(row.page)
        for each in LANGUAGES:
            yield pytest.param(row, each, LOOKS, True, id=f"{row.name}-{each.value}-soak", marks=pytest.mark.soak)


@pytest.mark.timeout(120)
@ON_ITS_LOOP
@pytest.mark.parametrize(("row", "language", "looks", "is_whole"), list(visits()))
async def test_a_page_in_a_state(
    row: Row,
    language: Language,
    looks: tuple[Look, ...],
    is_whole: bool,
    site: Site,
    person: Person,
    windows: dict[Language, Watched],
):
    watched = windows[language]
    await watched.as_new()
    person.client.headers["accept-language"] = language.value
    visit = Visit(site, watched.page, person, language)
    try:
        await asyncio.wait_for(row.visit(visit), 40)
        assert await watched.page.get_attribute("main", "data-page") == row.page
        assert await watched.page.get_attribute("html", "lang") == language.value
        await watched.look(f"{row.name}-{language.value}", looks, is_whole=is_whole)
    finally:
        for undo in visit.undo:
            await undo()
    policy = [said for said in watched.complaints if "Content Security Policy" in said]
    assert policy == []


def test_every_page_has_a_row_and_the_rows_are_counted():
    assert {row.page for row in ROWS} == set(pages())
    assert [name for name, times in Counter(row.name for row in ROWS).items() if times > 1] == []
    assert len(ROWS) == COUNT


def pages() -> Iterator[str]:
    """The templates that are pages: what others extend is none, nor what others take parts from."""
    for folder in (Path(package.__file__ or "").parent / "templates" for package in (kit, onboarding)):
        for path in folder.glob("**/*.html"):
            if "{% extends " in path.read_text() and path.stem not in {"layout", "signed_in", "way"}:
                yield path.relative_to(folder).with_suffix("").as_posix()
