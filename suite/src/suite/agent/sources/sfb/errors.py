"""The errors of a session with the server.

UcwaError
├── UcwaBroken           the connection failed, or an answer is not valid: try again after a wait
│   ├── UcwaBusy         the server asks to wait
│   ├── UcwaCut          the server, or a proxy, timed out: 408, 502 or 504
│   ├── UcwaGone         the resource does not exist: 404 or 410
│   └── UcwaUnfit        the request is invalid or too large: 400 or 413
└── UcwaRefused          the server refuses; only a person can change that
    └── UcwaDenied       it refuses this request: 403
"""

from __future__ import annotations

from suite.agent.sources.source import Connector


class UcwaError(Exception):
    """Base of the errors of a session. The text is a sentence for a person, without a secret and without presence."""


class UcwaBroken(UcwaError):
    """The connection failed, or an answer is not valid. A retry after a wait may help."""


class UcwaBusy(UcwaBroken):
    """The server asks to wait.

    Attributes:
        wait_s: the time that it asks for, in seconds; 0 when it does not say.
    """

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class UcwaCut(UcwaBroken):
    """The server, or a proxy, timed out."""


class UcwaGone(UcwaBroken):
    """The resource does not exist, or no longer."""


class UcwaUnfit(UcwaBroken):
    """The server rejects the request as invalid or too large."""


class UcwaRefused(UcwaError):
    """The server refuses; only a person can change that.

    Attributes:
        state: the state of the connection.
        is_final: True when another attempt could lock the account: nothing is sent until the settings change.
    """

    def __init__(self, state: Connector, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.state = state
        self.is_final = is_final


class UcwaDenied(UcwaRefused):
    """The server refuses this request of the user.

    Attributes:
        subcode: subcode of the error, such as `LimitExceeded`; empty if there is none.
    """

    def __init__(self, message: str, subcode: str) -> None:
        super().__init__(Connector.FORBIDDEN, message)
        self.subcode = subcode
