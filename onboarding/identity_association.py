"""The file with which Microsoft verifies that the domain of the pages is the publisher's.

Microsoft's description: https://learn.microsoft.com/entra/identity-platform/howto-configure-publisher-domain
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

PATH: Final = "/.well-known/microsoft-identity-association.json"


def route(client_id: str) -> Route:
    """Return the route of the file, which contains only the application's id."""
    content = {"associatedApplications": [{"applicationId": client_id}]}

    async def answer(_request: Request) -> JSONResponse:
        return JSONResponse(content)

    return Route(PATH, answer, methods=["GET"])
