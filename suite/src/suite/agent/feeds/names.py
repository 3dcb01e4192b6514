"""The names under which colleagues are fed, by templates with their extension, login, UPN or SIP address. Pure.

A name belongs to one colleague: the first who has it keeps it. Names with characters that the far end could misread are not used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from suite.agent.users.reading import Colleague
    from suite.names import Key

_PLACE: Final = re.compile(r"\{(extension|login|upn|sip)\}")
_FORMS: Final = {"extension": r"[0-9*#+]+", "login": r".+", "upn": r"[^@]+@[^@]+"}
_URI: Final = re.compile(r"sip:[A-Za-z0-9_.!~*'()&=+$,/%-]{1,100}@[A-Za-z0-9.-]{1,200}")


def filled(template: str, colleague: Colleague) -> str:
    """Return a template filled with the colleague's values; empty if the colleague lacks one of them."""
    values = _values(colleague)
    if any(not values[place] for place in _PLACE.findall(template)):
        return ""
    return _PLACE.sub(lambda found: values[found[1]], template)


def leftovers(template: str, names: Iterable[str]) -> list[str]:
    """Return the names that this template can have produced; none for a template without a letter of its own, which matches any name."""
    literal = _PLACE.sub("", template).partition(":")[2]
    if not any(char.isalpha() for char in literal):
        return []
    parts = re.split(r"(\{[a-z]+\})", template)
    pattern = re.compile("".join(_FORMS.get(part[1:-1], re.escape(part)) for part in parts))
    return [name for name in names if pattern.fullmatch(name)]


def is_uri(name: str) -> bool:
    """Return True for a SIP URI that can stand in a request as it is."""
    return _URI.fullmatch(name) is not None


def _values(colleague: Colleague) -> dict[str, str]:
    """Return placeholder of a template -> value of the colleague."""
    return {
        "extension": colleague.extension,
        "login": colleague.login,
        "upn": colleague.upn,
        "sip": colleague.sip_uri,
    }


class FedNames:
    """The names of all colleagues that are fed."""

    def __init__(self, templates: Sequence[str], is_usable: Callable[[str], bool]) -> None:
        self._templates = templates
        self._is_usable = is_usable
        self._names: dict[Key, tuple[str, ...]] = {}
        self._owner: dict[str, Key] = {}
        self._unused: set[Key] = set()
        self._is_freed = False

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._names))

    def __getitem__(self, key: Key) -> tuple[str, ...]:
        """Return the names of a colleague; none for one that is not fed."""
        return self._names.get(key, ())

    @property
    def trouble(self) -> str:
        """Return a sentence about colleagues who are not fed although they have a name; empty if there are none."""
        many = len(self._unused)
        if not many:
            return ""
        return f"{many} colleague{'s are' if many != 1 else ' is'} not fed: another has the same name there, or it has characters that cannot be used."

    def take_freed(self) -> list[Key]:
        """Return the colleagues who had no name of their own, if a name became free since the last call."""
        freed, self._is_freed = self._is_freed, False
        return list(self._unused) if freed else []

    def set(self, key: Key, colleague: Colleague | None) -> list[str]:
        """Store a colleague's current data, None for one who left; return the names that became free."""
        wanted = [filled(template, colleague) for template in self._templates] if colleague is not None else []
        names = tuple(name for name in wanted if self._is_usable(name) and self._owner.get(name, key) == key)
        before = self._names.pop(key, ())
        gone = [name for name in before if name not in names]
        for name in gone:
            del self._owner[name]
            self._is_freed = True
        self._owner.update(dict.fromkeys(names, key))
        if names:
            self._names[key] = names
        self._unused.discard(key)
        if colleague is not None and len(names) < len(self._templates) and self._has_all(colleague):
            self._unused.add(key)
        return gone

    def _has_all(self, colleague: Colleague) -> bool:
        """Return True for a colleague who has all values of the templates."""
        return all(filled(template, colleague) for template in self._templates)
