"""Users: one by id or UPN, many by filter, paged."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from emulator.exchange import Answer, json_answer
from emulator.graph import filters
from emulator.graph.errors import GraphError, bad_request

if TYPE_CHECKING:
    from emulator.exchange import Request
    from emulator.world import Person, Tenant

DEFAULT_FIELDS: Final = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName", "id",
)  # fmt: skip
"""https://learn.microsoft.com/graph/api/user-get"""
_KNOWN: Final = {name.lower(): name for name in (*DEFAULT_FIELDS, "userType", "accountEnabled")}

PAGE: Final = 100
MOST_A_PAGE: Final = 999


def find(tenant: Tenant, who: str) -> Person:
    """The person of an id or UPN.

    Raises:
        GraphError: 404, there is none; 400, it begins with `$` and is not written as a key.
    """
    if who.startswith("$"):
        raise bad_request("The request URI is not valid: a segment must not begin with '$'.")
    person = tenant.find(who)
    if person is None:
        raise not_found(who)
    return person


def not_found(who: str) -> GraphError:
    """There is no such user."""
    text = f"Resource '{who}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", text)


def one(person: Person, request: Request, origin: str) -> Answer:
    """One user."""
    fields = _fields(request.queries().get("$select", ""))
    context = f"{origin}/v1.0/$metadata#users{_shown(request)}/$entity"
    return json_answer({"@odata.context": context, **_object(person, fields)})


def many(tenant: Tenant, request: Request, origin: str) -> Answer:
    """Users by filter, or all of them, a page at a time."""
    asked = request.queries()
    fields, top = _fields(asked.get("$select", "")), _top(asked.get("$top"))
    if "$filter" in asked:
        found = filters.matching(tenant, filters.parse(asked["$filter"]))
    else:
        found = list(tenant.people.values())
    begin = _skip(asked.get("$skiptoken"))
    body: dict[str, Any] = {"@odata.context": f"{origin}/v1.0/$metadata#users{_shown(request)}"}
    if begin + top < len(found):
        rest = {**asked, "$skiptoken": base64.urlsafe_b64encode(str(begin + top).encode()).decode()}
        body["@odata.nextLink"] = f"{origin}/v1.0/users?{urlencode(rest, quote_via=quote, safe='$')}"
    body["value"] = [_object(person, fields) for person in found[begin : begin + top]]
    return json_answer(body)


def _object(person: Person, fields: tuple[str, ...]) -> dict[str, Any]:
    given, _, surname = person.display_name.partition(" ")
    values: dict[str, Any] = {
        "businessPhones": [], "displayName": person.display_name, "givenName": given, "surname": surname or None,
        "mail": person.upn, "userPrincipalName": person.upn, "id": person.oid, "userType": "Guest" if person.home else "Member",
        "accountEnabled": person.enabled,
    }  # fmt: skip
    return {name: values.get(name) for name in fields}


def _fields(select: str) -> tuple[str, ...]:
    if not select.strip():
        return DEFAULT_FIELDS
    names = [name.strip() for name in select.split(",")]
    for name in names:
        if name.lower() not in _KNOWN:
            raise bad_request(f"Parsing OData Select and Expand failed: Could not find a property named '{name}'.")
    return tuple(_KNOWN[name.lower()] for name in names)


def _shown(request: Request) -> str:
    select = request.queries().get("$select", "")
    return f"({select})" if select else ""


def _top(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isdecimal() or not 1 <= int(text) <= MOST_A_PAGE:
        raise bad_request(f"Invalid page size specified: '{text}'. Must be between 1 and {MOST_A_PAGE} inclusive.")
    return int(text)


def _skip(token: str | None) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).decode()) if token else 0
    except (binascii.Error, ValueError) as error:
        raise bad_request("Invalid skip token.", "Request_BadRequest") from error
