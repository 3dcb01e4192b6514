"""The part of `$filter` that is understood: `eq`, `in`, `startswith` and `or` over a few properties of users.

userPrincipalName in ('a@b.c','o''brien@b.c')      id eq '…' or mail eq '…'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emulator.graph.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.world import Person, Tenant

MOST_EXPRESSIONS: Final = 15
"""https://developer.microsoft.com/graph/known-issues, id 13635"""

_STRING = r"'(?:[^']|'')*'"
_IN = re.compile(rf"\s*(\w+)\s+in\s*\(\s*({_STRING}(?:\s*,\s*{_STRING})*)\s*\)\s*", re.IGNORECASE)
_EQ = re.compile(rf"\s*(\w+)\s+eq\s+({_STRING})\s*", re.IGNORECASE)
_STARTS = re.compile(rf"\s*startswith\(\s*(\w+)\s*,\s*({_STRING})\s*\)\s*", re.IGNORECASE)
_OR = re.compile(r"or\b", re.IGNORECASE)
_VALUE = re.compile(_STRING)
_PROPERTIES: Final = {"id", "userprincipalname", "mail", "displayname"}


class Clause(NamedTuple):
    """One property and the values, in lower case, of which it must be (or begin with) one."""

    name: str
    values: tuple[str, ...]
    begins: bool = False


def parse(text: str) -> list[Clause]:
    """The clauses of a filter, any of which may hold.

    Raises:
        GraphError: 400, it cannot be understood or has too many expressions.
    """
    clauses: list[Clause] = []
    at = 0
    while True:
        clause, at = _clause(text, at)
        clauses.append(clause)
        if at >= len(text):
            break
        joined = _OR.match(text, at)
        if joined is None:
            raise _not_understood(text)
        at = joined.end()
    count = sum(len(clause.values) for clause in clauses)
    if count > MOST_EXPRESSIONS:
        raise bad_request(
            "Too many child clauses specified in search filter expression containing 'OR' operators: "
            f"{count}. Max allowed: {MOST_EXPRESSIONS}.",
            "Request_UnsupportedQuery",
        )
    return clauses


def matching(tenant: Tenant, clauses: Sequence[Clause]) -> list[Person]:
    """The people whom the clauses find, each once, in no particular order."""
    found: dict[str, Person] = {}
    for clause in clauses:
        for person in _people(tenant, clause):
            found[person.oid] = person
    return list(found.values())


def _clause(text: str, at: int) -> tuple[Clause, int]:
    for pattern, begins in ((_IN, False), (_EQ, False), (_STARTS, True)):
        found = pattern.match(text, at)
        if found is None:
            continue
        name = found.group(1).lower()
        if name not in _PROPERTIES:
            raise bad_request(
                f"Invalid filter clause: Could not find a property named '{found.group(1)}' on type 'microsoft.graph.user'."
            )
        values = tuple(value[1:-1].replace("''", "'").lower() for value in _VALUE.findall(found.group(2)))
        return Clause(name, values, begins), found.end()
    raise _not_understood(text)


def _not_understood(text: str) -> Exception:
    return bad_request(f"Invalid filter clause: There is an unterminated or unknown expression in '{text[:200]}'.")


def _people(tenant: Tenant, clause: Clause) -> list[Person]:
    """The people of one clause; ids and whole UPNs are looked up, everything else is searched for."""
    if not clause.begins and clause.name in {"id", "userprincipalname", "mail"}:
        index = tenant.people if clause.name == "id" else tenant.upns
        return [index[value] for value in clause.values if value in index]
    return [person for person in tenant.people.values() if _holds(person, clause)]


def _holds(person: Person, clause: Clause) -> bool:
    own = {"id": person.oid, "displayname": person.display_name}.get(clause.name, person.upn).lower()
    return own.startswith(clause.values) if clause.begins else own in clause.values
