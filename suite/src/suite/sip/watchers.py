"""The notifier's side of a subscription (RFC 6665 4.2), without I/O: what each SUBSCRIBE is answered, and what each NOTIFY says."""

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
    """Bounds of all subscriptions of others."""

    shortest_s: int = 60
    """A shorter Expires than this is answered 423, but for 0."""
    longest_s: int = 3600
    """A longer one is granted as this."""
    watchers: int = 20_000
    watchers_of_an_address: int = 10_000
    """A proxy brings those of all its phones."""
    header_chars: int = 8192
    """Of a SUBSCRIBE: they are kept as long as the subscription, and its routes go out with each NOTIFY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyBody:
    """The body of a NOTIFY, with its type."""

    content_type: str
    body: bytes


def wanted_s(request: SipRequest, limits: NotifierLimits) -> int | None:
    """Return the seconds to grant; None: too short, to be answered 423."""
    said = delta_s(request.headers.first("expires"))
    seconds = int(DEFAULT_EXPIRES_S if said is None else said)
    if 0 < seconds < limits.shortest_s:
        return None
    return min(seconds, limits.longest_s)


def accepts(request: SipRequest, content_type: str) -> bool:
    """Return whether a SUBSCRIBE takes bodies of this type; without Accept it takes what is usual for its event."""
    offered = request.headers.tokens("accept")
    main = content_type.partition("/")[0]
    return not offered or bool(offered & {content_type, f"{main}/*", "*/*"})


def supports_lists(request: SipRequest) -> bool:
    """Return whether a SUBSCRIBE takes bodies of a list (RFC 4662)."""
    return "eventlist" in request.headers.tokens("supported") | request.headers.tokens("require")


def dialog_of(request: SipRequest) -> DialogId:
    """Return the dialog that a SUBSCRIBE within one names: Call-ID, our tag, the peer's tag."""
    headers = request.headers
    return (headers.first("call-id") or "", address(headers, "to").tag, address(headers, "from").tag)


def event_package(request: SipRequest) -> str:
    """Return the event package in small letters, without parameters; "" without one."""
    return parameters(request.headers.first("event") or "")[0].lower()


@dataclass(slots=True, kw_only=True)
class WatcherState:
    """One subscription of somebody."""

    dialog: Dialog
    event: str
    """As the SUBSCRIBE has it, with `id`."""
    expires_at: float
    version: int = 0
    """Counts the bodies that were told, for documents that have a version."""

    def notify(
        self, now: float, told: NotifyBody | None, *, reason: str = "", retry_after_s: int | None = None
    ) -> SipRequest:
        """Return the next NOTIFY. With a `reason` it is the last one."""
        if reason:
            state = f"terminated;reason={reason}" + (
                f";retry-after={retry_after_s}" if retry_after_s is not None else ""
            )
        else:
            state = f"active;expires={max(0, round(self.expires_at - now))}"
        fields = [("Event", self.event), ("Subscription-State", state)]
        if told is not None:
            fields.append(("Content-Type", told.content_type))
        return self.dialog.request("NOTIFY", *fields, body=told.body if told is not None else b"")
