"""The languages of the pages: which one a request wants, and how each says what the templates and the code say in English.

English is the text itself. `locale/*.toml` puts the other languages beside it, one table a message, so that whoever
translates sees both:

    [[message]]
    en = "Choose another account"
    it = "Scegli un altro account"

    [[message]]
    en = ["%(num)s user", "%(num)s users"]     # what `ngettext` and `{% pluralize %}` ask for
    it = ["%(num)s utente", "%(num)s utenti"]

Not gettext's files: a compiled catalogue cannot be read in a review nor merged, and 300 sentences need no tool. A test
holds that every message is translated and keeps its placeholders and its markup.

Templates write `{% trans %}…{% endtrans %}` and `_("…")`. Code marks its sentences with `english("…")`, and the template
says them with the filter `say`.
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.datastructures import Headers

COOKIE: Final = "__Host-language"
"""What the switch chose. It says nothing of anybody, and a year is how long a choice is good for."""
COOKIE_ATTRIBUTES: Final = "Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax"
_MOST_ACCEPTED: Final = 20
"""Ranges of an Accept-Language that are looked at; browsers send a few."""


class Language(enum.StrEnum):
    """A language of the pages; the values are the tags of HTML and HTTP."""

    ENGLISH = "en"
    ITALIAN = "it"

    @property
    def own_name(self) -> str:
        """The language's name in itself, as the switch shows it."""
        return {Language.ENGLISH: "English", Language.ITALIAN: "Italiano"}[self]


CURRENT: Final[ContextVar[Language]] = ContextVar("language", default=Language.ENGLISH)
"""The language of the request under way; set by the guard, before anything is answered."""


def english(text: str) -> str:
    """Mark a sentence of the code as a message of the pages; the text itself."""
    return text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A message with what is to be filled in.

    Attributes:
        text: a message, with places such as `%(limit)s`; without values it is said as it stands.
        values: what goes there; plain text, escaped where it is shown.
    """

    text: str
    values: Mapping[str, object] = field(default_factory=dict)


def wanted(headers: Headers, cookie: str) -> Language:
    """Return the language of a request: what was chosen, else what the browser asks for, else English."""
    if cookie in set(Language):
        return Language(cookie)
    ranges = headers.get("accept-language", "")[:1000].split(",")[:_MOST_ACCEPTED]
    ranked = sorted(((_quality(text), -place, _tag(text)) for place, text in enumerate(ranges)), reverse=True)
    found = (Language(tag) for quality, _, tag in ranked if quality > 0 and tag in set(Language))
    return next(found, Language.ENGLISH)


def gettext(text: str) -> str:
    """Return the message in the current language; itself where there is no translation."""
    said = CATALOGUE[CURRENT.get()].get(text, text)
    return said if isinstance(said, str) else said[0]


def ngettext(one: str, many: str, number: int) -> str:
    """Return the message for a number of things. English and Italian both have one singular and one plural."""
    said = CATALOGUE[CURRENT.get()].get(one)
    forms = said if isinstance(said, tuple) else (one, many)
    return forms[0] if number == 1 else forms[1]


def say(sentence: str | Sentence) -> str:
    """Return a sentence of the code in the current language.

    A text that is no message is said as it stands: an older release may have kept it.
    """
    if isinstance(sentence, str):
        return gettext(sentence)
    said = gettext(sentence.text)
    return said % sentence.values if sentence.values else said


def translated(text: str, language: str) -> str:
    """Return a message in a language given by its tag, or the message itself where there is no translation."""
    found = CATALOGUE[Language(language)].get(text, text) if language in set(Language) else text
    return found if isinstance(found, str) else found[0]


def _quality(text: str) -> float:
    weight = text.partition(";")[2].strip().removeprefix("q=")
    try:
        return float(weight) if weight else 1.0
    except ValueError:
        return 0.0


def _tag(text: str) -> str:
    """Return the language of a range such as `it-CH;q=0.8`."""
    return text.partition(";")[0].strip().lower().partition("-")[0]


def _read() -> Mapping[Language, Mapping[str, str | tuple[str, str]]]:
    found: dict[Language, dict[str, str | tuple[str, str]]] = {language: {} for language in Language}
    for file in resources.files("relay.locale").iterdir():
        if not file.name.endswith(".toml"):
            continue
        for message in tomllib.loads(file.read_text("utf-8"))["message"]:
            for language in Language:
                if language.value in message and language is not Language.ENGLISH:
                    found[language][_key(message["en"])] = _forms(message[language.value])
    return MappingProxyType({language: MappingProxyType(said) for language, said in found.items()})


def _key(text: Any) -> str:
    return str(text[0] if isinstance(text, list) else text)


def _forms(text: Any) -> str | tuple[str, str]:
    return (text[0], text[1]) if isinstance(text, list) else str(text)


CATALOGUE: Final = _read()
"""Language -> (message, the singular where it has two forms -> translation, or its forms for one and for many)."""
