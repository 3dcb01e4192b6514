"""`$filter` over users: `eq`, `in`, `ge`, `le`, `startswith`, `any`, `and`, `or`, brackets; and operators of advanced queries.

userPrincipalName in ('a@b.c','o''brien@b.c')      id eq '…' or (mail eq '…' and startswith(displayName,'A'))
identities/any(c:c/issuerAssignedId eq 'a@b.c' and c/issuer eq 'b.c')

Only advanced queries have `ne`, `not` and `endswith`. Every property of `user` is known; unmodelled ones are null or empty.

https://learn.microsoft.com/graph/aad-advanced-queries
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from emulator.graph.errors import GraphError, bad_request
from emulator.graph.properties import HELD, RELATED, not_modelled, value_of, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emulator.graph.properties import Property
    from emulator.world import Person, Tenant

MOST_EXPRESSIONS: Final = 15
"""https://developer.microsoft.com/graph/known-issues, id 13635"""
MOST_VALUE_CHARS: Final = 120
"""Of `eq`: https://learn.microsoft.com/graph/aad-advanced-queries"""
MOST_ADVANCED_CHARS: Final = 2048
"""Advanced queries have no limit on expressions, but one on the length of the address; here, on the filter."""
_DEEPEST: Final = 20

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<literal>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|-?\d[\w:.+-]*)"
    r"|(?P<word>[A-Za-z_][\w/$]*)|(?P<sign>[(),:]))"
)
_WORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of one property: it must equal, begin with or end with one of the values (text in lower case), or none.

    `ge` and `le` have one value. Within `any`, the name is a property of the element; empty: the element itself.
    """

    name: str
    values: tuple[Any, ...]
    how: Literal["in", "startswith", "endswith", "ge", "le"] = "in"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """Several conditions; all or any must hold."""

    parts: tuple[Condition, ...]
    every: bool
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Having:
    """A collection with an element that meets a condition; None: with any element."""

    name: str
    condition: Condition | None
    negated: bool = False


Condition = Comparison | Joined | Having


def parse(text: str, *, eventual: bool = False) -> Condition:
    """Return the condition of a filter; `eventual`: the request is for an advanced query.

    Raises:
        GraphError: 400, the filter cannot be parsed, has too many expressions, or needs an advanced query.
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
    """Return the properties that a condition uses."""
    if isinstance(condition, Joined):
        return {name for part in condition.parts for name in properties(part)}
    return {condition.name}


def matching(tenant: Tenant, condition: Condition) -> list[Person]:
    """Return the people that meet a condition, each once, in no particular order."""
    candidates = _candidates(tenant, condition)
    return [person for person in candidates if holds(values(person), condition)]


def holds(own: Mapping[str, Any], condition: Condition) -> bool:
    """Return whether a condition holds for a person's `values`, or for an element of a collection."""
    if isinstance(condition, Joined):
        quantity = all if condition.every else any
        return quantity(holds(own, part) for part in condition.parts) != condition.negated
    if isinstance(condition, Having):
        return _has(value_of(own, condition.name), condition.condition) != condition.negated
    return _compares(_value_in(own, condition.name), condition) != condition.negated


def _has(elements: Iterable[Any], condition: Condition | None) -> bool:
    """Return whether an element meets a condition; an element that is a plain value is its own property, without a name."""
    return any(
        condition is None or holds(each if isinstance(each, dict) else {"": each}, condition) for each in elements
    )


def _compares(own: Any, condition: Comparison) -> bool:
    match condition.how:
        case "in":
            return own in condition.values
        case "startswith":
            return isinstance(own, str) and own.startswith(condition.values)
        case "endswith":
            return isinstance(own, str) and own.endswith(condition.values)
    (other,) = condition.values
    return isinstance(own, str) and (own >= other if condition.how == "ge" else own <= other)


def _value_in(own: Mapping[str, Any], name: str) -> Any:
    """Return a property, text in lower case; unmodelled ones are null."""
    found = own.get(name)
    return found.lower() if isinstance(found, str) else found


def _candidates(tenant: Tenant, condition: Condition) -> Iterable[Person]:
    """Return the candidates for a condition: by id or UPN if the condition names those, otherwise all people."""
    named = _named(tenant, condition)
    return tenant.people.values() if named is None else named.values()


def _named(tenant: Tenant, condition: Condition) -> dict[str, Person] | None:
    """Return the people that a condition names by id or UPN, by object id; None if it has other criteria."""
    if isinstance(condition, Comparison):
        index = {"id": tenant.people, "userPrincipalName": tenant.upns}.get(condition.name)
        if index is None or condition.how != "in" or condition.negated:
            return None
        return {index[value].oid: index[value] for value in condition.values if value in index}
    if condition.negated or isinstance(condition, Having):
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
    elif isinstance(condition, Having):
        yield from _comparisons(condition.condition) if condition.condition is not None else ()
    else:
        for part in condition.parts:
            yield from _comparisons(part)


class _Parser:
    """Parses a filter from left to right."""

    def __init__(self, text: str, *, eventual: bool) -> None:
        self._text = text
        self._eventual = eventual
        self._tokens = list(self._split())
        self._depth = 0
        self._element = ""  # the name of the element within `any`; empty: outside

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
            yield found[found.lastgroup or 0].strip()
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
        if word.lower().endswith("/any") and not self._element:
            return self._some(word[: -len("/any")])
        name, operator = self._property(word), self._next().lower()
        if operator == "in":
            self._expect("(")
            values = [self._value()]
            while self._take(","):
                values.append(self._value())
            self._expect(")")
            return Comparison(name, tuple(values))
        if operator in {"ge", "le"}:
            return self._bounded(name, "ge" if operator == "ge" else "le")
        if operator == "ne":
            self._demand_advanced("ne")
        elif operator != "eq":
            raise self._not_understood()
        return Comparison(name, (self._compared(name),), negated=operator == "ne")

    def _bounded(self, name: str, how: Literal["ge", "le"]) -> Comparison:
        value = self._compared(name)
        if not isinstance(value, str):
            raise _unsupported(name)
        return Comparison(name, (value,), how)

    def _some(self, word: str) -> Having:
        """Parse `any(x:…)`, or `any()`, of a collection."""
        found = _of_user(word)
        if not found.many:
            raise _unsupported(found.name)
        self._expect("(")
        if self._take(")"):
            return Having(found.name, None)
        self._element = self._next()
        self._expect(":")
        inner = self._any()
        self._expect(")")
        self._element = ""
        return Having(found.name, inner)

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
        """Return the property that a word names: of a user, or within `any` of an element."""
        if self._element:
            element, _, name = word.partition("/")
            if element != self._element or "/" in name:
                raise self._not_understood()
            return name
        found = _of_user(word)
        if found.many or found.kind == "complex":
            raise _unsupported(found.name)
        return found.name

    def _value(self) -> Any:
        token = self._next()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'").lower()
        if token.lower() in _WORDS:
            return _WORDS[token.lower()]
        if token[0].isdigit() or "-" in token:  # a date, a number or a GUID
            return token.lower()
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


def _of_user(word: str) -> Property:
    """Return the property of a user that a word names.

    Raises:
        GraphError: 400, there is no such property, or it is not modelled.
    """
    name, _, inner = word.partition("/")
    found = HELD.get(name.lower())
    if name.lower() in RELATED or (found is not None and inner):
        raise not_modelled(word)
    if found is None:
        raise bad_request(
            f"Invalid filter clause: Could not find a property named '{word[:100]}' on type 'microsoft.graph.user'."
        )
    return found


def _unsupported(name: str) -> GraphError:
    return bad_request(
        f"Unsupported or invalid query filter clause specified for property '{name}' of resource 'User'.",
        "Request_UnsupportedQuery",
    )
