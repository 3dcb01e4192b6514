"""Checks that a form was sent from a page of ours, and parses its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from pages.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_FIELDS: Final = 20
_FORM: Final = "application/x-www-form-urlencoded"


async def ours(request: Request, public_url: str, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """Return the fields of a form that was sent from a page of ours. The caller checks its token.

    Raises:
        ProblemError: it was sent from elsewhere, or it is not a form.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if origin not in (None, public_url) or site not in ("same-origin", "none"):
        raise ProblemError("form_stale")
    return await fields_of(request, max_fields)


async def fields_of(request: Request, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """Return a form's fields as field -> text, without checking its source.

    Raises:
        ProblemError: it is not a form, or has more fields than `max_fields`, or one twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise ProblemError("bad_request")
    return _pairs(await request.body(), max_fields)


def query_of(request: Request, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """Return the fields of a URL's query string as field -> text.

    Raises:
        ProblemError: see `fields_of`.
    """
    return _pairs(request.url.query.encode(errors="replace"), max_fields)


def _pairs(text: bytes, max_fields: int) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=max_fields)
    except ValueError:  # not UTF-8, or too many fields
        raise ProblemError("bad_request") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ProblemError("bad_request")  # a field that comes twice: two parsers might read different values
    return found


def will_be_seen(request: Request) -> bool:
    """Return whether a person will see the page: the request is neither a HEAD nor a prefetch."""
    ahead = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return request.method == "GET" and "prefetch" not in ahead
