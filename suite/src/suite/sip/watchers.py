"""The notifier's side of a subscription (RFC 6665 4.2), without I/O: checks of a SUBSCRIBE, and the NOTIFYs of a subscription."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from suite.sip.dialogs import Dialog, DialogId, address
from suite.sip.headers import parameters
from suite.sip.message import SipRequest
from suite.sip.replies import delta_s

DEFAULT_EXPIRES_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierLimits:
    """Limits of a notifier."""

    shortest_s: int = 60
    """A shorter Expires is answered 423, except for 0."""
    longest_s: int = 3600
    """A longer Expires is reduced to this."""
    watchers: int = 20_000
    watchers_of_an_address: int = 10_000
    """Enough for a proxy with all its phones."""
    header_chars: int = 8192
    """Of a SUBSCRIBE, whose headers are kept with the subscription, and whose routes are sent with each NOTIFY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyBody:
    """The body of a NOTIFY, with its content type."""

    content_type: str
    body: bytes


def wanted_s(request: SipRequest, limits: NotifierLimits) -> int | None:
    """Return the seconds to grant; None if Expires is too short (423)."""
    said = delta_s(request.headers.first("expires"))
    seconds = int(DEFAULT_EXPIRES_S if said is None else said)
    if 0 < seconds < limits.shortest_s:
        return None
    return min(seconds, limits.longest_s)


def accepts(request: SipRequest, content_type: str) -> bool:
    """Return whether a SUBSCRIBE accepts this content type. Without Accept it accepts the default of its event package."""
    offered = request.headers.tokens("accept")
    main = content_type.partition("/")[0]
    return not offered or bool(offered & {content_type, f"{main}/*", "*/*"})


def supports_lists(request: SipRequest) -> bool:
    """Return whether a SUBSCRIBE accepts lists (RFC 4662)."""
    return "eventlist" in request.headers.tokens("supported") | request.headers.tokens("require")


def dialog_of(request: SipRequest) -> DialogId:
    """Return the dialog that a SUBSCRIBE within one names: Call-ID, our tag, the peer's tag."""
    headers = request.headers
    return (headers.first("call-id") or "", address(headers, "to").tag, address(headers, "from").tag)


def event_package(request: SipRequest) -> str:
    """Return the event package in lower case, without parameters; "" without one."""
    return parameters(request.headers.first("event") or "")[0].lower()


@dataclass(slots=True, kw_only=True)
class WatcherState:
    """One subscription to a state of ours."""

    dialog: Dialog
    event: str
    """The value of Event in the SUBSCRIBE, with `id`."""
    expires_at: float
    version: int = 0
    """Number of NOTIFYs sent, for documents that have a version."""

    def notify(
        self, now: float, content: NotifyBody | None, *, reason: str = "", retry_after_s: int | None = None
    ) -> SipRequest:
        """Return the next NOTIFY. With a `reason` it is the last one."""
        if reason:
            state = f"terminated;reason={reason}" + (
                f";retry-after={retry_after_s}" if retry_after_s is not None else ""
            )
        else:
            state = f"active;expires={max(0, round(self.expires_at - now))}"
        fields = [("Event", self.event), ("Subscription-State", state)]
        if content is not None:
            fields.append(("Content-Type", content.content_type))
        return self.dialog.request("NOTIFY", *fields, body=content.body if content is not None else b"")
