"""Graph's routes under /v1.0/, for single requests and those in `$batch`."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from emulator.exchange import Answer
from emulator.graph import (
    batch,
    delta,
    directory,
    errors,
    negotiation,
    paths,
    presences,
    subscriptions,
    userinfo,
    users,
)
from emulator.graph.access import Access, Caller, RequiredPermission, demand, signed_in
from emulator.graph.errors import GraphError
from emulator.graph.throttle import Throttle
from emulator.world import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from emulator.cloud import Cloud
    from emulator.exchange import Request

_FIXED_HEADERS: Final = (
    (b"cache-control", b"no-cache"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"odata-version", b"4.0"),
    (
        b"x-ms-ags-diagnostic",
        b'{"ServerInfo":{"DataCenter":"Emulator","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"EMULATOR"}}',
    ),
)

_READ: Final = ("Presence.Read.All", "Presence.ReadWrite.All")
READ_PRESENCE: Final = RequiredPermission(delegated=_READ, application=_READ)
READ_OWN_PRESENCE: Final = RequiredPermission(delegated=("Presence.Read", "Presence.ReadWrite", *_READ))

_Answering = Callable[[], "Answer | Coroutine[Any, Any, Answer]"]


class Graph:
    """Microsoft Graph's paths under /v1.0/."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._access = Access(cloud)
        self._continuations = presences.Continuations()
        self._rounds = delta.Rounds()
        self.throttle = Throttle(lambda: cloud.switches)
        self._chance = random.Random(cloud.config.seed)

    def tenant_of(self, request: Request) -> str:
        """Return the tenant of a request's access token; empty if it has no valid one."""
        try:
            return self._access.caller(request).tenant.tenant_id
        except GraphError:
            return ""

    def handle(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer a single request or a part of a batch; the answer may be a coroutine."""
        request_id = str(uuid.uuid4())
        try:
            caller = self._access.caller(request)
            request.tenant_id, request.app_id = caller.tenant.tenant_id, caller.app_id
            found = self._route(request, caller)
        except GraphError as error:
            found = errors.answer(error, request, request_id)
        return _dressed(found, request, request_id) if isinstance(found, Answer) else _later(found, request, request_id)

    def _route(self, request: Request, caller: Caller) -> Answer | Coroutine[Any, Any, Answer]:
        if request.path == userinfo.PATH:
            answering = lambda: userinfo.answer(self._cloud, request, caller)  # noqa: E731
            return _by_method(request, GET=answering, POST=answering)
        negotiation.check(request)
        segments = paths.segments(request)
        if segments == ["$batch"]:  # its parts are counted separately
            return _by_method(
                request, POST=lambda: batch.answer(request, self._within_batch, self._chance, self._cloud.journal)
            )
        self.throttle.count(caller.app_id)
        return self._routed(request, caller, segments)

    def _routed(self, request: Request, caller: Caller, path: list[str]) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer a request for any path."""
        found = self._of_presence(request, caller, path) if _has_presence(caller) else None
        if found is None and path[:1] == ["subscriptions"]:
            found = subscriptions.route(self._cloud, request, caller, path[1:])
            if found is None and (len(path) < 3 or path[2:] == ["reauthorize"]):
                raise _wrong_method()
        if found is None:
            found = self._of_directory(request, caller, path)
        if found is None:
            raise paths.leads_nowhere(path)
        return found

    def _of_presence(
        self, request: Request, caller: Caller, path: list[str]
    ) -> Answer | Coroutine[Any, Any, Answer] | None:
        """Answer requests for presence; None: there is no such path."""
        match path:
            case ["communications", "getPresencesByUserId"]:
                return self._presences(request, caller)
            case ["communications", "presences"]:
                return _by_method(request, GET=lambda: self._filtered_presences(request, caller))
            case ["communications", "presences", who] | ["users", who, "presence"]:
                return _by_method(request, GET=lambda: self._presence(request, caller, who))
            case ["me", "presence"]:
                return _by_method(request, GET=lambda: self._own_presence(request, caller))
        return None

    def _of_directory(self, request: Request, caller: Caller, path: list[str]) -> Answer | None:
        """Answer requests for users, the organisation and objects by id; None: there is no such path."""
        cloud, rounds = self._cloud, self._rounds
        match path:
            case ["me"]:
                return self._directory(request, caller, 1, GET=lambda: users.me(cloud, request, caller))
            case ["users"]:
                return self._directory(request, caller, 2, GET=lambda: users.many(cloud, request, caller))
            case ["users", "$count"]:
                return self._directory(request, caller, 2, GET=lambda: users.count(cloud, request, caller))
            case ["users", "delta"]:
                return self._directory(request, caller, 2, GET=lambda: delta.answer(cloud, request, caller, rounds))
            case ["users", who]:
                return self._directory(request, caller, 1, GET=lambda: users.one(cloud, request, caller, who))
            case ["organization", *which] if len(which) < 2:
                return self._directory(request, caller, 1, GET=lambda: directory.organization(request, caller, which))
            case ["directoryObjects", "getByIds"]:
                return self._directory(request, caller, 3, POST=lambda: directory.get_by_ids(request, caller))
        return None

    async def _within_batch(self, inner: Request) -> Answer:
        """Answer one request of a batch; nested batches are refused."""
        began = time.monotonic()
        found = await self._part(inner)
        self._cloud.journal.write(inner, found, began)
        return found

    async def _part(self, inner: Request) -> Answer:
        if paths.segments(inner)[-1:] == ["$batch"]:
            return errors.answer(errors.bad_request("Nested batches are not supported."), inner, str(uuid.uuid4()))
        inner.tenant_id = self.tenant_of(inner)
        fault = self._cloud.faults.meet(inner)
        if fault is not None and fault.latency_ms:
            await asyncio.sleep(fault.latency_ms / 1000)
        refused = fault.answer() if fault is not None else None
        if refused is not None and not refused.reset:
            inner.reason = "fault"
            return refused
        found = self.handle(inner)
        return found if isinstance(found, Answer) else await found

    def _presences(self, request: Request, caller: Caller) -> Answer:
        demand(caller, READ_PRESENCE, code="Forbidden")
        _refuse_personal(caller)
        count, tenant_id = self.throttle.count_presence, caller.tenant.tenant_id
        token = request.queries().get("$skiptoken")
        if token is not None:  # some clients follow the link with GET, others with the same POST
            count(caller.app_id, tenant_id)
            return self._continuations.follow(self._cloud, request, caller, token)
        if request.method != "POST":
            raise _wrong_method()
        try:
            ids = presences.read_ids(request, self._cloud.switches)
        except GraphError:
            count(caller.app_id, tenant_id)
            raise
        count(caller.app_id, tenant_id, len(ids) if self._cloud.switches.count_bulk_as == "ids" else 1)
        return presences.many(self._cloud, request, caller, ids, self._continuations)

    def _filtered_presences(self, request: Request, caller: Caller) -> Answer:
        demand(caller, READ_PRESENCE, code="Forbidden")
        _refuse_personal(caller)
        self.throttle.count_presence(caller.app_id, caller.tenant.tenant_id)
        return presences.filtered(self._cloud, request, caller, self._continuations)

    def _presence(self, request: Request, caller: Caller, who: str) -> Answer:
        own = not caller.is_app and who.lower() == caller.person.oid.lower()
        demand(caller, READ_OWN_PRESENCE if own else READ_PRESENCE, code="Forbidden")
        _refuse_personal(caller)
        self.throttle.count_presence(caller.app_id, caller.tenant.tenant_id)
        return presences.one(self._cloud, request, caller, who)

    def _own_presence(self, request: Request, caller: Caller) -> Answer:
        person = signed_in(caller)
        return self._presence(request, caller, person.oid)

    def _directory(self, request: Request, caller: Caller, base: int, **methods: _Answering) -> Answer:
        """Answer a directory call. It costs resource units, which the answer reports, refused or not."""
        people = len(caller.tenant.people)
        cost = directory.cost(request, base)
        headers = self.throttle.count_units(caller.app_id, caller.tenant.tenant_id, cost, people)
        try:
            found = _by_method(request, **methods)
        except GraphError as error:
            error.headers += headers
            raise
        assert isinstance(found, Answer)
        found.headers += headers
        return found


async def _later(answering: Coroutine[Any, Any, Answer], request: Request, request_id: str) -> Answer:
    """Return an awaited answer, or its refusal."""
    try:
        found = await answering
    except GraphError as error:
        found = errors.answer(error, request, request_id)
    return _dressed(found, request, request_id)


def _dressed(found: Answer, request: Request, request_id: str) -> Answer:
    """Return an answer with the headers that all of Graph's answers have."""
    if found.status < 400 and not found.content_type.startswith(b"text/"):
        negotiation.answer(request, found)
    asked = request.headers.get(b"client-request-id", request_id.encode())
    found.headers += [(b"request-id", request_id.encode()), (b"client-request-id", asked), *_FIXED_HEADERS]
    return found


def _by_method(request: Request, **methods: _Answering) -> Answer | Coroutine[Any, Any, Answer]:
    """Return the answer for a request's method, or the error for an unsupported method."""
    answering = methods.get(request.method)
    if answering is None:
        raise _wrong_method()
    return answering()


def _wrong_method() -> GraphError:
    """Return the error for a wrong method, as in a sample of https://learn.microsoft.com/graph/json-batching."""
    return GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")


def _has_presence(caller: Caller) -> bool:
    """Return whether the caller's cloud has presence; 21Vianet has none: https://learn.microsoft.com/graph/api/presence-get"""
    return caller.tenant.cloud != "china"


def _refuse_personal(caller: Caller) -> None:
    """Refuse personal accounts, for which presence is not supported: https://learn.microsoft.com/graph/api/presence-get"""
    if caller.tenant.tenant_id == PERSONAL:
        raise errors.bad_request("Presence is not supported for personal Microsoft accounts.")
