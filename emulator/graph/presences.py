"""Presence of one person and of many.

A person's presence is encoded once for each change and cached as bytes; a bulk read joins them.
"""

from __future__ import annotations

import itertools
import re
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from emulator.exchange import Answer
from emulator.graph.errors import GraphError, bad_request
from emulator.presence import encode, encode_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.graph.access import Caller
    from emulator.switches import Switches
    from emulator.world import Person, Tenant

MOST_IDS: Final = 650
"""https://learn.microsoft.com/graph/api/cloudcommunications-getpresencesbyuserid"""
MOST_CONTINUATIONS: Final = 1000
"""Maximum number of stored continuations; older ones are dropped, as if they had expired."""

GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_IDS = re.compile(rf"id\s+(?:eq\s+'{GUID.pattern}'|in\s*\(\s*'{GUID.pattern}'(?:\s*,\s*'{GUID.pattern}')*\s*\))")


class _Ids(msgspec.Struct):
    ids: list[str]


_decoder = msgspec.json.Decoder(_Ids)


class Continuations:
    """The remaining pages of bulk reads: token -> the caller, and the remaining ids."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[tuple[str, str], list[str]]] = {}

    def keep(self, caller: Caller, ids: list[str]) -> str:
        """Store the rest of a read; return its token."""
        while len(self._left) >= MOST_CONTINUATIONS:
            del self._left[next(iter(self._left))]
        token = secrets.token_urlsafe(24)
        self._left[token] = (_key(caller), ids)
        return token

    def follow(self, cloud: Cloud, request: Request, caller: Caller, token: str) -> Answer:
        """Return the next page of a bulk read.

        Raises:
            GraphError: 400, the token is unknown, expired or another caller's.
        """
        owner, ids = self._left.get(token, (("", ""), []))
        if owner != _key(caller):
            raise bad_request("The specified page token is not valid or has expired.")
        request.ids = ids
        return _page(cloud, request, caller, ids, self)


def _key(caller: Caller) -> tuple[str, str]:
    return caller.app_id, caller.tenant.tenant_id


def read_ids(request: Request, switches: Switches) -> list[str]:
    """Return the ids in a bulk read.

    Raises:
        GraphError: 400, 413 or 415, the body does not have the documented form, has no ids or too many, or contains an invalid id.
    """
    _check_content_type(request)
    try:
        ids = _decoder.decode(request.body).ids
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error
    if not ids and switches.empty_ids == "refuse_400":
        raise bad_request("The collection of ids must not be empty.")
    if len(ids) > MOST_IDS:
        ids = _shortened(ids, switches)
    request.ids = ids
    return ids


def many(cloud: Cloud, request: Request, caller: Caller, ids: list[str], continuations: Continuations) -> Answer:
    """Answer a bulk read, or its first page.

    Raises:
        GraphError: it is refused for one of its ids, or for its options.
    """
    if "$select" in request.queries():
        _selected(request, cloud.switches)
    return _page(cloud, request, caller, ids, continuations)


def filtered(cloud: Cloud, request: Request, caller: Caller, continuations: Continuations) -> Answer:
    """Return the presences for `$filter=id in ('…')`; without a filter those of the first 650 people.

    https://learn.microsoft.com/graph/api/presence-get documented it; the limit without a filter is assumed.

    Raises:
        GraphError: 400, the filter has another form, or names too many ids.
    """
    asked = request.queries().get("$filter")
    if asked is None:
        ids = list(itertools.islice(caller.tenant.people, MOST_IDS))
    else:
        found = _IDS.fullmatch(asked.strip())
        if found is None:
            raise bad_request("Invalid filter clause: presences take id in ('…') or id eq '…'.")
        ids = GUID.findall(asked)
        if len(ids) > MOST_IDS:
            ids = _shortened(ids, cloud.switches)
    request.ids = ids
    return _page(cloud, request, caller, ids, continuations)


def one(cloud: Cloud, request: Request, caller: Caller, who: str) -> Answer:
    """Return one person's presence, by object id only.

    Raises:
        GraphError: 404, the person does not exist; 400, `who` is not an object id.
    """
    tenant, switches = caller.tenant, cloud.switches
    selected = _selected(request, switches) if "$select" in request.queries() else None
    person, part = _single(tenant, who, switches, own=caller.person)
    if selected is not None:
        value = msgspec.json.decode(part)
        part = msgspec.json.encode({name: value[name] for name in value if name.lower() in selected})
    user_id = who if person is None else person.oid
    context = f"{request.base}/v1.0/$metadata#users('{user_id}')/presence/$entity"
    if person is not None and cloud.gaps.enabled:
        cloud.gaps.read((person,))
    head = msgspec.json.encode({"@odata.context": context})[:-1]
    return Answer(200, head + (b"," + part[1:] if part != b"{}" else b"}"))


def fragment(person: Person, switches: Switches) -> bytes:
    """Return a person's presence as JSON, from the cache if nothing changed."""
    if not person.fragment:
        person.fragment = encode(person, switches)
    return person.fragment


def _page(cloud: Cloud, request: Request, caller: Caller, ids: list[str], continuations: Continuations) -> Answer:
    tenant, switches = caller.tenant, cloud.switches
    size = switches.bulk_page_size or len(ids)
    page, rest = ids[:size], ids[size:]
    people = tenant.people
    found = [people.get(user_id) for user_id in page]
    if tenant.unlicensed or None in found or len(set(found)) != len(found):
        parts, read = _carefully(cloud, tenant, page)
    else:
        read = [person for person in found if person is not None]
        parts = [person.fragment or fragment(person, switches) for person in read]
    if cloud.gaps.enabled:
        cloud.gaps.read(read)
    head = f'{{"@odata.context":"{request.base}/v1.0/$metadata#Collection(microsoft.graph.presence)",'
    if rest:
        link = f"{request.base}/v1.0/communications/getPresencesByUserId?$skiptoken={continuations.keep(caller, rest)}"
        head += f'"@odata.nextLink":"{link}",'
    return Answer(200, b"".join((head.encode(), b'"value":[', b",".join(parts), b"]}")))


def _carefully(cloud: Cloud, tenant: Tenant, ids: Sequence[str]) -> tuple[list[bytes], list[Person]]:
    """Return the parts of a bulk read with special ids: unknown, unlicensed, duplicate, or in upper case."""
    switches = cloud.switches
    parts: list[bytes] = []
    read: list[Person] = []
    for user_id in _each(ids, switches):
        if not GUID.fullmatch(user_id):
            if switches.malformed_ids == "omit":
                continue
            raise _no_guid(user_id)
        person = tenant.people.get(user_id)
        how = _special(tenant, person, user_id, switches)
        if how == "refuse_400":
            raise bad_request("Bad Request")  # reported: a bare 400 without detail
        if how == "presence_unknown":
            parts.append(encode_unknown(user_id if person is None else person.oid, switches))
        elif how == "presence" and person is not None:
            parts.append(fragment(person, switches))
            read.append(person)
    return parts, read


def _special(tenant: Tenant, person: Person | None, user_id: str, switches: Switches) -> str:
    """Return how a bulk read treats an id: `presence`, `omit`, `presence_unknown` or `refuse_400`."""
    if person is None:
        deleted = user_id in tenant.deleted and switches.deleted_ids != "as_unknown"
        return switches.deleted_ids if deleted else switches.unknown_ids
    if person.home:
        return switches.guest_ids
    return "presence" if person.licensed else switches.unlicensed_ids


def _single(tenant: Tenant, who: str, switches: Switches, *, own: Person) -> tuple[Person | None, bytes]:
    """Return one person and their presence; None if there is no such person."""
    if GUID.fullmatch(who):
        person = tenant.people.get(who.lower())
    elif switches.presence_by_upn == "refuse_400":
        raise _no_guid(who)
    else:
        person = tenant.find(who) if switches.presence_by_upn == "read" else None
        if person is None:
            raise _not_found(who)
    if person is None:
        if switches.unknown_id == "refuse_400":
            raise bad_request("Bad Request")
        if switches.unknown_id == "not_found_404":
            raise _not_found(who)
        return None, encode_unknown(who.lower(), switches)
    if not person.licensed:
        return person, encode_unknown(person.oid, switches)
    return person, encode(person, switches, own=True) if person is own else fragment(person, switches)


def _each(ids: Sequence[str], switches: Switches) -> list[str]:
    lower = [user_id.lower() for user_id in ids]
    once = list(dict.fromkeys(lower))
    if switches.duplicate_ids == "refuse_400" and len(once) < len(lower):
        raise bad_request("The collection of ids must not contain duplicates.")
    return lower if switches.duplicate_ids == "repeat" else once


def _shortened(ids: list[str], switches: Switches) -> list[str]:
    """Truncate or refuse a list with too many ids for one request."""
    if switches.too_many_ids == "first_650":
        return ids[:MOST_IDS]
    text = f"The number of ids must not exceed {MOST_IDS}; there are {len(ids)}."
    if switches.too_many_ids == "refuse_413":
        raise GraphError(413, "RequestEntityTooLarge", text)
    raise bad_request(text)


def _selected(request: Request, switches: Switches) -> set[str] | None:
    """Return the properties in `$select`, in lower case; None: all.

    Raises:
        GraphError: 400, `$select` is refused.
    """
    if switches.presence_select == "refuse_400":
        raise bad_request("Query option 'Select' is not allowed on presence.")
    if switches.presence_select == "ignore":
        return None
    return {name.strip().lower() for name in request.queries()["$select"].split(",")}


def _check_content_type(request: Request) -> None:
    """https://learn.microsoft.com/graph/errors has 415; the text for none at all is OData's."""
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if not kind:
        raise bad_request(
            "A missing or empty content type header was found when trying to read a message. "
            "The content type header is required."
        )
    if kind != "application/json":
        raise GraphError(415, "UnsupportedMediaType", f"The media type '{kind[:100]}' is not supported.")


def _no_guid(user_id: str) -> GraphError:
    return bad_request(f"The id '{user_id[:100]}' is not a valid GUID.", "InvalidRequest")


def _not_found(who: str) -> GraphError:
    return GraphError(404, "NotFound", f"The user {who[:100]} was not found.")
