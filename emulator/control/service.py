"""The control surface, which guards, routes and answers requests, and turns errors into answers.

It needs no credential: the cloud listens on loopback only, and `guard.py` refuses pages of other sites.
To add an operation, write a function under `@area.operation(…)` in the module of its area; routing and the OpenAPI
description follow from that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.control import guard, page
from emulator.control.operation import PREFIX, ControlRequest, Done
from emulator.control.table import find, methods
from emulator.exchange import Answer, json_answer

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.control.operation import Operation
    from emulator.exchange import Request

__all__ = ["PREFIX", "Control"]

MOST_BODY_BYTES: Final = 1024 * 1024
"""The body of a fault may be a large page; all others are far smaller."""

# How msgspec names the place of a fault: "… - at `$.speed`", "Object contains unknown field `moods` …"
_AT = re.compile(r"(?:at|in) `\$\.?([^`]*)`")
_FIELD = re.compile(r"field `([^`]+)`")


class Control:
    """The control surface of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def handle(self, request: Request) -> Answer:
        """Answer one request to the control surface."""
        refusal = guard.refusal(request)
        if refusal:
            return json_answer({"error": refusal}, 403)
        path = request.path.removeprefix(PREFIX)
        shown = page.find(request, path)
        return shown if shown is not None else self._answered(request, path.strip("/"))

    def _answered(self, request: Request, path: str) -> Answer:
        found = find(request.method, path)
        if found is None:
            return _nothing_there(request.method, path)
        if len(request.body) > MOST_BODY_BYTES:
            return json_answer({"error": f"the body is larger than {MOST_BODY_BYTES} bytes"}, 413)
        operation, where = found
        try:
            told = operation.does(self._cloud, _asked(operation, request, where))
        except (msgspec.MsgspecError, ValueError) as error:
            return json_answer(_slip(str(error)), 400)
        except LookupError as error:
            return json_answer({"error": str(error).strip("'\"")}, 404)
        if isinstance(told, Answer):
            return told
        return json_answer(told) if told is not None and operation.answer is not Done else Answer(204)


def _asked(operation: Operation, request: Request, where: dict[str, str]) -> ControlRequest:
    """Return a request with the types that the operation declares.

    Raises:
        msgspec.MsgspecError: the body or the query is not as declared.
    """
    body = query = None
    if operation.body is not None:
        kind = request.header(b"content-type").partition(";")[0].strip().lower()
        other = kind in operation.media and kind != "application/json"
        body = request.body if other else msgspec.json.decode(request.body or b"{}", type=operation.body)
    if operation.query is not None:
        query = msgspec.convert(request.queries(), operation.query, strict=False)
    return ControlRequest(request=request, where=where, body=body, query=query)


def _nothing_there(method: str, path: str) -> Answer:
    there_is = methods(path)
    if there_is:
        answer = json_answer({"error": f"{path or 'this'} takes {', '.join(there_is)}, not {method}"}, 405)
        answer.headers.append((b"allow", ", ".join(there_is).encode()))
        return answer
    return json_answer({"error": f"there is no {method} {path}; GET {PREFIX} lists the operations"}, 404)


def _slip(text: str) -> dict[str, Any]:
    """Return an error, with the name of the field that it concerns, if any."""
    at, field = _AT.search(text), _FIELD.search(text)
    names = [found.group(1) for found in (at, field) if found is not None and found.group(1)]
    return {"error": text, "field": ".".join(names)} if names else {"error": text}
