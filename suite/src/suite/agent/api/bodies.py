"""Request bodies: bounded in time and size, and checked field by field."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from suite.agent.core.values import RichState, TelephonyState
from suite.agent.sources.local import ToldState
from suite.names import MAX_NAME_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

MOST_BYTES: Final = 1024 * 1024
SMALL_BYTES: Final = 64 * 1024
MOST_LARGE: Final = 16
"""Limit of bodies above `SMALL_BYTES` that are received at once, so that all bodies take at most 100 MB. More are answered 503."""
BODY_S: Final = 10.0
"""Timeout of a whole body; on loopback it takes milliseconds."""
MOST_STATES: Final = 1000
CONNECTOR_CHARS: Final = 64
LONGEST_LIFETIME_S: Final = 24 * 3600
DEFAULT_LIFETIME_S: Final = 3600
LARGEST_SEQUENCE: Final = 2**53 - 1
"""The largest whole number that all JSON parsers represent exactly."""


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        ApiError: it is too large or too slow, or is not a JSON object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "not_json", "Send the body with Content-Type: application/json.")
    too_large = ApiError(413, "too_large", f"The limit of a body is {MOST_BYTES:,} bytes.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length[:18]) > MOST_BYTES:
        raise too_large
    body = bytearray()
    with contextlib.ExitStack() as large:
        try:
            async with asyncio.timeout(BODY_S):
                async for piece in request.stream():
                    if len(body) <= SMALL_BYTES < len(body) + len(piece):
                        large.enter_context(_one_large())
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise too_large
        except TimeoutError:
            raise ApiError(408, "too_slow", "The body did not arrive in time.", {"connection": "close"}) from None
        except ClientDisconnect:
            raise ApiError(
                400, "not_whole", "The body is incomplete."
            ) from None  # the client has gone and does not read this
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "not_json", "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise ApiError(400, "not_an_object", "The body must be a JSON object.")
    return value


_large_now: set[object] = set()


@contextlib.contextmanager
def _one_large() -> Iterator[None]:
    """Take one of the places for large bodies within the context.

    Raises:
        ApiError: no place is free.
    """
    if len(_large_now) >= MOST_LARGE:
        raise ApiError(503, "busy", "Too many large bodies are being received. Try again.", {"retry-after": "1"})
    place = object()
    _large_now.add(place)
    try:
        yield
    finally:
        _large_now.discard(place)


def told_states(body: dict[str, Any], kind: type[TelephonyState] | type[RichState]) -> tuple[str, list[ToldState]]:
    """Return the connector's name and the states of a body.

    Raises:
        ApiError: a part of it is invalid, so none of it is used.
    """
    check_fields(body, {"connector", "states"}, "the body")
    connector, states = body.get("connector", "default"), body.get("states")
    if not isinstance(connector, str) or not 0 < len(connector) <= CONNECTOR_CHARS:
        raise not_valid(f"connector must be a text of 1 to {CONNECTOR_CHARS} characters.")
    if not isinstance(states, list) or len(states) > MOST_STATES:
        raise not_valid(f"states must be a list of at most {MOST_STATES:,}.")
    return connector, [_told(state, kind, f"states[{place}]") for place, state in enumerate(states)]


def _told(state: Any, kind: type[TelephonyState] | type[RichState], where: str) -> ToldState:
    if not isinstance(state, dict):
        raise not_valid(f"{where} must be an object.")
    check_fields(state, {"user", "state", "sequence", "expires_s"}, where)
    user, word = state.get("user"), state.get("state")
    if not isinstance(user, str) or not 0 < len(user) <= MAX_NAME_CHARS:
        raise not_valid(f"{where}.user must be a login, UPN, SIP address or extension.")
    if not isinstance(word, str) or word not in set(kind):
        raise not_valid(f"{where}.state must be one of {', '.join(kind)}.")
    return ToldState(
        user=user,
        state=kind(word),
        sequence=whole_number(state.get("sequence"), 0, LARGEST_SEQUENCE, f"{where}.sequence"),
        lifetime=timedelta(
            seconds=whole_number(
                state.get("expires_s", DEFAULT_LIFETIME_S), 1, LONGEST_LIFETIME_S, f"{where}.expires_s"
            )
        ),
    )


def whole_number(value: Any, least: int, most: int, where: str) -> int:
    """Return a value after checking that it is a whole number between two limits, both included.

    Raises:
        ApiError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise not_valid(f"{where} must be a whole number from {least} to {most}.")
    return value


def check_fields(value: dict[str, Any], known: set[str], where: str) -> None:
    """Check that an object has only known fields.

    Raises:
        ApiError: it has an unknown field.
    """
    unknown = sorted(value.keys() - known)
    if unknown:
        raise not_valid(f"{where} has {unknown[0][:40]!r}, which is not known.")


def not_valid(message: str) -> ApiError:
    """Return the error for an invalid request."""
    return ApiError(400, "not_valid", message)
