"""The routes of the local API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from suite.agent.api.answers import json_answer
from suite.agent.api.bodies import ApiError, read_object, told_states
from suite.agent.api.colleagues import ColleaguesApi
from suite.agent.api.notes import NotesApi
from suite.agent.api.openapi import openapi
from suite.agent.api.page import page_routes
from suite.agent.api.shapes import compact, connector_of, notes_state_of, phones_of
from suite.agent.api.sign_in import SESSION_PATH, SignIn, SignInCheck
from suite.agent.api.stream import EventStream
from suite.agent.api.versions import VersionsApi
from suite.agent.api.wire import Wire
from suite.agent.core.values import RichState, SourceName, TelephonyState
from suite.agent.sipserver.phones import PhonesState
from suite.agent.sources.local import Taken, TooManyConnectors
from suite.agent.sources.source import ConnectorState
from suite.names import is_sendable

if TYPE_CHECKING:
    from starlette.requests import Request

    from suite.agent.added import AddedColleagues
    from suite.agent.board import Board
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.agent.sources.local import LocalStates, ToldState

MOST_NAMES: Final = 1000
"""Limit of names in one URL, which must also fit into a request's head."""

Connectors = Callable[[], Mapping[SourceName, ConnectorState]]


@dataclass(slots=True, kw_only=True)
class LocalApi:
    """The local API over one board.

    Attributes:
        added: the colleagues that programs add.
        connectors: returns source -> the state of its connection.
        feeds: returns the name of each running feed -> the state of its connection.
        consoles: limit of open event streams.
        phones: returns the state of the SIP server.
        sign_in: the authentication; without a token, every client has access.
        stopping: set when the agent stops; event streams then end.
    """

    board: Board
    local: LocalStates
    notes: NoteKeeper
    added: AddedColleagues
    connectors: Connectors
    version: str
    consoles: int
    phones: Callable[[], PhonesState] = PhonesState
    feeds: Callable[[], Mapping[str, ConnectorState]] = dict
    sign_in: SignIn = field(default_factory=SignIn)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self._wire = Wire(self.board, self.notes)

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/sources", self._sources, methods=["GET"]),
                Route("/v1/users", self._users, methods=["GET"]),
                *VersionsApi(self.notes, self.stopping).routes(),
                *NotesApi(self.board, self.notes).routes(),
                *ColleaguesApi(self.board, self.added).routes(),
                Route("/v1/users/{name:path}", self._user, methods=["GET"]),
                Route("/v1/events", self._events, methods=["GET"]),
                Route("/v1/telephony", self._telephony, methods=["POST"]),
                Route("/v1/presence", self._presence, methods=["POST"]),
                Route(SESSION_PATH, self.sign_in.tell, methods=["GET"]),
                Route(SESSION_PATH, self.sign_in.open, methods=["POST"]),
                Route(SESSION_PATH, self.sign_in.close, methods=["DELETE"]),
                Route("/openapi.json", self._openapi, methods=["GET"]),
                *page_routes(),
            ],
            middleware=[Middleware(SignInCheck, self.sign_in)],
            exception_handlers={ApiError: _answer_error, HTTPException: _answer_http},
        )

    async def _sources(self, _request: Request) -> Response:
        return json_answer(self._sources_json())

    async def _users(self, _request: Request) -> Response:
        parts: list[bytes] = []
        for number, (key, entry) in enumerate(list(self.board.entries.items())):
            parts.append(self._wire.json(key, entry))
            if number % 500 == 499:
                await asyncio.sleep(0)  # let other tasks run
        return json_answer(b'{"users":[' + b",".join(parts) + b"]}")

    async def _user(self, request: Request) -> Response:
        found = self.board.find(request.path_params["name"])
        if found is None:
            raise ApiError(404, "unknown_user", "No colleague has this login, UPN, SIP address or extension.")
        return json_answer(self._wire.json(*found))

    async def _events(self, request: Request) -> EventStream | Response:
        if request.method == "HEAD":  # Starlette adds it to each GET. Without a body, the stream would never end
            return Response(media_type="text/event-stream")
        names = request.query_params.getlist("user")
        if len(names) > MOST_NAMES or not all(is_sendable(name) and name.isprintable() for name in names):
            raise ApiError(400, "not_valid", f"user must be a name, and may be given at most {MOST_NAMES:,} times.")
        if self.board.listeners >= self.consoles:
            raise ApiError(
                503, "too_many_consoles", f"{self.consoles:,} event streams are open. Agent.Consoles allows no more."
            )
        if self.board.has_no_room_for(names):
            raise ApiError(503, "too_many_users", "The agent watches as many colleagues as it can.")
        last = request.headers.get("last-event-id", "") or request.query_params.get("last_event_id", "")
        return EventStream(self.board, self._wire, self._sources_json, names, last, self.stopping)

    async def _telephony(self, request: Request) -> Response:
        return self._take(*told_states(await read_object(request), TelephonyState))

    async def _presence(self, request: Request) -> Response:
        return self._take(*told_states(await read_object(request), RichState))

    async def _openapi(self, _request: Request) -> Response:
        return json_answer(compact(openapi(self.version)))

    def _take(self, connector: str, states: list[ToldState]) -> Response:
        found: dict[Taken, list[str]] = {taken: [] for taken in Taken}
        try:
            for state in states:
                found[self.local.tell(connector, state)].append(state.user)
        except TooManyConnectors:
            raise ApiError(
                503, "too_many_connectors", "Too many connectors have sent states. Use one name for each connector."
            ) from None
        return json_answer(
            compact(
                {
                    "accepted": len(found[Taken.ACCEPTED]),
                    "outdated": found[Taken.OUTDATED],
                    "unknown_users": found[Taken.UNKNOWN_USER],
                }
            )
        )

    def _sources_json(self) -> bytes:
        sources = {name.value: connector_of(state) for name, state in self.connectors().items()}
        feeds = {name: connector_of(state) for name, state in self.feeds().items()}
        phones = phones_of(self.phones())
        return compact({"sources": sources, "feeds": feeds, "notes": notes_state_of(self.notes), "phones": phones})


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    answer = json_answer(compact({"error": {"code": error.code, "message": str(error)}}), error.status)
    answer.headers.update(error.headers)
    return answer


async def _answer_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _REFUSED.get(error.status_code, ("not_valid", error.detail))
    return json_answer(compact({"error": {"code": code, "message": message}}), error.status_code)


_REFUSED: Final = {
    404: ("not_found", "There is no such path. GET /openapi.json lists all paths."),
    405: ("method_not_allowed", "This path does not have this method. GET /openapi.json lists all methods."),
}
"""Status -> code and message."""
