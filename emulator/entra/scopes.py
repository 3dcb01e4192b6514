"""Scopes as applications write them, and Graph's delegated permissions."""

from __future__ import annotations

from typing import Final

from emulator.entra.refusals import SCOPE, SCOPE_NOT_REGISTERED, Refused
from emulator.world import Application

OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})

# https://learn.microsoft.com/graph/permissions-reference: name -> (what the consent page says, needs an administrator)
PERMISSIONS: Final[dict[str, tuple[str, bool]]] = {
    "Presence.Read": ("Read your presence information", False),
    "Presence.Read.All": ("Read presence information of all users in your organization", False),
    "User.Read": ("Sign you in and read your profile", False),
    "User.ReadBasic.All": ("Read all users' basic profiles", False),
    "User.Read.All": ("Read all users' full profiles", True),
    "Directory.Read.All": ("Read directory data", True),
}
_CANONICAL: Final = {name.lower(): name for name in PERMISSIONS}


def split(text: str) -> list[str]:
    """The scopes of a request, in order, each once."""
    return list(dict.fromkeys(text.split()))


def permission(scope: str) -> str:
    """Graph's permission that a scope asks for, without the resource before it.

    Raises:
        Refused: Graph has no such permission.
    """
    name = _CANONICAL.get(scope.rpartition("/")[2].lower())
    if name is None:
        raise Refused(SCOPE, name=scope)
    return name


def permissions(scopes: list[str], application: Application) -> set[str]:
    """Graph's permissions among the scopes; `.default` means all that the application is registered for.

    Raises:
        Refused: there is no such permission, or the application is not registered for it.
    """
    registered = set(application.scopes or PERMISSIONS)
    found: set[str] = set()
    for scope in scopes:
        if scope.rpartition("/")[2].lower() == ".default":
            found |= registered
        elif scope.lower() not in OPENID:
            found.add(permission(scope))
    if found - registered:
        raise Refused(SCOPE_NOT_REGISTERED, name=", ".join(sorted(found - registered)))
    return found
