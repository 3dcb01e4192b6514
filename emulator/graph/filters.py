"""`$filter` over users: `eq`, `in`, `startswith`, `and`, `or`, brackets; for advanced queries also `ne`, `not`, `endswith`.

userPrincipalName in ('a@b.c','o''brien@b.c')      id eq '…' or (mail eq '…' and startswith(displayName,'A'))

https://learn.microsoft.com/graph/aad-advanced-queries
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from emulator.graph.errors import GraphError, bad_request
from emulator.graph.properties import values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emulator.world import Person, Tenant

MOST_EXPRESSIONS: Final = 15
"""https://developer.microsoft.com/graph/known-issues, id 13635"""
MOST_VALUE_CHARS: Final = 120
"""Of `eq`: https://learn.microsoft.com/graph/aad-advanced-queries"""
MOST_ADVANCED_CHARS: Final = 2048
"""Advanced queries have no limit on expressions, but on the length of the address; here of the filter."""
_DEEPEST: Final = 20

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z_][\w/]*)|(?P<sign>[(),]))")
_PROPERTIES: Final = {
    name.lower(): name
    for name in ("id", "userPrincipalName", "mail", "displayName", "givenName", "surname", "userType", "accountEnabled")
}
_WORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property, and the values (text in lower case) of which it must be, begin or end with one; or none of them."""

    name: str
    values: tuple[Any, ...]
    how: Literal["in", "startswith", "endswith"] = "in"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """Several conditions, of which all or any must hold."""

    parts: tuple[Condition, ...]
    every: bool
    negated: bool = False


Condition = Comparison | Joined


def parse(text: str, *, eventual: bool = False) -> Condition:
    """The condition of a filter; `eventual`: advanced queries are asked for.

    Raises:
        GraphError: 400, it cannot be understood, has too many expressions, or is one for advanced queries.
    """
    if eventual and len(text) > MOST_ADVANCED_CHARS:
        raise bad_request("The request URI is too long.", "Request_UnsupportedQuery")
    condition = _Parser(text, eventual=eventual).whole()
    count = sum(len(each.values) for each in _comparisons(condition))
    if not eventual and count > MOST_EXPRESSIONS:
        raise bad_request(
            "Too many child clauses specified in search filter expression containing 'OR' operators: "
            f"{count}. Max allowed: {MOST_EXPRESSIONS}.",
            "Request_UnsupportedQuery",
        )
    return condition


def properties(condition: Condition) -> set[str]:
    """The properties that a condition looks at."""
    return {each.name for each in _comparisons(condition)}


def matching(tenant: Tenant, condition: Condition) -> list[Person]:
    """The people for whom a condition holds, each once, in no particular order."""
    candidates = _candidates(tenant, condition)
    return [person for person in candidates if holds(person, condition)]


def holds(person: Person, condition: Condition) -> bool:
    """Whether a condition holds for a person."""
    if isinstance(condition, Joined):
        quantity = all if condition.every else any
        return quantity(holds(person, part) for part in condition.parts) != condition.negated
    own = _own(person, condition.name)
    if condition.how == "in":
        found = own in condition.values
    else:
        text = own if isinstance(own, str) else ""
        found = text.startswith(condition.values) if condition.how == "startswith" else text.endswith(condition.values)
    return found != condition.negated


def _own(person: Person, name: str) -> Any:
    """A person's property, text in lower case."""
    found = values(person)[name]
    return found.lower() if isinstance(found, str) else found


def _candidates(tenant: Tenant, condition: Condition) -> Iterable[Person]:
    """Everybody who may be meant: found by id or UPN where the condition names those, else all."""
    named = _named(tenant, condition)
    return tenant.people.values() if named is None else named.values()


def _named(tenant: Tenant, condition: Condition) -> dict[str, Person] | None:
    """The people that a condition names by id or UPN, by object id; None: it does not only do that."""
    if isinstance(condition, Comparison):
        index = {"id": tenant.people, "userPrincipalName": tenant.upns}.get(condition.name)
        if index is None or condition.how != "in" or condition.negated:
            return None
        return {index[value].oid: index[value] for value in condition.values if value in index}
    if condition.negated:
        return None
    found = [_named(tenant, part) for part in condition.parts]
    if condition.every:
        return next((each for each in found if each is not None), None)
    merged: dict[str, Person] = {}
    for each in found:
        if each is None:
            return None
        merged |= each
    return merged


def _comparisons(condition: Condition) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    else:
        for part in condition.parts:
            yield from _comparisons(part)


class _Parser:
    """Reads a filter from left to right."""

    def __init__(self, text: str, *, eventual: bool) -> None:
        self._text = text
        self._eventual = eventual
        self._tokens = list(self._split())
        self._depth = 0

    def whole(self) -> Condition:
        found = self._any()
        if self._tokens:
            raise self._not_understood()
        return found

    def _split(self) -> Iterator[str]:
        at = 0
        while self._text[at:].strip():
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise self._not_understood()
            yield found["text"] or found["word"] or found["sign"]
            at = found.end()

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), every=False)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), every=True)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise bad_request("Invalid filter clause: The node count limit has been exceeded.")
        found = self._negated() if self._take("not") else self._bracket() if self._take("(") else self._comparison()
        self._depth -= 1
        return found

    def _negated(self) -> Condition:
        self._demand_advanced("not")
        inner = self._one()
        return replace(inner, negated=not inner.negated)

    def _bracket(self) -> Condition:
        found = self._any()
        self._expect(")")
        return found

    def _comparison(self) -> Condition:
        word = self._next()
        if word.lower() in {"startswith", "endswith"}:
            return self._function(word.lower())
        name, operator = self._property(word), self._next().lower()
        if operator == "in":
            self._expect("(")
            values = [self._value()]
            while self._take(","):
                values.append(self._value())
            self._expect(")")
            return Comparison(name, tuple(values))
        if operator == "ne":
            self._demand_advanced("ne")
        elif operator != "eq":
            raise self._not_understood()
        return Comparison(name, (self._compared(name),), negated=operator == "ne")

    def _compared(self, name: str) -> Any:
        value = self._value()
        if isinstance(value, str) and len(value) > MOST_VALUE_CHARS and not self._eventual:
            raise _unsupported(name)
        return value

    def _function(self, how: str) -> Comparison:
        if how == "endswith":
            self._demand_advanced("endsWith")
        self._expect("(")
        name = self._property(self._next())
        self._expect(",")
        value = self._value()
        self._expect(")")
        if name in {"id", "accountEnabled"} or not isinstance(value, str):
            raise _unsupported(name)
        return Comparison(name, (value,), "endswith" if how == "endswith" else "startswith")

    def _property(self, word: str) -> str:
        name = _PROPERTIES.get(word.lower())
        if name is None:
            raise bad_request(
                f"Invalid filter clause: Could not find a property named '{word[:100]}' on type 'microsoft.graph.user'."
            )
        return name

    def _value(self) -> Any:
        token = self._next()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'").lower()
        if token.lower() in _WORDS:
            return _WORDS[token.lower()]
        raise self._not_understood()

    def _demand_advanced(self, operator: str) -> None:
        if not self._eventual:
            raise bad_request(
                f"Operator '{operator}' is not supported because the 'ConsistencyLevel:eventual' header is missing. "
                "Refer to https://aka.ms/graph-docs/advanced-queries for more information",
                "Request_UnsupportedQuery",
            )

    def _next(self) -> str:
        if not self._tokens:
            raise self._not_understood()
        return self._tokens.pop(0)

    def _take(self, wanted: str) -> bool:
        if self._tokens and self._tokens[0].lower() == wanted:
            del self._tokens[0]
            return True
        return False

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise self._not_understood()

    def _not_understood(self) -> GraphError:
        return bad_request(
            f"Invalid filter clause: There is an unterminated or unknown expression in '{self._text[:200]}'."
        )


def _unsupported(name: str) -> GraphError:
    return bad_request(
        f"Unsupported or invalid query filter clause specified for property '{name}' of resource 'User'.",
        "Request_UnsupportedQuery",
    )
