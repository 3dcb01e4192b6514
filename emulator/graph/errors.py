"""Refusals in Graph's format. https://learn.microsoft.com/graph/errors"""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.exchange import Answer, json_answer

if TYPE_CHECKING:
    from emulator.exchange import Request

_LOGIN: Final = "https://login.microsoftonline.com"


class GraphError(Exception):
    """A refusal by Graph: status, code and message.

    Attributes:
        status: the HTTP status.
        code: Graph's error code.
        retry_after_s: the value of `Retry-After`; None: no header.
        claims: the claims for the request of a new access token, as JSON in base64; empty: no challenge.
        headers: further headers of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after_s: int | None = None, claims: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.claims = claims
        self.headers: list[tuple[bytes, bytes]] = []


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """Return a 400 with this message."""
    return GraphError(400, code, message)


def unauthenticated(message: str) -> GraphError:
    """Return a 401 for an access token that is missing or invalid."""
    return GraphError(401, "InvalidAuthenticationToken", message)


def challenged(reason: str, *, continuous: bool, now: float) -> GraphError:
    """Return a 401 for a token that ended early, with claims for applications with continuous access evaluation.

    https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    text = f"Continuous access evaluation resulted in challenge with result: InteractionRequired and code: {reason}"
    since = {"access_token": {"nbf": {"essential": True, "value": str(int(now))}}}
    claims = base64.b64encode(msgspec.json.encode(since)).decode() if continuous else ""
    return GraphError(401, "InvalidAuthenticationToken", text, claims=claims)


def answer(error: GraphError, request: Request, request_id: str) -> Answer:
    """Return an error as Graph's JSON answer."""
    inner: dict[str, Any] = {
        "date": f"{datetime.fromtimestamp(request.utc, UTC):%Y-%m-%dT%H:%M:%S}",
        "request-id": request_id,
        "client-request-id": request.header(b"client-request-id") or str(uuid.uuid4()),
    }
    if error.status == 429:  # https://learn.microsoft.com/graph/throttling has this shape
        inner = {"code": "429", "message": "Please retry after", "status": "429", **inner}
    request.reason = f"{error.code}: {error}"
    found = json_answer({"error": {"code": error.code, "message": str(error), "innerError": inner}}, error.status)
    found.content_type = b"application/json"
    found.headers += error.headers
    if error.status == 401:
        found.headers.append((b"www-authenticate", _challenge(error, request)))
    if error.retry_after_s is not None:
        found.headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return found


def _challenge(error: GraphError, request: Request) -> bytes:
    login = request.authority if request.host else _LOGIN
    told = f'Bearer realm="", authorization_uri="{login}/common/oauth2/authorize"'
    if error.claims:
        return f'{told}, error="insufficient_claims", claims="{error.claims}"'.encode()
    return f'{told}, client_id="00000003-0000-0000-c000-000000000000"'.encode()
