"""The routes by which programs add colleagues and remove added ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from suite.agent.added import TooManyColleagues
from suite.agent.api.answers import json_answer
from suite.agent.api.bodies import ApiError, check_fields, not_valid, read_object
from suite.agent.api.notes import refused
from suite.agent.api.shapes import compact
from suite.agent.store.not_kept import NotKept
from suite.agent.users.reading import colleague_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from suite.agent.added import AddedColleagues
    from suite.agent.board import Board
    from suite.agent.users.reading import Colleague

MOST_AT_ONCE: Final = 1000
FIELDS: Final = {"login": "login", "upn": "upn", "sip_uri": "sip", "extension": "extension", "voicemail": "voicemail"}
"""Field -> column of the file of colleagues."""


class ColleaguesApi:
    """The routes of added colleagues."""

    def __init__(self, board: Board, added: AddedColleagues) -> None:
        self._board = board
        self._added = added

    def routes(self) -> list[Route]:
        """Return the routes. They must come after those of notes, whose paths begin in the same way."""
        return [
            Route("/v1/users", self._add, methods=["POST"]),
            Route("/v1/users/{name:path}", self._remove, methods=["DELETE"]),
        ]

    async def _add(self, request: Request) -> Response:
        colleagues = _colleagues(await read_object(request))
        try:
            await self._added.add(colleagues)
        except NotKept as error:
            raise refused(error) from None
        except TooManyColleagues:
            raise ApiError(
                507, "too_many_users", "There is no room for so many colleagues. Put them into the file of colleagues."
            ) from None
        return json_answer(compact({"added": len(colleagues)}))

    async def _remove(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            removed = await self._added.remove(name)
        except NotKept as error:
            raise refused(error) from None
        if removed is None and self._board.find(name) is not None:
            raise ApiError(
                409,
                "not_added",
                "No program added this colleague, who is in the file of colleagues or watched by a console.",
            )
        if removed is None:
            raise ApiError(
                404, "unknown_user", "No colleague was added with this login, or with this UPN and no login."
            )
        return json_answer(compact({"user": removed}))


def _colleagues(body: dict[str, Any]) -> list[Colleague]:
    """Return the colleagues of a body.

    Raises:
        ApiError: a part of it is invalid, so none of it is used.
    """
    check_fields(body, {"users"}, "the body")
    users = body.get("users")
    if not isinstance(users, list) or not 0 < len(users) <= MOST_AT_ONCE:
        raise not_valid(f"users must be a list of 1 to {MOST_AT_ONCE:,}.")
    return [_colleague(user, f"users[{place}]") for place, user in enumerate(users)]


def _colleague(user: Any, where: str) -> Colleague:
    if not isinstance(user, dict):
        raise not_valid(f"{where} must be an object.")
    check_fields(user, set(FIELDS), where)
    if not all(isinstance(value, str) for value in user.values()):
        raise not_valid(f"{where} must have texts only.")
    try:
        return colleague_of({FIELDS[field]: value.strip() for field, value in user.items()})
    except ValueError as error:
        raise not_valid(f"{where} cannot be used. {error}") from None
