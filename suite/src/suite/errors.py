"""The errors that the library raises.

SuiteError
├── ConfigError    a setting cannot be right: address, key, certificate, proxy
├── TooManyUsers   more users than one stream may watch; nothing was changed
└── Refused        the relay refuses this suite, and trying again unchanged cannot help: a person must act
"""

from __future__ import annotations


class SuiteError(Exception):
    """Base of all errors of this library. The text is in plain words and holds no secret."""


class ConfigError(SuiteError):
    """A setting that cannot be right, such as an address or a key."""


class TooManyUsers(SuiteError):
    """More users than one stream may watch."""


class Refused(SuiteError):
    """The relay refuses this suite; the client has stopped.

    Attributes:
        reason: the relay's reason (`ERROR_REASON_SUITE_KEY_REVOKED`), or the gRPC code's name when it gave none.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
