"""Errors of SIP.

SipError
  MalformedMessage   a message that cannot be read; `status` is the answer, if there can be one
  BadDocument        a body that cannot be read: presence, a list, dialogs, multipart
  SipUnreachable     no connection, TLS failed, or the peer closed
  SipTimeout         no answer in time (RFC 3261 timer F)
  SipRefusal         the peer answered with 300 or more
    SipDenied        401 or 407 again after the answer to its challenge, or a challenge that cannot be answered
"""

from __future__ import annotations


class SipError(Exception):
    """Anything of this package. The text is for a person, and holds no secret."""


class MalformedMessage(SipError):
    """A message that cannot be read. `status` is what a request like this is answered with."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class BadDocument(SipError):
    """A body that cannot be read: too big, too deep, not XML, or not what its type says."""


class SipUnreachable(SipError):
    """The peer cannot be reached: no connection, TLS failed, or it closed the connection."""


class SipTimeout(SipError):
    """The peer did not answer within the time of RFC 3261, 32 seconds."""


class SipRefusal(SipError):
    """The peer answered with an error.

    `retry_after_s` is what it asks to wait, and `min_expires` the shortest time that it takes (423); None if it says nothing.
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
    """The peer does not take the user name and password, or asks for them in a way that is not known here."""
