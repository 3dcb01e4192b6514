"""A received request, and the checks that every request passes before its handler is called."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from suite.sip.dialogs import address, new_tag
from suite.sip.errors import MalformedMessage
from suite.sip.flows import Flow
from suite.sip.message import SipRequest, SipResponse, cseq
from suite.sip.replies import reply
from suite.sip.uris import parse_uri

UNDERSTOOD: Final = frozenset({"eventlist"})
"""Option tags that Require may name."""
_MERGED_KEPT: Final = 4096

Refusal = tuple[int, str, tuple[tuple[str, str], ...]]
"""Status, reason, and header fields."""


@dataclass(slots=True, eq=False)
class Incoming:
    """A request to answer, once, by `respond`."""

    request: SipRequest
    flow: Flow
    """The flow of the response; its peer sent the request."""
    key: str
    _answer: Callable[[str, SipResponse], None]
    tag: str = field(default_factory=new_tag)
    """Our tag in the answer, if the request had none."""
    user: str = ""
    """The authenticated user; set by the handler that checked the login."""

    def respond(self, status: int, reason: str, *fields: tuple[str, str], body: bytes = b"") -> None:
        """Send the response. A second call does nothing."""
        self._answer(self.key, reply(self.request, status, reason, *fields, body=body, to_tag=self.tag))


def refusal(request: SipRequest, allowed: str | None) -> Refusal | None:
    """Return the refusal of an invalid request (RFC 3261 8.2), or None. `allowed` is the value of Allow if its method has no handler."""
    if allowed is not None:
        return 405, "Method Not Allowed", (("Allow", allowed),)
    try:
        if not address(request.headers, "from").tag:
            return 400, "From Has No Tag", ()
        address(request.headers, "to")
        if not request.uri.lower().startswith(("sip:", "sips:", "tel:")):
            return 416, "Unsupported URI Scheme", ()
        parse_uri(request.uri)
    except MalformedMessage as error:
        return 400, str(error).rstrip("."), ()
    unknown = request.headers.tokens("require") - UNDERSTOOD
    if unknown:
        return 420, "Bad Extension", (("Unsupported", ", ".join(sorted(unknown))),)
    if request.headers.tokens("content-encoding") - {"identity"}:
        return 415, "Unsupported Media Type", (("Accept-Encoding", "identity"),)
    return None


@dataclass(slots=True)
class MergedRequests:
    """Recognises requests that arrived twice by different paths (RFC 3261 8.2.2.2), for `seconds`."""

    seconds: float
    _seen: OrderedDict[tuple[str, str, int, str], tuple[str, float]] = field(default_factory=OrderedDict)

    def is_merged(self, request: SipRequest, key: str, now: float) -> bool:
        """Return whether a request outside of dialogs came before in another transaction."""
        if address(request.headers, "to").tag:
            return False
        number, method = cseq(request.headers)
        identity = (request.headers.first("call-id") or "", address(request.headers, "from").tag, number, method)
        before = self._seen.get(identity)
        if before is not None and now - before[1] < self.seconds:
            return before[0] != key
        self._seen[identity] = (key, now)
        self._seen.move_to_end(identity)
        if len(self._seen) > _MERGED_KEPT:
            self._seen.popitem(last=False)
        return False
