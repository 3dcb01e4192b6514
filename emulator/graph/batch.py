"""`$batch`: up to 20 requests in one, each refused, throttled and recorded separately, answered in no particular order.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import base64
import binascii
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from emulator.exchange import Answer, Request, json_answer
from emulator.graph.errors import GraphError, bad_request

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Iterator

    from emulator.journal import Journal

MOST: Final = 20
_WRITING: Final = {"POST", "PATCH", "PUT"}
_SHOWN: Final = {
    b"cache-control": "Cache-Control", b"x-ms-resource-unit": "x-ms-resource-unit", b"odata-version": "OData-Version",
    b"retry-after": "Retry-After", b"www-authenticate": "WWW-Authenticate", b"location": "Location",
}  # fmt: skip
"""Headers of parts, in Microsoft's spelling; others are returned unchanged."""
_OUTER: Final = {b"request-id", b"client-request-id", b"strict-transport-security", b"x-ms-ags-diagnostic"}
"""Headers that only the whole answer has."""


class Part(msgspec.Struct, kw_only=True):
    """One request of a batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"")
    depends_on: list[str] = msgspec.field(default_factory=list, name="dependsOn")


class Batch(msgspec.Struct):
    """The body of a batch request."""

    requests: list[Part]


async def answer(
    request: Request, handle: Callable[[Request], Awaitable[Answer]], chance: random.Random, journal: Journal
) -> Answer:
    """Answer a batch. `handle` answers and records each request; requests that are not tried are recorded here.

    Raises:
        GraphError: 400 or 415, the batch itself is invalid.
    """
    statuses: dict[str, int] = {}
    found = []
    for part in _in_order(_parts(request)):
        inner = _inner(request, part)
        if all(200 <= statuses[other.lower()] < 300 for other in part.depends_on):
            answered = await handle(inner)
        else:
            answered = _failed_dependency(inner)
            journal.write(inner, answered, time.monotonic())
        statuses[part.id.lower()] = answered.status
        found.append(_told(part.id, answered))
    chance.shuffle(found)
    return json_answer({"responses": found})


def _parts(request: Request) -> list[Part]:
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if kind and kind != "application/json":
        raise GraphError(415, "UnsupportedMediaType", f"The media type '{kind[:100]}' is not supported.")
    try:
        parts = msgspec.json.decode(request.body, type=Batch).requests
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"Invalid batch payload format. {error}") from error
    if not parts:
        raise bad_request("Invalid batch payload format: there are no requests.")
    if len(parts) > MOST:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST}.", "MaxRequestsExceeded")
    if len({part.id.lower() for part in parts}) < len(parts):  # "not case-sensitive"
        raise bad_request("Invalid batch payload: the ids of the requests are not unique.")
    for part in parts:
        if part.method.upper() in _WRITING and not (_content_type(part) and bytes(part.body)):
            raise bad_request(f"Write request id : {part.id[:100]} does not contain Content-Type header or body.")
    return parts


def _in_order(parts: list[Part]) -> Iterator[Part]:
    """Yield the parts, each after those that it depends on, otherwise in their order.

    Raises:
        GraphError: 400, one depends on a missing part or on itself.
    """
    left = list(parts)
    known, done = {part.id.lower() for part in parts}, set[str]()
    for part in parts:
        for other in part.depends_on:
            if other.lower() not in known:
                raise bad_request(f"Invalid batch payload: there is no request '{other[:100]}' to depend on.")
    order = []
    while left:
        ready = next((part for part in left if all(other.lower() in done for other in part.depends_on)), None)
        if ready is None:
            raise bad_request("Invalid batch payload: the requests depend on each other in a circle.")
        left.remove(ready)
        done.add(ready.id.lower())
        order.append(ready)
    return iter(order)


def _inner(request: Request, part: Part) -> Request:
    path, _, query = part.url.partition("?")
    headers = {name.lower().encode(): value.encode("latin-1", "replace") for name, value in part.headers.items()}
    headers.setdefault(b"authorization", request.headers.get(b"authorization", b""))
    return Request(
        method=part.method.upper(), path=f"/v1.0/{unquote(path).lstrip('/')}", query=query.encode("utf-8"),
        headers=headers, body=_body(part), base=request.base, host=request.host, cloud=request.cloud,
        tenant_id=request.tenant_id, app_id=request.app_id, utc=request.utc,
    )  # fmt: skip


def _content_type(part: Part) -> str:
    return next((value for name, value in part.headers.items() if name.lower() == "content-type"), "")


def _body(part: Part) -> bytes:
    """Return a part's body: JSON unchanged; all other types decoded from base64."""
    raw = bytes(part.body)
    if "json" in _content_type(part).lower() or not raw.startswith(b'"'):
        return raw
    text = msgspec.json.decode(raw, type=str)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return raw


def _told(part_id: str, inner: Answer) -> dict[str, object]:
    headers = {
        _SHOWN.get(name, name.decode()): value.decode("latin-1") for name, value in inner.headers if name not in _OUTER
    }
    if inner.status != HTTPStatus.NO_CONTENT:
        headers["Content-Type"] = inner.content_type.decode()
    return {"id": part_id, "status": inner.status, "headers": headers, "body": _told_body(inner)}


def _told_body(inner: Answer) -> msgspec.Raw | str | None:
    """Return a body for the answer: JSON unchanged, an empty one as null, all other types in base64."""
    if not inner.body:
        return None
    if b"json" in inner.content_type:
        try:
            msgspec.json.decode(inner.body, type=msgspec.Raw)
        except msgspec.DecodeError:  # the body of a fault may be malformed; the batch must stay valid
            return base64.b64encode(inner.body).decode()
        return msgspec.Raw(inner.body)
    return base64.b64encode(inner.body).decode()


def _failed_dependency(inner: Request) -> Answer:
    inner.reason = "FailedDependency"
    return json_answer(
        {"error": {"code": "FailedDependency", "message": "A request that this one depends on failed."}}, 424
    )
