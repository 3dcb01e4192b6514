"""The rest of Graph's directory: the cost of calls, the organisation, objects by their ids."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.exchange import json_answer
from emulator.graph.access import RequiredPermission, demand
from emulator.graph.errors import GraphError, bad_request
from emulator.graph.presences import GUID
from emulator.graph.properties import DEFAULT_FIELDS, values

if TYPE_CHECKING:
    from emulator.exchange import Answer, Request
    from emulator.graph.access import Caller

MOST_IDS: Final = 1000
"""https://learn.microsoft.com/graph/api/directoryobject-getbyids"""
_SMALL_PAGE: Final = 20

_DIRECTORY: Final = ("Directory.Read.All", "Directory.ReadWrite.All")
_WHOLE: Final = RequiredPermission(delegated=_DIRECTORY, application=_DIRECTORY)
_NAMES_ONLY: Final = RequiredPermission(
    delegated=("User.ReadBasic.All", "User.Read.All", *_DIRECTORY), application=("User.Read.All", *_DIRECTORY)
)
# https://learn.microsoft.com/graph/api/organization-get, and the longer list of
# https://github.com/microsoftgraph/microsoft-graph-devx-content/blob/master/permissions/new/permissions.json
_ORGANIZATION_READ: Final = ("Organization.Read.All", "Organization.ReadWrite.All", "User.Read.All", *_DIRECTORY)
_ORGANIZATION: Final = RequiredPermission(delegated=("User.Read", *_ORGANIZATION_READ), application=_ORGANIZATION_READ)


class _Wanted(msgspec.Struct):
    ids: list[str]
    types: list[str] = []


_decoder = msgspec.json.Decoder(_Wanted)


def cost(request: Request, base: int) -> int:
    """Return the resource units of a call. https://learn.microsoft.com/graph/throttling-limits#identity-and-access-service-limits"""
    asked = request.queries()
    top = asked.get("$top", "")
    small = top.isascii() and top.isdecimal() and len(top) < len(str(_SMALL_PAGE)) + 1 and int(top) < _SMALL_PAGE
    return max(1, base - ("$select" in asked) + ("$expand" in asked) - small)


def organization(request: Request, caller: Caller, which: list[str]) -> Answer:
    """Return the tenant itself, as a list of one or by its id.

    Raises:
        GraphError: 404, the id is another tenant's.
    """
    demand(caller, _ORGANIZATION)
    tenant = caller.tenant
    told: dict[str, Any] = {
        "id": tenant.tenant_id, "displayName": tenant.name, "tenantType": "AAD",
        "verifiedDomains": [
            {"capabilities": "Email, OfficeCommunicationsOnline", "isDefault": True, "isInitial": True,
             "name": tenant.domain, "type": "Managed"}
        ],
    }  # fmt: skip
    context = f"{request.base}/v1.0/$metadata#organization"
    if not which:
        return json_answer({"@odata.context": context, "value": [told]})
    if which[0].lower() != tenant.tenant_id.lower():
        text = f"Resource '{which[0][:200]}' does not exist or one of its queried reference-property objects are not present."
        raise GraphError(404, "Request_ResourceNotFound", text)
    return json_answer({"@odata.context": f"{context}/$entity", **told})


def get_by_ids(request: Request, caller: Caller) -> Answer:
    """Return objects by their GUIDs, without unknown ones. With less than Directory.Read.All, only their types.

    Raises:
        GraphError: 400, the body is invalid, names too many ids, or contains an id that is not a GUID.
    """
    demand(caller, _NAMES_ONLY)
    wanted = _read(request)
    types = {name.lower() for name in wanted.types} or {"directoryobject"}
    people = caller.tenant.people if types & {"user", "directoryobject"} else {}
    found = [people[key] for key in dict.fromkeys(str(uuid.UUID(each)) for each in wanted.ids) if key in people]
    whole = caller.may(_WHOLE)
    fields = DEFAULT_FIELDS if whole else ("id",)
    told = [{"@odata.type": "#microsoft.graph.user", **_only(values(person), fields)} for person in found]
    return json_answer({"@odata.context": f"{request.base}/v1.0/$metadata#directoryObjects", "value": told})


def _only(own: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: own[name] for name in fields}


def _read(request: Request) -> _Wanted:
    try:
        wanted = _decoder.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error
    if len(wanted.ids) > MOST_IDS:
        raise bad_request(
            f"Too many ids are specified: {len(wanted.ids)}. Max allowed: {MOST_IDS}.", "Request_BadRequest"
        )
    for each in wanted.ids:
        if not GUID.fullmatch(each):
            raise bad_request(f"Invalid GUID:{each[:100]}", "Request_BadRequest")
    return wanted
