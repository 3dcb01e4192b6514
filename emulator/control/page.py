"""The page for browsers: files from this package, and no resource from another site."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from emulator.exchange import Answer

if TYPE_CHECKING:
    from emulator.exchange import Request

_FILES: Final = {
    "": ("page.html", b"text/html; charset=utf-8"),
    "page.css": ("page.css", b"text/css; charset=utf-8"),
    **{name: (name, b"text/javascript; charset=utf-8") for name in ("page.js", "people.js", "panels.js", "kit.js")},
}
_GUARDS: Final = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"accept"),
]


def find(request: Request, path: str) -> Answer | None:
    """Return a file of the page; None if the request is not for one.

    Clients that prefer HTML to JSON, such as browsers, get the page itself.
    """
    name, kind = _FILES.get(path, ("", b""))
    if not name or request.method != "GET" or (path == "" and not _wants_html(request.header(b"accept"))):
        return None
    return Answer(200, (files("emulator.control") / "static" / name).read_bytes(), kind, list(_GUARDS))


def _wants_html(accept: str) -> bool:
    kinds = [each.partition(";")[0].strip().lower() for each in accept.split(",")]
    places = [kinds.index(kind) if kind in kinds else len(kinds) for kind in ("text/html", "application/json")]
    return places[0] < places[1]
