"""Presence, of one and of many.

A person's presence is encoded once for each change and kept as bytes; a bulk read joins them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from emulator.exchange import Answer
from emulator.graph.errors import GraphError, bad_request
from emulator.presence import encode, encode_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.switches import Switches
    from emulator.world import Person, Tenant

MOST_IDS: Final = 650
"""https://learn.microsoft.com/graph/api/cloudcommunications-getpresencesbyuserid"""

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class _Ids(msgspec.Struct):
    ids: list[str]


_decoder = msgspec.json.Decoder(_Ids)


def read_ids(request: Request) -> list[str]:
    """The ids that a bulk read names.

    Raises:
        GraphError: 400, the body is not what is documented, or names none, too many or something that is no id.
    """
    try:
        ids = _decoder.decode(request.body).ids
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error
    if not ids:
        raise bad_request("The collection of ids must not be empty.")
    if len(ids) > MOST_IDS:
        raise bad_request(f"The number of ids must not exceed {MOST_IDS}; there are {len(ids)}.")
    request.ids = ids
    return ids


def many(cloud: Cloud, tenant: Tenant, ids: Sequence[str]) -> Answer:
    """A bulk read."""
    switches, people = cloud.switches, tenant.people
    found = [people.get(user_id) for user_id in ids]
    if tenant.unlicensed or None in found or len(set(found)) != len(found):
        parts, read = _carefully(cloud, tenant, ids)
    else:
        read = [person for person in found if person is not None]
        parts = [person.fragment or fragment(person, switches) for person in read]
    if cloud.gaps.enabled:
        cloud.gaps.read(read)
    context = f'{{"@odata.context":"{cloud.url}/v1.0/$metadata#Collection(microsoft.graph.presence)","value":['
    return Answer(200, b"".join((context.encode(), b",".join(parts), b"]}")))


def one(cloud: Cloud, tenant: Tenant, user_id: str) -> Answer:
    """One person's presence, by object id only.

    Raises:
        GraphError: 400, it is no object id; 404, it is nobody's.
    """
    _check_guid(user_id)
    person = tenant.people.get(user_id.lower())
    if person is None:
        raise GraphError(404, "NotFound", f"The user {user_id} was not found.")
    part = fragment(person, cloud.switches) if person.licensed else encode_unknown(person.oid, cloud.switches)
    context = f'{{"@odata.context":"{cloud.url}/v1.0/$metadata#users(\'{person.oid}\')/presence/$entity",'
    if cloud.gaps.enabled:
        cloud.gaps.read((person,))
    return Answer(200, context.encode() + part[1:])


def fragment(person: Person, switches: Switches) -> bytes:
    """A person's presence as JSON, from the last encoding if nothing changed."""
    if not person.fragment:
        person.fragment = encode(person, switches)
    return person.fragment


def _carefully(cloud: Cloud, tenant: Tenant, ids: Sequence[str]) -> tuple[list[bytes], list[Person]]:
    """The parts of a bulk read that names somebody special: unknown, unlicensed, twice, or in upper case."""
    switches = cloud.switches
    parts: list[bytes] = []
    read: list[Person] = []
    for user_id in _each(ids, switches):
        _check_guid(user_id)
        person = tenant.people.get(user_id)
        if person is None:
            parts += _unknown(user_id, switches)
        elif not person.licensed:
            parts += [encode_unknown(person.oid, switches)] if switches.unlicensed_ids == "presence_unknown" else []
        else:
            parts.append(fragment(person, switches))
            read.append(person)
    return parts, read


def _each(ids: Sequence[str], switches: Switches) -> list[str]:
    lower = [user_id.lower() for user_id in ids]
    once = list(dict.fromkeys(lower))
    if switches.duplicate_ids == "refuse_400" and len(once) < len(lower):
        raise bad_request("The collection of ids must not contain duplicates.")
    return lower if switches.duplicate_ids == "repeat" else once


def _unknown(user_id: str, switches: Switches) -> list[bytes]:
    if switches.unknown_ids == "refuse_400":
        raise bad_request("Bad Request")  # a bare 400 without detail is what was reported
    return [encode_unknown(user_id, switches)] if switches.unknown_ids == "presence_unknown" else []


def _check_guid(user_id: str) -> None:
    if not _GUID.fullmatch(user_id):
        raise bad_request(f"The id '{user_id[:100]}' is not a valid GUID.", "InvalidRequest")
