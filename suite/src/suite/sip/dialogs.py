"""Dialogs (RFC 3261 12), without I/O: tags, CSeq, route set and remote target."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from suite.sip.errors import MalformedMessage
from suite.sip.headers import Headers
from suite.sip.message import SipRequest, SipResponse, cseq
from suite.sip.uris import NameAddr, parse_name_addr

DialogId = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""


def new_tag() -> str:
    """Return a random tag. It must not be guessable, because Call-ID and tags are enough to end a dialog."""
    return secrets.token_hex(12)


def address(headers: Headers, name: str) -> NameAddr:
    """Return the parsed From or To.

    Raises:
        MalformedMessage: it is not valid.
    """
    return parse_name_addr(headers.first(name) or "")


def contact(headers: Headers) -> str | None:
    """Return the URI of the first Contact; None without a valid one."""
    for value in headers.values("contact"):
        try:
            return parse_name_addr(value).text
        except MalformedMessage:
            return None
    return None


@dataclass(slots=True, kw_only=True)
class Dialog:
    """One side's view of a dialog. It is early until `remote_tag` is known."""

    call_id: str
    local: str
    """Our URI, as it stands in From or To."""
    remote: str
    remote_target: str
    """The Request-URI: at first the URI of the resource, later the peer's Contact."""
    local_tag: str = field(default_factory=new_tag)
    remote_tag: str = ""
    local_cseq: int = 0
    remote_cseq: int | None = None
    routes: tuple[str, ...] = ()
    """Route set, in the order of Route."""

    @classmethod
    def starting(cls, local: str, remote: str) -> Dialog:
        """Return a dialog whose first request is ours."""
        return cls(call_id=secrets.token_hex(16), local=local, remote=remote, remote_target=remote)

    @classmethod
    def of_request(cls, request: SipRequest) -> Dialog:
        """Return the dialog that a request of the peer begins.

        Raises:
            MalformedMessage: From, To or Contact are not valid.
        """
        sender, target = address(request.headers, "from"), contact(request.headers)
        if not sender.tag or target is None:
            raise MalformedMessage("From has no tag, or there is no valid Contact.")
        return cls(
            call_id=request.headers.first("call-id") or "",
            local=address(request.headers, "to").text,
            remote=sender.text,
            remote_target=target,
            remote_tag=sender.tag,
            remote_cseq=cseq(request.headers)[0],
            routes=tuple(request.headers.values("record-route")),
        )

    @property
    def id(self) -> DialogId:
        """Return the key of this dialog."""
        return (self.call_id, self.local_tag, self.remote_tag)

    def request(self, method: str, *fields: tuple[str, str], body: bytes = b"") -> SipRequest:
        """Return our next request. Via and Contact are added when it is sent."""
        self.local_cseq += 1
        remote_tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        headers = Headers.of(
            *(("Route", route) for route in self.routes),
            ("Max-Forwards", "70"),
            ("From", f"<{self.local}>;tag={self.local_tag}"),
            ("To", f"<{self.remote}>{remote_tag}"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.local_cseq} {method}"),
            *fields,
        )
        return SipRequest(method=method, uri=self.remote_target, headers=headers, body=body)

    def established(self, response: SipResponse) -> None:
        """Take a 2xx. The first one sets the peer's tag and, in reverse, the route set; each one sets the remote target.

        Raises:
            MalformedMessage: To is not valid.
        """
        tag = address(response.headers, "to").tag
        routes = tuple(reversed(response.headers.values("record-route")))
        if not self.remote_tag:
            self.remote_tag, self.routes = tag, routes
        elif not self.routes and self.remote_tag == tag:
            # A NOTIFY came first, and the proxy added Record-Route to the 2xx only.
            self.routes = routes
        self.move_target(response.headers)

    def established_by(self, request: SipRequest) -> None:
        """Take a NOTIFY that comes before the 2xx (RFC 6665 4.4.1): the peer's tag and the route set.

        Raises:
            MalformedMessage: From is not valid.
        """
        self.remote_tag = address(request.headers, "from").tag
        self.routes = tuple(request.headers.values("record-route"))
        self.move_target(request.headers)

    def in_order(self, request: SipRequest) -> bool:
        """Return whether the CSeq of the peer's request is higher than any before. If so, it is recorded."""
        number, _ = cseq(request.headers)
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def move_target(self, headers: Headers) -> None:
        """Set the remote target to the peer's Contact, if there is one."""
        self.remote_target = contact(headers) or self.remote_target
