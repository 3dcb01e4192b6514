"""What the directory knows of a person, by the names that Graph has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from emulator.world import Person

DEFAULT_FIELDS: Final = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName", "id",
)  # fmt: skip
"""https://learn.microsoft.com/graph/api/user-get"""
BASIC_FIELDS: Final = frozenset({"displayName", "givenName", "surname", "mail", "userPrincipalName", "id"})
"""What `User.ReadBasic.All` covers: https://learn.microsoft.com/graph/permissions-reference#userreadbasicall"""
KNOWN: Final = {name.lower(): name for name in (*DEFAULT_FIELDS, "userType", "accountEnabled")}
"""Every property in lower case -> its name."""


def values(person: Person) -> dict[str, Any]:
    """Everything that there is of a person."""
    given, _, surname = person.display_name.partition(" ")
    return {
        "businessPhones": [], "displayName": person.display_name, "givenName": given, "jobTitle": None,
        "mail": person.home or person.upn, "mobilePhone": None, "officeLocation": None, "preferredLanguage": None,
        "surname": surname or None, "userPrincipalName": person.upn, "id": person.oid,
        "userType": "Guest" if person.home else "Member", "accountEnabled": person.enabled,
    }  # fmt: skip
