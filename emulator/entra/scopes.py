"""Scopes in requests, and Graph's permissions."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from emulator.entra.refusals import RESOURCE_UNKNOWN, SCOPE, SCOPE_MIXED, SCOPE_OF_SEVERAL, Refused
from emulator.entra.tokens import GRAPH_ID
from emulator.hosts import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emulator.world import Application

OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})
DEFAULT: Final = ".default"


class DelegatedPermission(NamedTuple):
    """One of Graph's delegated permissions: its text on the consent page, and whether it needs an administrator."""

    text: str
    admin: bool


class _Permissions(msgspec.Struct, forbid_unknown_fields=True):
    users: dict[str, str]
    administrators: dict[str, str]


def _permissions() -> dict[str, DelegatedPermission]:
    raw = files("emulator.entra").joinpath("permissions.toml").read_bytes()
    read_ = msgspec.toml.decode(raw, type=_Permissions)
    everybodys = {name: DelegatedPermission(text, admin=False) for name, text in read_.users.items()}
    return everybodys | {name: DelegatedPermission(text, admin=True) for name, text in read_.administrators.items()}


PERMISSIONS: Final[dict[str, DelegatedPermission]] = _permissions()
"""permissions.toml: name in Graph's spelling -> permission. A sign-in can request any of them, registered or not:
https://learn.microsoft.com/entra/identity-platform/permissions-consent-overview"""
APP_ROLES: Final[dict[str, str]] = {
    "Presence.Read.All": "Read presence information for all users",
    "Presence.ReadWrite.All": "Read and write presence information for all users",
    "User.ReadBasic.All": "Read all users' basic profiles",
    "User.Read.All": "Read all users' full profiles",
    "Directory.Read.All": "Read directory data",
    "Organization.Read.All": "Read organization information",
}
"""Application permissions: name -> text on the consent page. All need an administrator."""
SIGN_IN_SCOPES: Final[dict[str, str]] = {
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    "offline_access": "Maintain access to data you have given it access to",
}

UNREGISTERED: Final = (
    "Presence.Read", "Presence.Read.All", "User.Read", "User.ReadBasic.All", "User.Read.All", "Directory.Read.All",
)  # fmt: skip
"""The permissions of `.default` when a registration names no delegated permission."""

_CANONICAL: Final = {name.lower(): name for name in PERMISSIONS}
_GRAPH_NAMES: Final = {"", GRAPH_ID, *(f"https://{cloud.graph}" for cloud in CLOUDS.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedScopes:
    """The permissions and the resource in a request's scopes.

    Attributes:
        permissions: Graph's delegated permissions.
        own: whether the scopes request a token for the application itself.
        default: whether the scope was `.default`: all registered permissions.
    """

    permissions: set[str]
    own: bool = False
    default: bool = False


def split(text: str) -> list[str]:
    """Return the scopes of a request, in order, each once."""
    return list(dict.fromkeys(text.split()))


def permissions(scopes: list[str], application: Application) -> set[str]:
    """Return Graph's permissions among the scopes; see `read`."""
    return read(scopes, application).permissions


def read(scopes: list[str], application: Application, *, single: bool = False) -> RequestedScopes:
    """Parse scopes; a scope without a resource is Graph's.

    Args:
        scopes: the scopes as sent; those of OpenID Connect imply no resource.
        application: the application that sends them.
        single: whether they may be of one resource only, as at the token endpoint.

    Raises:
        Refused: there is no such resource or permission, or they cannot be combined.
    """
    parts = [_part(scope, application) for scope in scopes if scope.lower() not in OPENID]
    own = any(is_own for is_own, _ in parts)
    if single and own and not all(is_own for is_own, _ in parts):
        raise Refused(SCOPE_OF_SEVERAL, name=" ".join(scopes))
    default = any(name.lower() == DEFAULT for _, name in parts)
    if default and len(parts) > 1:
        raise Refused(SCOPE_MIXED)
    if default and not own:
        return RequestedScopes(permissions=registered(application), default=True)
    found = {_permission(name) for is_own, name in parts if not is_own}
    return RequestedScopes(permissions=found, own=own, default=default)


def registered(application: Application) -> set[str]:
    """Return the registered delegated Graph permissions of an application, which `.default` requests."""
    return set(application.scopes or UNREGISTERED)


def known(names: Iterable[str]) -> set[str]:
    """Return the names that are Graph's permissions, in Graph's spelling."""
    return {_CANONICAL[name.lower()] for name in names if name.lower() in _CANONICAL}


def of_openid(scopes: Iterable[str]) -> frozenset[str]:
    """Return the scopes that are OpenID Connect's, in lower case."""
    return OPENID & {scope.lower() for scope in scopes}


def scope_text(asked: Sequence[str], granted: set[str], openid: Iterable[str]) -> str:
    """Return the scopes for an answer, in a form that MSAL's cache finds again.

    Graph's scopes are returned as requested. Permissions granted before follow, named with the requested resource: "it's
    possible for `scope` to contain others previously granted to the application",
    https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc

    Args:
        asked: the scopes of the request.
        granted: Graph's permissions.
        openid: the scopes of OpenID Connect that were granted.
    """
    lower = {DEFAULT, *(name.lower() for name in granted)}
    graph = [scope for scope in asked if scope.rpartition("/")[2].lower() in lower]
    named = {scope.rpartition("/")[2].lower() for scope in graph}
    resource = next((scope.rpartition("/")[0] + "/" for scope in graph if "/" in scope), "")
    before = [f"{resource}{name}" for name in sorted(granted) if name.lower() not in named]
    return " ".join(
        [*graph, *before, *(name for name in SIGN_IN_SCOPES if name in openid and name != "offline_access")]
    )


def _part(scope: str, application: Application) -> tuple[bool, str]:
    """Return whether a scope's resource is the application itself, and the scope's name."""
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
