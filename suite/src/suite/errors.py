"""The errors that the library raises.

SuiteError
├── ConfigError    a setting is invalid: address, key, certificate, proxy
├── TooManyUsers   more users than one stream may watch; nothing was changed
└── Refused        the relay refuses this suite, and a retry cannot help: an administrator must act
"""

from __future__ import annotations


class SuiteError(Exception):
    """Base of all errors of this library. The text is for users and contains no secret."""


class ConfigError(SuiteError):
    """A setting is invalid, such as an address or a key."""


class TooManyUsers(SuiteError):
    """More users than one stream may watch."""


class Refused(SuiteError):
    """The relay refuses this suite; the client has stopped.

    Attributes:
        reason: the relay's reason (`ERROR_REASON_SUITE_KEY_REVOKED`), or the name of the gRPC code when there is none.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
