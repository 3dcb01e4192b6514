"""Scopes as applications write them, and Graph's permissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emulator.entra.refusals import (
    RESOURCE_UNKNOWN,
    SCOPE,
    SCOPE_MIXED,
    SCOPE_NOT_REGISTERED,
    SCOPE_OF_SEVERAL,
    Refused,
)
from emulator.entra.tokens import GRAPH_ID
from emulator.hosts import CLOUDS
from emulator.world import Application

OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})
DEFAULT: Final = ".default"

# https://learn.microsoft.com/graph/permissions-reference: name -> (what the consent page says, needs an administrator)
PERMISSIONS: Final[dict[str, tuple[str, bool]]] = {
    "Presence.Read": ("Read your presence information", False),
    "Presence.Read.All": ("Read presence information of all users in your organization", False),
    "User.Read": ("Sign you in and read your profile", False),
    "User.ReadBasic.All": ("Read all users' basic profiles", False),
    "User.Read.All": ("Read all users' full profiles", True),
    "Directory.Read.All": ("Read directory data", True),
}
APP_ROLES: Final[dict[str, str]] = {
    "Presence.Read.All": "Read presence information for all users",
    "Presence.ReadWrite.All": "Read and write presence information for all users",
    "User.ReadBasic.All": "Read all users' basic profiles",
    "User.Read.All": "Read all users' full profiles",
    "Directory.Read.All": "Read directory data",
    "Organization.Read.All": "Read organization information",
}
"""Application permissions: name -> what the consent page says. All need an administrator."""
SIGN_IN_SCOPES: Final[dict[str, str]] = {
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    "offline_access": "Maintain access to data you have given it access to",
}

_CANONICAL: Final = {name.lower(): name for name in PERMISSIONS}
_GRAPH_NAMES: Final = {"", GRAPH_ID, *(f"https://{cloud.graph}" for cloud in CLOUDS.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request's scopes ask for.

    Attributes:
        permissions: Graph's delegated permissions.
        own: whether a token for the application itself is among it.
        default: whether it was `.default`: everything that the application is registered for.
    """

    permissions: set[str]
    own: bool = False
    default: bool = False


def split(text: str) -> list[str]:
    """The scopes of a request, in order, each once."""
    return list(dict.fromkeys(text.split()))


def permissions(scopes: list[str], application: Application) -> set[str]:
    """Graph's permissions among the scopes; see `read`."""
    return read(scopes, application).permissions


def read(scopes: list[str], application: Application, *, single: bool = False) -> Asked:
    """What the scopes ask for; a scope without a resource before it is Graph's.

    Args:
        scopes: as they were sent; those of OpenID Connect say nothing about a resource.
        application: who asks.
        single: whether they may be of one resource only, as at the token endpoint.

    Raises:
        Refused: there is no such resource or permission, or the application is not registered for it, or they do not go
            together.
    """
    parts = [_part(scope, application) for scope in scopes if scope.lower() not in OPENID]
    own = any(is_own for is_own, _ in parts)
    if single and own and not all(is_own for is_own, _ in parts):
        raise Refused(SCOPE_OF_SEVERAL, name=" ".join(scopes))
    default = any(name.lower() == DEFAULT for _, name in parts)
    if default and len(parts) > 1:
        raise Refused(SCOPE_MIXED)
    if default and not own:
        return Asked(permissions=registered(application), default=True)
    found = {_permission(name) for is_own, name in parts if not is_own}
    if found - registered(application):
        missing = ", ".join(sorted(found - registered(application)))
        raise Refused(SCOPE_NOT_REGISTERED, name=missing, client=application.client_id)
    return Asked(permissions=found, own=own, default=default)


def registered(application: Application) -> set[str]:
    """Graph's delegated permissions that an application may ask for."""
    return set(application.scopes or PERMISSIONS)


def _part(scope: str, application: Application) -> tuple[bool, str]:
    """A scope's resource (whether it is the application itself) and name."""
    resource, _, name = scope.rpartition("/")
    resource = resource.rstrip("/").lower()
    if resource in _GRAPH_NAMES:
        return False, name
    client_id = application.client_id.lower()
    if resource not in {client_id, f"api://{client_id}"}:
        raise Refused(RESOURCE_UNKNOWN, name=resource[:200])
    if name.lower() != DEFAULT:
        raise Refused(SCOPE, name=scope[:200])
    return True, name


def _permission(name: str) -> str:
    known = _CANONICAL.get(name.lower())
    if known is None:
        raise Refused(SCOPE, name=name[:200])
    return known
