"""The properties of a user, by Graph's names: modelled ones, and known ones that are always empty."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emulator.graph.errors import GraphError, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emulator.world import Person

DEFAULT_FIELDS: Final = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName", "id",
)  # fmt: skip
"""https://learn.microsoft.com/graph/api/user-get"""
BASIC_FIELDS: Final = frozenset(
    {"displayName", "givenName", "surname", "mail", "userPrincipalName", "id", "securityIdentifier"}
)
"""The properties that `User.ReadBasic.All` covers: https://learn.microsoft.com/graph/permissions-reference#userreadbasicall"""
SINGLE_USER_FIELDS: Final = frozenset(
    {
        "aboutMe", "birthday", "hireDate", "interests", "mailboxSettings", "mySite", "pastProjects", "preferredName",
        "responsibilities", "schools", "skills",
    }
)  # fmt: skip
"""The properties that a list does not return: https://learn.microsoft.com/graph/api/user-list#optional-query-parameters"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property of `user`. `kind`: text, boolean, number, date, complex; relation, to other resources."""

    name: str
    kind: str
    many: bool

    @property
    def nothing(self) -> list[Any] | None:
        """Return the empty value of the property."""
        return [] if self.many else None


def _properties() -> Iterator[Property]:
    groups = tomllib.loads((Path(__file__).parent / "user.toml").read_text())
    for many, group in ((False, groups["single"]), (True, groups["many"])):
        for kind, names in group.items():
            yield from (Property(name=name, kind=kind, many=many) for name in names)
    for number, names in groups["relations"].items():
        yield from (Property(name=name, kind="relation", many=number == "many") for name in names)


_ALL: Final = {each.name.lower(): each for each in _properties()}
HELD: Final = {key: each for key, each in _ALL.items() if each.kind != "relation"}
"""All properties of a user except relations, by name in lower case."""
RELATED: Final = {key: each for key, each in _ALL.items() if each.kind == "relation"}
"""All relations of a user, by name in lower case. Only presence is modelled, under its own path."""
KNOWN: Final = {key: each.name for key, each in HELD.items()}
"""All properties that can be selected: name in lower case -> name."""


def values(person: Person) -> dict[str, Any]:
    """Return all modelled properties of a person."""
    given, _, surname = person.display_name.partition(" ")
    mail = person.home or person.upn
    return {
        "businessPhones": [], "displayName": person.display_name, "givenName": given, "jobTitle": None,
        "mail": mail, "mobilePhone": None, "officeLocation": None, "preferredLanguage": None,
        "surname": surname or None, "userPrincipalName": person.upn, "id": person.oid,
        "userType": "Guest" if person.home else "Member", "accountEnabled": person.enabled,
        "mailNickname": person.upn.partition("@")[0], "proxyAddresses": [f"SMTP:{mail}"],
        "identities": [
            {"signInType": "userPrincipalName", "issuer": person.tenant.domain, "issuerAssignedId": person.upn}
        ],
    }  # fmt: skip


def value_of(own: Mapping[str, Any], name: str) -> Any:
    """Return a property from `values`; for unmodelled ones null, or an empty collection."""
    return own[name] if name in own else _ALL[name.lower()].nothing


def not_modelled(what: str) -> GraphError:
    """Return the error for a feature of Graph that the emulator does not have."""
    return bad_request(f"'{what[:100]}' exists in Microsoft Graph, but is not modelled here.")
