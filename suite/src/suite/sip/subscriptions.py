"""The subscriber's side of a subscription (RFC 6665 4.1), without I/O: responses, NOTIFYs and the time are arguments.

SUBSCRIBE ──► trying ──2xx──► accepted ──NOTIFY──► notified ──► refresh, before it expires
                └───────────────NOTIFY first────────┘
                                 │ timer N: no NOTIFY within 32 s of the 2xx
ended ◄── NOTIFY `terminated`, a refusal, no NOTIFY, or expiry
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from suite.sip.dialogs import Dialog, address
from suite.sip.errors import MalformedMessage
from suite.sip.headers import parameters
from suite.sip.message import SipRequest, SipResponse
from suite.sip.replies import delta_s

_SHORTEST_S: Final = 5.0
_LONGEST_S: Final = 24 * 3600.0
_LONGEST_RETRY_S: Final = 3600.0
Due = Literal["refresh", "silent", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A NOTIFY that belongs to a subscription of ours."""

    state: str
    """`active`, `pending` or `terminated`; any other value counts as `active`."""
    reason: str = ""
    retry_after_s: float | None = None
    content_type: str = ""
    """In lower case, without parameters; "" without a body."""
    content_type_line: str = ""
    body: bytes = b""

    @property
    def is_end(self) -> bool:
        """Return whether it is the last one."""
        return self.state == "terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionEnd:
    """The end of a subscription, and its reason."""

    reason: str
    """A reason of RFC 6665 4.1.3 (`deactivated`, `timeout`, `probation`, `rejected`, `giveup`, `noresource`, `invariant`), or `refused`,
    `denied`, `silent` (accepted, and no NOTIFY), `unreachable`, `no_answer`, `gone` (481), `expired`, `unsubscribed`."""
    status: int | None = None
    """The status of the server's refusal."""
    retry_after_s: float | None = None
    text: str = ""
    """An explanation for people."""


def retry_s(end: SubscriptionEnd) -> float | None:
    """Return the least seconds to wait before subscribing again; None: do not, until somebody has changed something.

    An hour at most, whatever the server asks for. Callers add jitter, and wait longer for a subscription that ends repeatedly.
    """
    asked = None if end.retry_after_s is None else min(end.retry_after_s, _LONGEST_RETRY_S)
    if end.reason in ("rejected", "noresource", "denied", "invariant", "unsubscribed"):
        return None
    if end.reason in ("deactivated", "timeout", "gone", "expired"):
        return asked or 0.0
    if end.reason == "refused":
        transient = end.status in (408, 480, 500, 502, 503, 504) or asked is not None
        return (asked or 60.0) if transient else None
    return asked or 30.0


def read_notification(request: SipRequest) -> Notification:
    """Parse a NOTIFY.

    Raises:
        MalformedMessage: it has no Subscription-State.
    """
    state, said = parameters(request.headers.first("subscription-state") or "")
    if not state:
        raise MalformedMessage("NOTIFY has no Subscription-State.")
    line = (request.headers.first("content-type") or "") if request.body else ""
    return Notification(
        state=state.lower(),
        reason=said.get("reason", "").lower(),
        retry_after_s=delta_s(said.get("retry-after")),
        content_type=parameters(line)[0].lower(),
        content_type_line=line,
        body=request.body,
    )


@dataclass(slots=True, kw_only=True)
class SubscriberState:
    """One subscription of ours."""

    dialog: Dialog
    event: str
    """Event package, with `;id=` where there is one."""
    expires_s: int
    """The Expires that we send."""
    share: float = 0.85
    """Refresh after this share of the time. Callers draw it at random, so that many subscriptions do not refresh at once."""
    patience_s: float = 32.0
    """Timer N: how long to wait for the first NOTIFY."""
    expires_at: float | None = None
    refresh_at: float | None = None
    notify_by: float | None = None
    was_notified: bool = False

    def next_due(self) -> float | None:
        """Return when to call `due`; None for never."""
        times = [at for at in (self.expires_at, self.refresh_at, self.notify_by) if at is not None]
        return min(times, default=None)

    def due(self, now: float) -> Due | None:
        """Return the action that is due, or None."""
        if self.notify_by is not None and now >= self.notify_by:
            return "silent"
        if self.expires_at is not None and now >= self.expires_at:
            return "expired"
        if self.refresh_at is not None and now >= self.refresh_at:
            return "refresh"
        return None

    def accepted(self, response: SipResponse, now: float) -> None:
        """Take a 2xx to SUBSCRIBE.

        Raises:
            MalformedMessage: To is not valid.
        """
        self.dialog.established(response)
        granted = delta_s(response.headers.first("expires"))
        if self.expires_s:
            self._lasts(self.expires_s if granted is None else granted, now)
        else:
            self.expires_at = self.refresh_at = None  # its last NOTIFY ends it
        if not self.was_notified:
            self.notify_by = now + self.patience_s

    def belongs(self, request: SipRequest) -> bool:
        """Return whether a NOTIFY with this dialog's Call-ID and our tag belongs to this subscription: same remote tag and event."""
        try:
            sender = address(request.headers, "from").tag
        except MalformedMessage:
            return False
        event = request.headers.first("event") or ""
        return bool(sender) and self.dialog.remote_tag in ("", sender) and same_event(event, self.event)

    def notified(self, request: SipRequest, now: float) -> Notification | None:
        """Take a NOTIFY that `belongs`; None if it is older than one before it.

        Raises:
            MalformedMessage: it cannot be read.
        """
        notification = read_notification(request)
        if not self.dialog.in_order(request):
            return None
        if not self.dialog.remote_tag:
            self.dialog.established_by(request)
        else:
            self.dialog.move_target(request.headers)
        self.was_notified, self.notify_by = True, None
        left = delta_s(parameters(request.headers.first("subscription-state") or "")[1].get("expires"))
        if left is not None and not notification.is_end:
            at = now + min(left, _LONGEST_S)
            if self.expires_at is None or at < self.expires_at:
                self._lasts(left, now)
        return notification

    def try_again_at(self, at: float) -> None:
        """Refresh at this time: the last attempt failed, and the subscription may still exist."""
        self.refresh_at = at

    def _lasts(self, seconds: float, now: float) -> None:
        seconds = min(max(seconds, _SHORTEST_S), _LONGEST_S) if seconds else 0.0
        self.expires_at = now + seconds
        self.refresh_at = now + seconds * self.share


def same_event(one: str, other: str) -> bool:
    """Return whether two values of Event have the same package and `id`."""
    (package, said), (other_package, other_said) = parameters(one), parameters(other)
    return package.lower() == other_package.lower() and said.get("id") == other_said.get("id")
