"""The catalogue of messages for pages and e-mails, and the language of a request.

English is the text itself. `locale/*.toml` puts the other languages beside it, one table a message, so that a
translator sees both:

    [[message]]
    en = "Choose another account"
    it = "Scegli un altro account"

    [[message]]
    en = ["%(num)s user", "%(num)s users"]     # for `ngettext` and `{% pluralize %}`
    it = ["%(num)s utente", "%(num)s utenti"]

These are not gettext's files: a compiled catalogue cannot be reviewed or merged, and some hundred sentences need no tool. A
test checks that every message is translated and keeps its placeholders and its markup.

Templates write `{% trans %}…{% endtrans %}` and `_("…")`. Code marks its sentences with `english("…")`, and a template
shows them with the filter `say`. E-mails use `translated`, because their reader's language is not that of a request.
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
"""The cookie with the language that was chosen. It identifies nobody, and a choice lasts a year."""
COOKIE_ATTRIBUTES: Final = "Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax"
_MOST_ACCEPTED: Final = 20
"""Ranges read from an Accept-Language; browsers send a few."""


class Language(enum.StrEnum):
    """A language of pages and e-mails; the values are the tags of HTML and HTTP."""

    ENGLISH = "en"
    ITALIAN = "it"

    @property
    def own_name(self) -> str:
        """The language's name in itself, as the switch shows it."""
        return {Language.ENGLISH: "English", Language.ITALIAN: "Italiano"}[self]


CURRENT: Final[ContextVar[Language]] = ContextVar("language", default=Language.ENGLISH)
"""The language of the request under way; set by the middleware before any view runs."""


def english(text: str) -> str:
    """Mark a sentence of the code as a message of the catalogue; return it unchanged."""
    return text


@dataclass(frozen=True, slots=True)
class Sentence:
    """A message with its values.

    Attributes:
        text: a message, with places such as `%(limit)s`; without values it is shown unchanged.
        values: the values of its places; plain text, escaped where it is shown.
    """

    text: str
    values: Mapping[str, object] = field(default_factory=dict)


def preferred_language(headers: Headers, cookie: str) -> Language:
    """Return the language of a request: the chosen one, else the browser's, else English."""
    if cookie in set(Language):
        return Language(cookie)
    ranges = headers.get("accept-language", "")[:1000].split(",")[:_MOST_ACCEPTED]
    ranked = sorted(((_quality(text), -place, _tag(text)) for place, text in enumerate(ranges)), reverse=True)
    found = (Language(tag) for quality, _, tag in ranked if quality > 0 and tag in set(Language))
    return next(found, Language.ENGLISH)


def gettext(text: str) -> str:
    """Return the message in the current language, or unchanged where there is no translation."""
    said = CATALOGUE[CURRENT.get()].get(text, text)
    return said if isinstance(said, str) else said[0]


def ngettext(one: str, many: str, number: int) -> str:
    """Return the message for a number of things. English and Italian both have one singular and one plural."""
    said = CATALOGUE[CURRENT.get()].get(one)
    forms = said if isinstance(said, tuple) else (one, many)
    return forms[0] if number == 1 else forms[1]


def translate(sentence: str | Sentence) -> str:
    """Return a sentence of the code in the current language.

    A text that is not a message is returned unchanged: an older release may have stored it.
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
