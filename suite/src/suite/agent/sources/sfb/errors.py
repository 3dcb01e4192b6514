"""The errors of a session with the server.

UcwaError
├── UcwaBroken           the connection, or an answer, is not as it must be: try again after a wait
│   ├── UcwaBusy         the server asks to wait
│   ├── UcwaCut          the request took longer than somebody on the way waits: 408, 502 or 504
│   ├── UcwaGone         the resource is not there: 404 or 410
│   └── UcwaUnfit        what was sent is not accepted: 400 or 413
└── UcwaRefused          the server refuses; only a person can change that
    └── UcwaDenied       it refuses this one thing: 403
"""

from __future__ import annotations

from suite.agent.sources.source import Connector


class UcwaError(Exception):
    """Base of the errors of a session. The text is a sentence for a person, without a secret and without presence."""


class UcwaBroken(UcwaError):
    """The connection, or an answer, is not as it must be. Trying again after a wait may help."""


class UcwaBusy(UcwaBroken):
    """The server asks to wait.

    Attributes:
        wait_s: the time that it asks for, in seconds; 0 when it does not say.
    """

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class UcwaCut(UcwaBroken):
    """The request took longer than a proxy, or the server, waits."""


class UcwaGone(UcwaBroken):
    """The resource is not there, or not any more."""


class UcwaUnfit(UcwaBroken):
    """The server does not accept what was sent: something in it is wrong, or it is too much at once."""


class UcwaRefused(UcwaError):
    """The server refuses; only a person can change that.

    Attributes:
        state: in the words of connections.
        is_final: True when asking again could lock the account: nothing is sent until the settings change.
    """

    def __init__(self, state: Connector, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.state = state
        self.is_final = is_final


class UcwaDenied(UcwaRefused):
    """The server refuses this one thing to the user.

    Attributes:
        subcode: the server's word, such as `LimitExceeded`; empty when it gave none.
    """

    def __init__(self, message: str, subcode: str) -> None:
        super().__init__(Connector.FORBIDDEN, message)
        self.subcode = subcode
