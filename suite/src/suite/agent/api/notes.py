"""The routes of notes: the note about a colleague, its history, and all notes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from suite.agent.api.answers import json_answer
from suite.agent.api.bodies import ApiError, check_fields, not_valid, read_object, whole_number
from suite.agent.api.shapes import compact, earlier_note_of, note_of
from suite.agent.notekeeping.keeper import NotesBusy, TooManyNotes
from suite.agent.notes.text import clean_author, clean_text
from suite.agent.notes.values import LONGEST_LIFETIME_S
from suite.agent.store.not_kept import NotKept
from suite.names import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from suite.agent.board import Board
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.names import Key

_PATH: Final = "/v1/users/{name:path}/note"


class NotesApi:
    """The routes of notes, over one board and its keeper of notes."""

    def __init__(self, board: Board, notes: NoteKeeper) -> None:
        self._board = board
        self._notes = notes

    def routes(self) -> list[Route]:
        """Return the routes. They must come before that of a colleague, whose name may be any text."""
        return [
            Route("/v1/notes", self._all, methods=["GET"]),
            Route(_PATH, self._note, methods=["GET"]),
            Route(_PATH, self._write, methods=["PUT"]),
            Route(_PATH, self._clear, methods=["DELETE"]),
            Route(f"{_PATH}s", self._history, methods=["GET"]),
        ]

    async def _all(self, _request: Request) -> Response:
        parts: list[bytes] = []
        for number, subject in enumerate(self._notes.subjects()):
            parts += [compact(self._about(user, subject)) for user in self._board.about(subject) or (subject,)]
            if number % 500 == 499:
                await asyncio.sleep(0)  # let other tasks run
        return json_answer(b'{"notes":[' + b",".join(parts) + b"]}")

    async def _note(self, request: Request) -> Response:
        return json_answer(compact(self._about(*self._found(request))))

    async def _write(self, request: Request) -> Response:
        user, subject = self._found(request)
        body = await read_object(request)
        check_fields(body, {"text", "author", "expires_s"}, "the body")
        lifetime_s = body.get("expires_s")
        if lifetime_s is not None:
            lifetime_s = whole_number(lifetime_s, 1, LONGEST_LIFETIME_S, "expires_s")
        author = _cleaned(body.get("author"), "author", clean_author)
        if not author:
            raise not_valid("author is required, because consoles show whose note it is.")
        await self._change(subject, _cleaned(body.get("text"), "text", clean_text), author, lifetime_s)
        return json_answer(compact(self._about(user, subject)))

    async def _clear(self, request: Request) -> Response:
        user, subject = self._found(request)
        author = _cleaned(request.query_params.get("author", ""), "author", clean_author)
        if self._notes.shown(subject) is not None:
            await self._change(subject, "", author, None)
        return json_answer(compact(self._about(user, subject)))

    async def _history(self, request: Request) -> Response:
        user, subject = self._found(request)
        shown, clock = self._notes.shown(subject), self._notes.clock
        notes = [earlier_note_of(kept, shown, clock) for kept in self._notes.history(subject)]
        return json_answer(compact({"user": user, "notes": notes}))

    def _found(self, request: Request) -> tuple[Key, Key]:
        """Return a colleague's key on consoles, and its subject for notes. A colleague with a note need not be on the board."""
        name = request.path_params["name"]
        found = self._board.find(name)
        if found is not None:
            return found[0], found[1].subject
        if not self._notes.knows(key_of(name)):
            raise ApiError(404, "unknown_user", "No colleague has this login, UPN, SIP address or extension.")
        return key_of(name), key_of(name)

    def _about(self, user: Key, subject: Key) -> dict[str, Any]:
        return {"user": user, "note": note_of(self._notes.shown(subject), self._notes.clock)}

    async def _change(self, subject: Key, text: str, author: str, lifetime_s: int | None) -> None:
        try:
            await self._notes.write(subject, text, author, lifetime_s)
        except NotKept as error:
            raise refused(error) from None
        except NotesBusy:
            raise ApiError(503, "busy", "Too many notes are being written. Try again in a second.") from None
        except TooManyNotes:
            raise ApiError(507, "too_many_notes", "The agent cannot store more notes. Clear some first.") from None


def refused(error: NotKept) -> ApiError:
    """Return the error for a write that could not be stored."""
    if error.is_full:
        return ApiError(
            507, "store_full", "Nothing was stored: the agent's disk is full. Make room, then write it again."
        )
    return ApiError(503, "store_unavailable", f"Nothing was stored: the agent's store cannot be used ({error}).")


def _cleaned(value: Any, field: str, clean: Callable[[str], str]) -> str:
    if not isinstance(value, str):
        raise not_valid(f"{field} must be a text.")
    try:
        return clean(value)
    except ValueError as error:
        raise not_valid(f"{field} {error}.") from None
