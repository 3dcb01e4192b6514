"""Paths below `/v1.0/`, and the errors for unknown ones.

not a version                     /v2.0/…, /beta/…
unknown                           /v1.0/mood, /users/{id}/mood      the segment is not one of Graph's
of Graph's, but not modelled      /groups, /users/{id}/manager, /users/{id}/presence/setPresence
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emulator.graph import errors
from emulator.graph.properties import HELD, RELATED, not_modelled

if TYPE_CHECKING:
    from emulator.exchange import Request
    from emulator.graph.errors import GraphError

PREFIX: Final = "/v1.0/"
BETA: Final = "/beta/"
"""Graph answers this path, also if one host serves all surfaces."""

_KEY = re.compile(r"([A-Za-z]+)\('((?:[^']|'')*)'\)")
_CALL = re.compile(r"([A-Za-z.]+)\(\)")
_WORDS: Final = {
    word.lower(): word
    for word in (
        "communications", "presences", "getPresencesByUserId", "users", "me", "presence", "subscriptions", "organization",
        "directoryObjects", "getByIds", "$batch", "$count", "delta", "reauthorize",
    )
}  # fmt: skip

# Further resources of v1.0: https://github.com/microsoftgraph/msgraph-metadata/blob/master/schemas/v1.0-Prod.csdl
_ROOTS: Final = {
    "applications", "auditlogs", "chats", "connections", "contacts", "contracts", "devicemanagement", "devices", "directory",
    "directoryroles", "domains", "drive", "drives", "education", "grouplifecyclepolicies", "groups", "groupsettings",
    "identity", "identitygovernance", "invitations", "oauth2permissiongrants", "organizationalbranding", "places", "planner",
    "policies", "print", "reports", "rolemanagement", "schemaextensions", "search", "security", "serviceprincipals", "shares",
    "sites", "subscribedskus", "teams", "teamstemplates", "teamwork", "tenantrelationships",
}  # fmt: skip
_OF_COMMUNICATIONS: Final = {"calls", "callrecords", "onlinemeetings", "onlinemeetingconversations", "adhoccalls"}
_OF_PRESENCE: Final = {
    "setpresence", "clearpresence", "setuserpreferredpresence", "clearuserpreferredpresence", "setstatusmessage",
    "setmanuallocation", "setautomaticlocation", "clearlocation", "clearautomaticlocation",
}  # fmt: skip
_OF_A_USER: Final = {
    "assignlicense", "changepassword", "checkmembergroups", "checkmemberobjects", "exportpersonaldata", "findmeetingtimes",
    "getmailtips", "getmembergroups", "getmemberobjects", "invalidateallrefreshtokens", "licensedetails", "restore",
    "retryserviceprovisioning", "revokesigninsessions", "sendmail", "translateexchangeids", "$ref",
    "wipemanagedappregistrationsbydevicetag",
}  # fmt: skip
_BELOW: Final = {
    "communications": _OF_COMMUNICATIONS, "users": {"getbyids", "validateproperties", "getavailableextensionproperties"},
    "directoryObjects": {"delta", "validateproperties", "getavailableextensionproperties"},
}  # fmt: skip


def segments(request: Request) -> list[str]:
    """Return the parts of a path; `users('x')` equals `users/x`. Graph's own words are case-insensitive.

    Raises:
        GraphError: 400, the path is not below /v1.0/.
    """
    if not request.path.startswith(PREFIX):
        raise _no_version(request.path.lstrip("/").partition("/")[0])
    found: list[str] = []
    path = request.path.removeprefix(PREFIX).strip("/")
    while path:
        key = _KEY.match(path)
        if key is not None and path[key.end() : key.end() + 1] in {"", "/"}:
            found += [_word(key[1]), key[2].replace("''", "'")]
            path = path[key.end() :].lstrip("/")
            continue
        segment, _, path = path.partition("/")
        if found == ["users"] and segment.startswith("$") and segment.lower() != "$count":
            raise _not_a_key(segment)
        found.append(_word(segment))
    return found


def leads_nowhere(path: list[str]) -> GraphError:
    """Return the error for an unknown path; it names the first segment that is wrong or not modelled."""
    match path:
        case []:
            return no_segment("")
        case ["users", _, *rest] | ["me", *rest]:
            return _of_a_user(path, rest)
        case ["communications", "presences", _, *rest]:
            return _of_presence(path, rest)
        case [("communications" | "directoryObjects") as first, second, *_]:
            return not_modelled(second) if second.lower() in _BELOW[first] else no_segment(second)
        case ["subscriptions" | "organization", _, third, *_]:
            return no_segment(third)
    return not_modelled(path[0]) if path[0].lower() in _ROOTS else no_segment(path[0])


def no_segment(name: str) -> GraphError:
    """Return the error for a segment that does not exist in Graph."""
    return errors.bad_request(f"Resource not found for the segment '{name[:100]}'.")


def _of_a_user(path: list[str], rest: list[str]) -> GraphError:
    if rest[:1] == ["presence"]:
        return _of_presence(path, rest[1:])
    if not rest:
        return no_segment(path[-1])
    name = rest[0].lower()
    exists = name in HELD or name in RELATED or name in _OF_A_USER
    return not_modelled(rest[0]) if exists else no_segment(rest[0])


def _of_presence(path: list[str], rest: list[str]) -> GraphError:
    if not rest:  # supported presence paths are routed before
        return no_segment("presence" if "presence" in path else "presences")
    return not_modelled(rest[0]) if rest[0].lower() in _OF_PRESENCE else no_segment(rest[0])


def _no_version(name: str) -> GraphError:
    if name.lower() == "beta":
        return errors.bad_request("Microsoft Graph has '/beta', but it is not modelled here: use '/v1.0'.")
    return errors.bad_request(f"Invalid version: {name[:100]}.")


def _not_a_key(segment: str) -> GraphError:
    """Return the error for a key that begins with `$`; such a UPN is written `users('$…')`: https://learn.microsoft.com/graph/api/user-get"""
    return errors.bad_request(f"The request URI is not valid: the segment '{segment[:100]}' must not begin with '$'.")


def _word(segment: str) -> str:
    call = _CALL.fullmatch(segment)  # `delta()` is how SDKs write `delta`
    name = (call[1] if call is not None else segment).removeprefix("microsoft.graph.")
    return _WORDS.get(name.lower(), name)
