"""Forms as they arrive: whether one was sent from a page of ours, and its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from onboarding.problems import Stopped

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_FIELDS: Final = 20
_FORM: Final = "application/x-www-form-urlencoded"


async def ours(request: Request, public_url: str, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """A form's fields, if it was sent from a page of ours. That it was this browser's own page, its token must show.

    Raises:
        Stopped: it was sent from elsewhere, or it is no form.
    """
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    if origin not in (None, public_url) or site not in ("same-origin", "none"):
        raise Stopped("form_stale")
    return await fields_of(request, max_fields)


async def fields_of(request: Request, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """A form's fields, wherever it came from: field -> text.

    Raises:
        Stopped: it is no form, or has more fields than `max_fields`, or one twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise Stopped("bad_request")
    return _pairs(await request.body(), max_fields)


def query_of(request: Request, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """The fields of an address: field -> text.

    Raises:
        Stopped: see `fields_of`.
    """
    return _pairs(request.url.query.encode(errors="replace"), max_fields)


def _pairs(text: bytes, max_fields: int) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=max_fields)
    except ValueError:  # not UTF-8, or too many fields
        raise Stopped("bad_request") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Stopped("bad_request")  # a field that comes twice: two readers might take different ones
    return found


def is_looked_at(request: Request) -> bool:
    """Whether somebody will see the page: neither a HEAD, nor a browser that fetches ahead."""
    ahead = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return request.method == "GET" and "prefetch" not in ahead
