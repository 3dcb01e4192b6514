"""Refusals in Graph's shape."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emulator.exchange import Answer, json_answer

if TYPE_CHECKING:
    from emulator.exchange import Request

_CHALLENGE = (
    b'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    b'client_id="00000003-0000-0000-c000-000000000000"'
)


class GraphError(Exception):
    """Graph refuses."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """The request is wrong."""
    return GraphError(400, code, message)


def unauthenticated(message: str) -> GraphError:
    """The access token is missing or no good."""
    return GraphError(401, "InvalidAuthenticationToken", message)


def answer(error: GraphError, request: Request, request_id: str) -> Answer:
    """The error as an answer."""
    inner: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}",
        "request-id": request_id,
        "client-request-id": request.header(b"client-request-id") or str(uuid.uuid4()),
    }
    if error.status == 429:  # https://learn.microsoft.com/graph/throttling has this shape
        inner = {"code": "429", "message": "Please retry after", "status": "429", **inner}
    request.reason = f"{error.code}: {error}"
    found = json_answer({"error": {"code": error.code, "message": str(error), "innerError": inner}}, error.status)
    if error.status == 401:
        found.headers.append((b"www-authenticate", _CHALLENGE))
    if error.retry_after_s is not None:
        found.headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return found
