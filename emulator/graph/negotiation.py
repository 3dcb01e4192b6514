"""The `Accept` header: JSON, and the amount of OData metadata in it.

https://learn.microsoft.com/graph/errors has the 406; https://docs.oasis-open.org/odata/odata-json-format/v4.0/ the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from emulator.graph.errors import GraphError

if TYPE_CHECKING:
    from emulator.exchange import Answer, Request

_JSON: Final = {"*/*", "application/*", "application/json", "text/*", "text/plain"}
_PLAIN: Final = b"application/json;odata.metadata=%b;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_KEPT: Final = {"@odata.nextLink", "@odata.deltaLink", "@odata.count"}
"""The parts of an answer without any metadata."""


def check(request: Request) -> None:
    """Check that the client accepts JSON.

    Raises:
        GraphError: 406, the client does not accept JSON.
    """
    accepted = request.header(b"accept").lower()
    kinds = {each.partition(";")[0].strip() for each in accepted.split(",")}
    if accepted.strip() and kinds.isdisjoint(_JSON):
        raise GraphError(406, "NotAcceptable", f"The requested format '{accepted[:100]}' is not supported.")


def answer(request: Request, found: Answer) -> None:
    """Set the content type of an answer, and remove the metadata that the client does not want."""
    bare = b"odata.metadata=none" in request.headers.get(b"accept", b"").lower().replace(b" ", b"")
    found.content_type = _PLAIN % (b"none" if bare else b"minimal")
    if bare and b"@odata." in found.body:
        found.body = msgspec.json.encode(_bare(msgspec.json.decode(found.body)))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(each) for name, each in value.items() if not name.startswith("@odata.") or name in _KEPT}
    return [_bare(each) for each in value] if isinstance(value, list) else value
