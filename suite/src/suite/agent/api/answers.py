"""Responses with a JSON body."""

from __future__ import annotations

from starlette.responses import Response


def json_answer(body: bytes, status: int = 200) -> Response:
    """Return a response that may not be cached, and that browsers do not interpret as a page."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(body, status, media_type="application/json", headers=headers)
