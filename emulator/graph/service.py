"""Graph's routes under /v1.0/, for requests that come alone and in `$batch`."""

from __future__ import annotations

import random
import re
import uuid
from typing import TYPE_CHECKING, Final

from emulator.graph import batch, errors, presences, users
from emulator.graph.access import Access, Caller, demand
from emulator.graph.errors import GraphError
from emulator.graph.throttle import Throttle

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.exchange import Answer, Request

PREFIX: Final = "/v1.0/"
_CONTENT_TYPE: Final = (
    b"application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
)
_AS_KEY = re.compile(r"users\('((?:[^']|'')*)'\)")

# https://learn.microsoft.com/graph/permissions-reference: any one of them is enough
READ_PRESENCE: Final = ("Presence.Read.All", "Presence.ReadWrite.All")
READ_OWN_PRESENCE: Final = ("Presence.Read", "Presence.ReadWrite", *READ_PRESENCE)
READ_USERS: Final = ("User.ReadBasic.All", "User.Read.All", "Directory.Read.All")
READ_ME: Final = ("User.Read", *READ_USERS)


class Graph:
    """Microsoft Graph's public surface."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._access = Access(cloud)
        self.throttle = Throttle(lambda: cloud.switches)
        self._chance = random.Random(cloud.config.seed)

    def tenant_of(self, request: Request) -> str:
        """The tenant of a request's access token; empty when it has no good one."""
        try:
            return self._access.caller(request.header(b"authorization")).tenant.tenant_id
        except GraphError:
            return ""

    def handle(self, request: Request) -> Answer:
        """Answer a request, of the outside or out of a batch."""
        request_id = str(uuid.uuid4())
        try:
            caller = self._access.caller(request.header(b"authorization"))
            request.tenant_id, request.app_id = caller.tenant.tenant_id, caller.app_id
            found = self._route(request, caller)
        except GraphError as error:
            found = errors.answer(error, request, request_id)
        found.content_type = _CONTENT_TYPE
        found.headers += [
            (b"request-id", request_id.encode()),
            (b"client-request-id", request.headers.get(b"client-request-id", request_id.encode())),
            (b"odata-version", b"4.0"),
        ]
        return found

    def _route(self, request: Request, caller: Caller) -> Answer:
        path = request.path.removeprefix(PREFIX).strip("/")
        match request.method, _segments(path):
            case "POST", ["communications", "getPresencesByUserId"]:
                return self._presences(request, caller)
            case "POST", ["$batch"]:
                return batch.answer(request, self._within_batch, self._chance)
            case "GET", ["communications", "presences", user_id] | ["users", user_id, "presence"]:
                return self._presence(caller, user_id, READ_PRESENCE)
            case "GET", ["me", "presence"]:
                return self._presence(caller, caller.person.oid, READ_OWN_PRESENCE)
            case "GET", ["me"]:
                demand(caller, *READ_ME)
                return users.one(caller.person, request, self._cloud.url)
            case "GET", ["users"]:
                demand(caller, *READ_USERS)
                return users.many(caller.tenant, request, self._cloud.url)
            case "GET", ["users", who]:
                return self._user(request, caller, who, as_key=path.startswith("users("))
        raise GraphError(400, "BadRequest", f"Resource not found for the segment '{path.partition('/')[0]}'.")

    def _within_batch(self, inner: Request) -> Answer:
        """Answer one request of a batch; a batch within a batch is none."""
        if inner.path.endswith("$batch"):
            return errors.answer(errors.bad_request("Nested batches are not supported."), inner, str(uuid.uuid4()))
        inner.tenant_id = self.tenant_of(inner)
        fault = self._cloud.faults.meet(inner)
        refused = fault.answer() if fault is not None else None
        return self.handle(inner) if refused is None or refused.reset else refused

    def _presences(self, request: Request, caller: Caller) -> Answer:
        demand(caller, *READ_PRESENCE, code="Forbidden")
        ids = presences.read_ids(request)
        cost = len(ids) if self._cloud.switches.count_bulk_as == "ids" else 1
        self.throttle.count(caller.app_id, caller.tenant.tenant_id, cost)
        return presences.many(self._cloud, caller.tenant, ids)

    def _presence(self, caller: Caller, user_id: str, one_of: tuple[str, ...]) -> Answer:
        demand(caller, *one_of, code="Forbidden")
        self.throttle.count(caller.app_id, caller.tenant.tenant_id)
        return presences.one(self._cloud, caller.tenant, user_id)

    def _user(self, request: Request, caller: Caller, who: str, *, as_key: bool) -> Answer:
        demand(caller, *READ_USERS)
        if as_key:
            person = caller.tenant.find(who)
            if person is None:
                raise users.not_found(who)
        else:
            person = users.find(caller.tenant, who)
        return users.one(person, request, self._cloud.url)


def _segments(path: str) -> list[str]:
    """The parts of a path; `users('x')` is the same as `users/x`."""
    key = _AS_KEY.match(path)
    if key is None:
        return path.split("/")
    return ["users", key.group(1).replace("''", "'"), *filter(None, path[key.end() :].split("/"))]
