"""Exceptions of `suite.sip`.

SipError
  MalformedMessage   a message that cannot be parsed; `status` is the response to it, if there can be one
  BadDocument        a body that cannot be parsed: presence, a list, dialogs, multipart
  SipUnreachable     no connection, TLS failed, or the peer closed
  SipTimeout         no answer in time (RFC 3261 timer F)
  SipRefusal         the peer answered with 300 or more
    SipDenied        401 or 407 again after the answer to its challenge, or a challenge that cannot be answered
"""

from __future__ import annotations


class SipError(Exception):
    """Base class. The text is for people, and contains no secret."""


class MalformedMessage(SipError):
    """A message that cannot be parsed. `status` is the status of the response to it."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class BadDocument(SipError):
    """A body that cannot be parsed: too big, too deep, not XML, or not of its content type."""


class SipUnreachable(SipError):
    """The peer cannot be reached: no connection, TLS failed, or it closed the connection."""


class SipTimeout(SipError):
    """The peer did not answer within the time of RFC 3261, 32 seconds."""


class SipRefusal(SipError):
    """The peer answered with an error.

    `retry_after_s` is its Retry-After, and `min_expires` its Min-Expires (423), in seconds; None without one.
    """

    def __init__(
        self, status: int, reason: str, *, retry_after_s: float | None = None, min_expires: int | None = None
    ) -> None:
        super().__init__(f"The server answered {status} {reason}.")
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.min_expires = min_expires


class SipDenied(SipRefusal):
    """The peer refuses the user name and password, or its challenge is not supported."""
