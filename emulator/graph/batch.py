"""`$batch`: up to 20 requests in one, each refused and throttled on its own, answered in no particular order.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import msgspec

from emulator.exchange import Answer, Request, json_answer
from emulator.graph.errors import bad_request

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

MOST: Final = 20


class Part(msgspec.Struct, kw_only=True):
    """One request of a batch."""

    id: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"")
    depends_on: list[str] = msgspec.field(default_factory=list, name="dependsOn")


class Batch(msgspec.Struct):
    """A batch."""

    requests: list[Part]


def answer(request: Request, handle: Callable[[Request], Answer], chance: random.Random) -> Answer:
    """Answer a batch; `handle` answers one request of it.

    Raises:
        GraphError: 400, the batch itself is wrong.
    """
    parts = _parts(request)
    statuses: dict[str, int] = {}
    found = []
    for part in parts:
        failed = [other for other in part.depends_on if not 200 <= statuses.get(other, 0) < 300]
        inner = _failed_dependency() if failed else handle(_inner(request, part))
        statuses[part.id] = inner.status
        found.append(_told(part.id, inner))
    chance.shuffle(found)
    return json_answer({"responses": found})


def _parts(request: Request) -> list[Part]:
    try:
        parts = msgspec.json.decode(request.body, type=Batch).requests
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"Invalid batch payload format. {error}") from error
    if not parts:
        raise bad_request("Invalid batch payload format: there are no requests.")
    if len(parts) > MOST:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST}.", "MaxRequestsExceeded")
    if len({part.id for part in parts}) < len(parts):
        raise bad_request("Invalid batch payload: the ids of the requests are not unique.")
    return parts


def _inner(request: Request, part: Part) -> Request:
    path, _, query = part.url.partition("?")
    headers = {name.lower().encode(): value.encode("latin-1", "replace") for name, value in part.headers.items()}
    headers.setdefault(b"authorization", request.headers.get(b"authorization", b""))
    return Request(
        method=part.method.upper(), path=f"/v1.0/{unquote(path).lstrip('/')}", query=query.encode("utf-8"),
        headers=headers, body=bytes(part.body),
    )  # fmt: skip


def _told(part_id: str, inner: Answer) -> dict[str, object]:
    headers = {name.decode().title(): value.decode() for name, value in inner.headers}
    headers["Content-Type"] = inner.content_type.decode()
    return {"id": part_id, "status": inner.status, "headers": headers, "body": msgspec.Raw(inner.body or b"null")}


def _failed_dependency() -> Answer:
    return json_answer(
        {"error": {"code": "FailedDependency", "message": "A request that this one depends on failed."}}, 424
    )
