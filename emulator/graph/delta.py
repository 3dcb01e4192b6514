"""`/users/delta`: all users, then those added, changed or removed since. https://learn.microsoft.com/graph/delta-query-users

    first request ──► pages (nextLink, …) ──► deltaLink ──► pages of changes since ──► deltaLink ──► …

A round stores a digest of each user from its beginning, so that changes made meanwhile are in the next round.
The number of rounds is bounded: the oldest are dropped, and their links are then answered like Graph's expired ones (410).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.exchange import json_answer
from emulator.graph import queries, users
from emulator.graph.errors import GraphError, bad_request
from emulator.graph.presences import GUID
from emulator.graph.properties import DEFAULT_FIELDS, KNOWN

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.exchange import Answer, Request
    from emulator.graph.access import Caller

PAGE: Final = 200
MOST_ROUNDS: Final = 1_000
MOST_REMEMBERED: Final = 1_000_000
"""Maximum number of users in all rounds together."""
MOST_IDS: Final = 50
"""https://learn.microsoft.com/graph/api/user-delta"""

_FIRST: Final = {"$select", "$filter", "$top", "$deltatoken"}
_IDS: Final = re.compile(rf"\s*id eq '{GUID.pattern}'(?:\s+or\s+id eq '{GUID.pattern}')*\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """One round of a delta query: the query, the digests of all users at its start, by object id, and the start of the next page."""

    owner: tuple[str, str]
    select: str
    fields: tuple[str, ...]
    only: frozenset[str]
    size: int
    known: dict[str, int]
    left: list[str]


class Rounds:
    """Rounds, by the token that continues them."""

    def __init__(self) -> None:
        self._rounds: dict[str, _Round] = {}

    def keep(self, each: _Round) -> str:
        """Store a round; return its token."""
        token = secrets.token_urlsafe(32)
        self._rounds[token] = each
        while len(self._rounds) > 1 and (len(self._rounds) > MOST_ROUNDS or self._remembered() > MOST_REMEMBERED):
            del self._rounds[next(iter(self._rounds))]
        return token

    def find(self, token: str, caller: Caller) -> _Round | None:
        """Return the round of a token, if the caller began it."""
        found = self._rounds.get(token)
        return found if found is not None and found.owner == _owner(caller) else None

    def _remembered(self) -> int:
        return sum(len(each.known) for each in self._rounds.values())


def answer(cloud: Cloud, request: Request, caller: Caller, rounds: Rounds) -> Answer:
    """Return the next page of a round, or the first of a new one.

    Raises:
        GraphError: it is refused; 410: the round was dropped, and a new one must begin.
    """
    users.demand_many(cloud, caller)
    asked = request.queries()
    token = asked.get("$skiptoken") or asked.get("$deltatoken", "")
    if not token or token == "latest":
        return _page(cloud, request, caller, rounds, _first(cloud, caller, asked, latest=bool(token)))
    found = rounds.find(token, caller)
    if found is None:
        raise _expired(request)
    if "$skiptoken" not in asked:
        found = _next(cloud, caller, found)
    return _page(cloud, request, caller, rounds, found)


def _first(cloud: Cloud, caller: Caller, asked: dict[str, str], *, latest: bool) -> _Round:
    for name in asked:
        if name.startswith("$") and name not in _FIRST:
            raise bad_request(f"The query parameter '{name[:100]}' is not supported on delta.", "Request_BadRequest")
    condition = asked.get("$filter", "")
    if condition and not _IDS.fullmatch(condition):
        raise bad_request("Delta queries are filtered by id eq '…' or id eq '…' only.", "Request_UnsupportedQuery")
    only = frozenset(each.lower() for each in GUID.findall(condition))
    if len(only) > MOST_IDS:
        raise bad_request(f"A delta query is filtered by {MOST_IDS} ids at the most.", "Request_UnsupportedQuery")
    select = asked.get("$select", "")
    fields = queries.select(select, KNOWN, DEFAULT_FIELDS)
    new = _Round(
        owner=_owner(caller), select=select, fields=tuple(dict.fromkeys((*fields, "id"))), only=only,
        size=min(PAGE, queries.top(asked.get("$top"))) if "$top" in asked else PAGE, known={}, left=[],
    )  # fmt: skip
    known = _digests(cloud, caller, new)
    return _with(new, known, [] if latest else list(known))


def _next(cloud: Cloud, caller: Caller, last: _Round) -> _Round:
    """Return the round that follows a finished one."""
    known = _digests(cloud, caller, last)
    changed = [oid for oid, digest in known.items() if last.known.get(oid) != digest]
    return _with(last, known, changed + [oid for oid in last.known if oid not in known])


def _with(each: _Round, known: dict[str, int], left: list[str]) -> _Round:
    return _Round(
        owner=each.owner, select=each.select, fields=each.fields, only=each.only, size=each.size, known=known, left=left
    )


def _page(cloud: Cloud, request: Request, caller: Caller, rounds: Rounds, each: _Round) -> Answer:
    page, rest = each.left[: each.size], each.left[each.size :]
    token = rounds.keep(_with(each, each.known, rest))
    name, link = ("nextLink", "$skiptoken") if rest else ("deltaLink", "$deltatoken")
    shown = f"({each.select})" if each.select else ""
    body: dict[str, Any] = {
        "@odata.context": f"{request.base}/v1.0/$metadata#users{shown}",
        f"@odata.{name}": f"{request.base}/v1.0/users/delta?{link}={token}",
        "value": [_told(cloud, caller, oid, each.fields) for oid in page],
    }
    return json_answer(body)


def _told(cloud: Cloud, caller: Caller, oid: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the properties of a user that are set, or that the user was removed."""
    person = caller.tenant.people.get(oid)
    if person is None:
        return {"id": oid, "@removed": {"reason": "changed"}}  # it is in the recycle bin, not permanently deleted
    return {name: value for name, value in users.seen(cloud, caller, person, fields).items() if value not in (None, [])}


def _digests(cloud: Cloud, caller: Caller, each: _Round) -> dict[str, int]:
    people = caller.tenant.people
    return {
        oid: hash(msgspec.json.encode(users.seen(cloud, caller, person, each.fields)))
        for oid, person in people.items()
        if not each.only or oid in each.only
    }


def _owner(caller: Caller) -> tuple[str, str]:
    return caller.app_id, caller.tenant.tenant_id


def _expired(request: Request) -> GraphError:
    """Return the error of an expired token: https://learn.microsoft.com/graph/delta-query-overview#synchronization-reset"""
    error = GraphError(
        410, "SyncStateNotFound", "The sync state generation is not found; continue with a full synchronization."
    )
    error.headers.append((b"location", f"{request.base}/v1.0/users/delta?$deltatoken=".encode()))
    return error
