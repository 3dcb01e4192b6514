"""The parameters of a request, each at most once and of sensible size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import msgspec

from emulator.entra.refusals import CLAIMS, DUPLICATED, MALFORMED, MISSING, TOO_LONG, Refused

if TYPE_CHECKING:
    from emulator.exchange import Request

MOST_QUERY_BYTES: Final = 16_384
MOST_BODY_BYTES: Final = 131_072
_MOST_FIELDS: Final = 100


def of_query_or_body(request: Request) -> dict[str, str]:
    """Return the parameters of a request that may be a GET or a POST.

    Raises:
        Refused: they are too long or too many, or one occurs twice.
    """
    return of_body(request) if request.method == "POST" else of_query(request)


def of_query(request: Request) -> dict[str, str]:
    """Return the query's parameters. Raises as `of_query_or_body`."""
    if len(request.query) > MOST_QUERY_BYTES:
        raise Refused(TOO_LONG)
    return _once(request.query.decode("latin-1"))


def of_body(request: Request) -> dict[str, str]:
    """Return the body's parameters. Raises as `of_query_or_body`."""
    if len(request.body) > MOST_BODY_BYTES:
        raise Refused(MALFORMED)
    return _once(request.body.decode("utf-8", "replace"))


def demand(asked: dict[str, str], name: str) -> str:
    """Return the value of a required parameter.

    Raises:
        Refused: it is missing or empty.
    """
    if not asked.get(name):
        raise Refused(MISSING, name=name)
    return asked[name]


def of_version_1(asked: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a version 1 endpoint in the form of version 2: a resource becomes all its scopes.

    Raises:
        Refused: there is no resource.
    """
    return {**asked, "scope": f"openid profile offline_access {demand(asked, 'resource').rstrip('/')}/.default"}


def capabilities(asked: dict[str, str]) -> tuple[str, ...]:
    """Return the capabilities that an application states in `claims`: https://learn.microsoft.com/entra/identity-platform/claims-challenge

    Raises:
        Refused: `claims` is not valid JSON of the expected form.
    """
    text = asked.get("claims")
    if not text:
        return ()
    try:
        wanted = msgspec.json.decode(text, type=_Claims)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Refused(CLAIMS) from None
    client = wanted.access_token.xms_cc if wanted.access_token is not None else None
    return tuple(dict.fromkeys(value.lower() for value in client.values)) if client is not None else ()


class _Claim(msgspec.Struct):
    """One requested claim; claims other than `xms_cc` may have any value."""

    values: list[str] = []


class _AccessToken(msgspec.Struct):
    xms_cc: _Claim | None = None


class _Claims(msgspec.Struct):
    access_token: _AccessToken | None = None


def _once(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused(MALFORMED) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(DUPLICATED, name=name[:100])
        found[name] = value
    return found
