"""Answers of a server -> the state of the connection, and the state of one user. Pure.

| the connector's state | by |
| --- | --- |
| up and running | the agent's own URI is answered |
| credentials not found | the server knows nobody of that name, or wants a password and there is none |
| forbidden | it refuses the agent, or its password |
| connection error | no connection, no answer, an error of the server |

| a user's state | by |
| --- | --- |
| `requesting` | nothing has been told yet, or the user has not agreed yet |
| `access_denied` | 401, 403, 407, `rejected` |
| `not_found` | 404, 410, 604, `noresource` |
| `error` | any other refusal, no answer, a document that cannot be read |
| `presence_unknown` | a notification without a document: the server knows nothing of the user |
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
"""Between two subscriptions to a user that fail one after the other, unless the server asks for more."""
REFUSED_PAUSE_S: Final = 3600.0
"""A refusal that only a person can end: asked again at this pace, so that nobody has to restart the agent. No server can ask for more."""

_OF_THE_CONNECTION: Final = frozenset({"unreachable", "no_answer"})
_GOES_ON: Final = frozenset({"deactivated", "timeout", "gone", "expired", "probation", "giveup", "unsubscribed"})
_DENIED: Final = frozenset({401, 403, 407})
_NOBODY: Final = frozenset({404, 410, 604})
_NO_FETCH: Final = 400


def reason_of(end: SubscriptionEnd) -> str:
    """Return the user's state after the end of a subscription; empty when what was told before goes on counting meanwhile."""
    if end.status in _DENIED or end.reason in ("denied", "rejected"):
        return ACCESS_DENIED
    if end.status in _NOBODY or end.reason == "noresource":
        return NOT_FOUND
    if end.reason in _GOES_ON or end.reason == "unreachable":
        return ""
    return ERROR


def is_of_the_connection(end: SubscriptionEnd) -> bool:
    """Return True when the server may be gone, and not only this user."""
    return end.reason in _OF_THE_CONNECTION or end.status == 503


def again_s(end: SubscriptionEnd, failures: int, draw: float) -> float:
    """Return the time after which to subscribe again.

    Args:
        end: of the subscription.
        failures: subscriptions to this user that ended soon, one after the other, before this one.
        draw: from 0 to 1, so that many do not come at once.
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
        is_usable: True when colleagues may be asked for.
        needs_a_person: True when asking again soon is no use, and harms: it may lock the account.
    """

    state: ConnectorState
    is_usable: bool = False
    needs_a_person: bool = False


def verdict_of(error: SipError | None, uri: str, *, has_password: bool, is_known: bool) -> SelfCheck:
    """Return what follows from the answer to the self-check.

    Args:
        error: None when the agent's own URI was answered.
        uri: the agent's own.
        has_password: whether there is a password.
        is_known: True when nobody of that name is no fault: a telephone system took the login, and has no such extension. Asterisk takes it
            and refuses to tell a state only once, with 400: https://github.com/asterisk/asterisk/blob/20/res/res_pjsip_pubsub.c
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
        detail = f"The server knows nobody called {uri}. Check SipSimple.Uri."
        return SelfCheck(ConnectorState(Connector.CREDENTIALS_NOT_FOUND, detail), is_usable=True)
    if error.status == 489:
        detail = f"{error} Without a presence server, set SipSimple.PresenceServer = 0."
        return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, detail))
    if 300 <= error.status < 400:
        detail = f"{error} It sends the agent to another server. Set the address of that one: SipSimple.Address."
        return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, detail))
    return SelfCheck(ConnectorState(Connector.CONNECTION_ERROR, str(error)))
