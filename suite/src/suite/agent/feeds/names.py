"""The names under which colleagues are fed, by templates with their extension, login or UPN. Pure.

A name belongs to one colleague: the first who has it keeps it while he has it. Names with characters that a telephone system could take
for something else are not used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from suite.agent.feeds.ami import is_settable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from suite.agent.users.reading import Colleague
    from suite.names import Key

_PLACE: Final = re.compile(r"\{(extension|login|upn)\}")


def filled(template: str, colleague: Colleague) -> str:
    """Return a template with what the colleague has; empty when the colleague lacks something of it, or the name could not be used."""
    values = {"extension": colleague.extension, "login": colleague.login, "upn": colleague.upn}
    if any(not values[place] for place in _PLACE.findall(template)):
        return ""
    name = _PLACE.sub(lambda found: values[found[1]], template)
    return name if is_settable(name) else ""


class FedNames:
    """The names of all colleagues that are fed."""

    def __init__(self, templates: Sequence[str]) -> None:
        self._templates = templates
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
        """Return a sentence when colleagues are not fed although they could be named; else nothing."""
        many = len(self._unused)
        if not many:
            return ""
        return f"{many} colleague{'s are' if many != 1 else ' is'} not fed: another has the same name there, or it has characters that cannot be used."

    def take_freed(self) -> list[Key]:
        """Return the colleagues who had no name of their own, if a name became free since the last call."""
        freed, self._is_freed = self._is_freed, False
        return list(self._unused) if freed else []

    def set(self, key: Key, colleague: Colleague | None) -> list[str]:
        """Take a colleague as he is now, None for one who left; return the names that are nobody's any more."""
        wanted = [filled(template, colleague) for template in self._templates] if colleague is not None else []
        names = tuple(name for name in wanted if name and self._owner.get(name, key) == key)
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
        """Return True for a colleague who has everything that the templates ask for."""
        places = {place for template in self._templates for place in _PLACE.findall(template)}
        return all(getattr(colleague, place) for place in places)
