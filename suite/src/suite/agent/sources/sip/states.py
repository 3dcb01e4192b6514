"""Answers of a server -> the state of the connection, and the state of one user. Pure.

| the connector's state | by |
| --- | --- |
| up and running | the server accepts the subscription to the agent's own URI |
| credentials not found | the server does not know the agent's URI, or requests a password and none is set |
| forbidden | it refuses the agent, or its password |
| connection error | no connection, no answer, an error of the server |

| a user's state | by |
| --- | --- |
| `requesting` | no notification yet, or the user has not consented yet |
| `access_denied` | 401, 403, 407, `rejected` |
| `not_found` | 404, 410, 604, `noresource` |
| `error` | any other refusal, no answer, a document that cannot be read |
| `presence_unknown` | a notification without a document: the server has no state of the user |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.sources.source import Connector, ConnectorState
from suite.sip.errors import SipDenied, SipRefusal
from suite.sip.subscriptions import retry_s

if TYPE_CHECKING:
    from suite.sip.errors import SipError
    from suite.sip.subscriptions import SubscriptionEnd

REQUESTING: Final = "requesting"
ACCESS_DENIED: Final = "access_denied"
NOT_FOUND: Final = "not_found"
ERROR: Final = "error"
NOTHING_KNOWN: Final = "presence_unknown"

FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 300.0
"""Longest pause in seconds between subscriptions to one user that fail in a row, unless the server requests a longer one."""
REFUSED_PAUSE_S: Final = 3600.0
"""Pause in seconds after a refusal that only a person can lift: the agent then needs no restart. No server can request a longer one."""

_OF_THE_CONNECTION: Final = frozenset({"unreachable", "no_answer"})
_GOES_ON: Final = frozenset({"deactivated", "timeout", "gone", "expired", "probation", "giveup", "unsubscribed"})
_DENIED: Final = frozenset({401, 403, 407})
_NOBODY: Final = frozenset({404, 410, 604})
_NO_FETCH: Final = 400


def reason_of(end: SubscriptionEnd) -> str:
    """Return the user's state after the end of a subscription; empty if the last state stays valid meanwhile."""
    if end.status in _DENIED or end.reason in ("denied", "rejected"):
        return ACCESS_DENIED
    if end.status in _NOBODY or end.reason == "noresource":
        return NOT_FOUND
    if end.reason in _GOES_ON or end.reason == "unreachable":
        return ""
    return ERROR


def is_of_the_connection(end: SubscriptionEnd) -> bool:
    """Return True when an end concerns the server, and not only this user."""
    return end.reason in _OF_THE_CONNECTION or end.status == 503


def again_s(end: SubscriptionEnd, failures: int, draw: float) -> float:
    """Return the seconds after which to subscribe again.

    Args:
        end: of the subscription.
        failures: earlier subscriptions to this user in a row that ended soon.
        draw: random number from 0 to 1, which spreads the load.
    """
    at_least = retry_s(end)
    if at_least is None:
        return REFUSED_PAUSE_S * (0.75 + draw / 2)
    pause = min(FIRST_PAUSE_S * 2 ** min(failures, 16), LONGEST_PAUSE_S) if failures else 0.0
    return min(max(at_least, pause * (0.5 + draw / 2)), REFUSED_PAUSE_S) + min(at_least, FIRST_PAUSE_S) * draw


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The outcome of one self-check.

    Attributes:
        is_usable: True when the agent may subscribe to colleagues.
        needs_a_person: True when an early retry would not help, and may lock the account.
    """

    state: ConnectorState
    is_usable: bool = False
    needs_a_person: bool = False


def verdict_of(error: SipError | None, uri: str, *, has_password: bool, is_known: bool) -> SelfCheck:
    """Return the outcome of a self-check.

    Args:
        error: None when the server accepted the subscription to the agent's own URI.
        uri: the agent's own.
        has_password: True if a password is set.
        is_known: True if an unknown URI is no fault: a telephone system accepted the login, and only has no such extension. Asterisk
            accepts it and refuses a fetch, with 400: https://github.com/asterisk/asterisk/blob/20/res/res_pjsip_pubsub.c
    """
    if error is None:
        return SelfCheck(ConnectorState(Connector.UP_AND_RUNNING), is_usable=True)
    if isinstance(error, SipDenied) and not has_password:
        detail = f"{error} Set SipSimple.PasswordFile."
        return SelfCheck(ConnectorState(Connector.CREDENTIALS_NOT_FOUND, detail), needs_a_person=True)
    if isinstance(error, SipRefusal):
        return _refused(error, uri, is_known=is_known)
    return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, str(error)))


def _refused(error: SipRefusal, uri: str, *, is_known: bool) -> SelfCheck:
    if error.status in _DENIED:
        detail = f"{error} Check SipSimple.AuthId, SipSimple.PasswordFile and whether {uri} may subscribe."
        return SelfCheck(ConnectorState(Connector.FORBIDDEN, detail), needs_a_person=True)
    if error.status in (*_NOBODY, _NO_FETCH) and is_known:
        return SelfCheck(ConnectorState(Connector.UP_AND_RUNNING), is_usable=True)
    if error.status in _NOBODY:
        detail = f"The server does not know {uri}. Check SipSimple.Uri."
        return SelfCheck(ConnectorState(Connector.CREDENTIALS_NOT_FOUND, detail), is_usable=True)
    if error.status == 489:
        detail = f"{error} Without a presence server, set SipSimple.PresenceServer = 0."
        return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, detail))
    if 300 <= error.status < 400:
        detail = f"{error} It redirects the agent. Set SipSimple.Address to the other server."
        return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, detail))
    return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, str(error)))
