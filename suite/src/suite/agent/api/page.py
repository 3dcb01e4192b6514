"""The page of the agent at `/`: files of this package, under a strict Content-Security-Policy. It uses the local API like any console."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

_FIRST: Final = "index.html"
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
}
# Trusted types make browsers refuse markup from text, so that notes and names cannot become part of the page.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Browsers revalidate each file, so that a new version of the agent is never mixed with an old page.
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    type: str
    tag: str

    def answer(self, request: Request) -> Response:
        headers = {**_HEADERS, "etag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.type)


def page_routes() -> list[Route]:
    """Return the routes of the page: itself, and its files below `/page`."""
    files = _files()

    async def first(request: Request) -> Response:
        return files[_FIRST].answer(request)

    async def other(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return found.answer(request)

    return [
        Route("/", first, methods=["GET"], include_in_schema=False),
        Route("/page/{name}", other, methods=["GET"], include_in_schema=False),
    ]


def _files() -> dict[str, _File]:
    found = {}
    for path in resources.files("suite.agent.api").joinpath("static").iterdir():
        content = path.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        found[path.name] = _File(content, _TYPES[path.name.rpartition(".")[2]], tag)
    return found
