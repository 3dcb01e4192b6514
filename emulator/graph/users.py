"""Users: one by id or UPN, many by filter, paged and counted, each with the properties that the caller may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emulator.exchange import Answer, json_answer
from emulator.graph import filters, queries
from emulator.graph.access import RequiredPermission, demand, signed_in
from emulator.graph.errors import GraphError, bad_request
from emulator.graph.properties import BASIC_FIELDS, DEFAULT_FIELDS, KNOWN, SINGLE_USER_FIELDS, value_of, values

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.graph.access import Caller
    from emulator.world import Person

# https://learn.microsoft.com/graph/api/user-list and https://learn.microsoft.com/graph/api/user-get
_FULL: Final = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
_FULL_READ: Final = RequiredPermission(delegated=_FULL, application=_FULL)
_READ: Final = RequiredPermission(delegated=("User.ReadBasic.All", *_FULL), application=_FULL)
_READ_ADMITTED: Final = RequiredPermission(
    delegated=("User.ReadBasic.All", *_FULL), application=("User.ReadBasic.All", *_FULL)
)
_READ_OWN: Final = RequiredPermission(delegated=("User.Read", "User.ReadWrite", "User.ReadBasic.All", *_FULL))


def me(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """Answer `/me`: the signed-in user."""
    return _told(cloud, request, caller, signed_in(caller), _READ_OWN)


def one(cloud: Cloud, request: Request, caller: Caller, who: str) -> Answer:
    """Return one user, by id or UPN.

    Raises:
        GraphError: 404, there is no such user.
    """
    person = caller.tenant.find(who)
    if person is not None and person is caller.person:
        return _told(cloud, request, caller, person, _READ_OWN)
    demand(caller, _reading(cloud))
    if person is None:
        raise not_found(who)
    return _told(cloud, request, caller, person, _reading(cloud))


def many(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """Return users by filter or search, or all users, a page at a time."""
    demand_many(cloud, caller)
    asked = queries.read(request, KNOWN, DEFAULT_FIELDS)
    if not SINGLE_USER_FIELDS.isdisjoint(asked.fields):
        raise GraphError(501, "NotImplemented", "This operation target is not yet supported.")
    found = _found(caller, asked)
    body: dict[str, Any] = {"@odata.context": f"{request.base}/v1.0/$metadata#users{asked.shown}"}
    if asked.counted and asked.eventual:
        body["@odata.count"] = len(found)
    end = asked.begin + asked.top
    if end < len(found):
        body["@odata.nextLink"] = f"{request.base}/v1.0/users?{asked.following(end)}"
    body["value"] = [seen(cloud, caller, person, asked.fields) for person in found[asked.begin : end]]
    return json_answer(body)


def count(cloud: Cloud, request: Request, caller: Caller) -> Answer:
    """Answer `/users/$count`: the number of users as plain text."""
    demand_many(cloud, caller)
    asked = queries.read(request, KNOWN, DEFAULT_FIELDS)
    if not asked.eventual:
        raise bad_request("$count is not currently supported.", "Request_BadRequest")
    return Answer(200, str(len(_found(caller, asked))).encode(), b"text/plain")


def not_found(who: str) -> GraphError:
    """Return the error for an unknown user."""
    text = f"Resource '{who[:200]}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", text)


def demand_many(cloud: Cloud, caller: Caller) -> None:
    """Check that the caller may list users; guests may not: https://learn.microsoft.com/graph/api/user-list"""
    demand(caller, _reading(cloud))
    if not caller.is_app and caller.person.home:
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _reading(cloud: Cloud) -> RequiredPermission:
    return _READ_ADMITTED if cloud.switches.app_user_read_basic == "admit" else _READ


def _found(caller: Caller, asked: queries.Query) -> list[Person]:
    """Return the people that match a query, in its order."""
    tenant = caller.tenant
    wanted = filters.parse(asked.filter, eventual=asked.advanced) if asked.filter is not None else None
    properties = {*(filters.properties(wanted) if wanted is not None else ()), *filter(None, [asked.order])}
    if not properties <= BASIC_FIELDS:
        demand(caller, _FULL_READ)
    found = filters.matching(tenant, wanted) if wanted is not None else list(tenant.people.values())
    if asked.search is not None:
        found = [person for person in found if asked.search(values(person))]
    if asked.order:
        found.sort(key=lambda person: str(values(person)[asked.order] or "").lower(), reverse=asked.descending)
    return found


def _told(cloud: Cloud, request: Request, caller: Caller, person: Person, permission: RequiredPermission) -> Answer:
    demand(caller, permission)
    asked = queries.read(request, KNOWN, DEFAULT_FIELDS, single=True)
    context = f"{request.base}/v1.0/$metadata#users{asked.shown}/$entity"
    return json_answer({"@odata.context": context, **seen(cloud, caller, person, asked.fields)})


def seen(cloud: Cloud, caller: Caller, person: Person, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the properties of a user that the caller may read; of their own account, all."""
    full = caller.may(_FULL_READ) or person is caller.person
    own = values(person)
    if full:
        return {name: value_of(own, name) for name in fields}
    if cloud.switches.uncovered_properties == "absent":
        return {name: value_of(own, name) for name in fields if name in BASIC_FIELDS}
    return {name: value_of(own if name in BASIC_FIELDS else {}, name) for name in fields}
