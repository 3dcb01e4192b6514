"""Access tokens, one for each host that requires one, obtained with the user's name and password.

A host that requires a token answers 401 with the issuer's address. The password is sent only to an issuer on a host that autodiscover
named, and never again after a refusal, because repeated attempts may lock the account.
Source: https://learn.microsoft.com/skype-sdk/ucwa/authenticationinucwa
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from suite.agent.sources.sfb.errors import UcwaBroken, UcwaRefused
from suite.agent.sources.source import Connector

if TYPE_CHECKING:
    from suite.agent.sources.sfb.answers import TokenChallenge
    from suite.agent.sources.sfb.hal import Resource

DEFAULT_LIFE_S: Final = 8 * 3600.0
"""Lifetime of a token in seconds, if the answer has none."""
BETWEEN_S: Final = 30.0
"""Shortest time in seconds between two tokens for a host, so that a host that accepts no token does not cause sign-ins without pause."""
EARLY_S: Final = 300.0
"""A token is renewed so many seconds before it expires, so that none expires in transit."""
MOST_SERVER_ERRORS: Final = 3
"""Answers `server_error` in a row that count as a refusal: each was an attempt to sign in."""
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")
WRONG: Final = (
    "The server does not accept the user name and password. They are not tried again before SfB's settings, or the file of the "
    "password, change: an account may be locked by repeated attempts."
)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    ends: float


class UcwaTokens:
    """The tokens of all hosts, kept across sessions. Times are seconds of a monotonic clock.

    Attributes:
        refusal: the refusal after which nothing is sent any more; None before.
    """

    def __init__(self, between_s: float = BETWEEN_S) -> None:
        self._between_s = between_s
        self._tokens: dict[str, _Token] = {}
        self._came: dict[str, float] = {}
        """Host -> the time at which its newest token came."""
        self._server_errors = 0
        self.refusal: UcwaRefused | None = None

    def of(self, origin: str, now: float) -> str:
        """Return the token for a host; empty when there is none, or it ends soon."""
        token = self._tokens.get(origin)
        return token.value if token is not None and now < token.ends - EARLY_S else ""

    def drop(self, origin: str, value: str) -> None:
        """Forget a token that its host did not accept. A newer token stays."""
        token = self._tokens.get(origin)
        if token is not None and token.value == value:
            del self._tokens[origin]

    def checked(self, origin: str, challenge: TokenChallenge | None, now: float) -> TokenChallenge:
        """Return a host's challenge if it can be answered with the password now.

        Raises:
            UcwaRefused: the server does not offer sign-in with a password, or has refused this password.
            UcwaBroken: the host does not accept a token that was just issued for it.
        """
        if self.refusal is not None:
            raise self.refusal
        if now < self._came.get(origin, -self._between_s) + self._between_s:
            raise UcwaBroken("The server does not accept the token that it gave a moment ago.")
        if challenge is None:
            raise UcwaRefused(Connector.FORBIDDEN, "The server requires another sign-in than that of UCWA on premises.")
        if challenge.grants and "password" not in challenge.grants:
            raise UcwaRefused(Connector.FORBIDDEN, "The server does not offer sign-in with a password.")
        return challenge

    def take(self, origin: str, status: int, answer: Resource, now: float) -> str:
        """Take the issuer's answer, and return the token.

        Args:
            origin: the host that asked for the token.
            status: of the issuer's answer.
            answer: the issuer's answer; an empty one when it could not be read.
            now: the time.

        Raises:
            UcwaRefused: the issuer refuses.
            UcwaBroken: the issuer failed, or its answer has no token.
        """
        token = answer.value.get("access_token")
        if status == 200:
            self._server_errors = 0
            if not isinstance(token, str) or not _TOKEN.fullmatch(token):
                raise UcwaBroken("The server's answer to signing in has no token.")
            self._came[origin] = now
            life_s = answer.seconds("expires_in")
            self._tokens[origin] = _Token(token, now + max(DEFAULT_LIFE_S if life_s is None else life_s, 2 * EARLY_S))
            return token
        raise self._refused(status, answer.text("error"))

    def _refused(self, status: int, error: str) -> Exception:
        if error == "unsupported_grant_type":
            return UcwaRefused(Connector.FORBIDDEN, "The server does not offer sign-in with a password.")
        if error == "server_error" or status in (429, 500, 502, 503, 504):
            self._server_errors += 1
            if self._server_errors < MOST_SERVER_ERRORS:
                return UcwaBroken(f"The server could not sign in the user (status {status}).")
            self._server_errors = 0
            return UcwaRefused(Connector.CONNECTION_ERROR, f"The server cannot sign in the user (status {status}).")
        if status in (400, 401, 403):
            self.refusal = UcwaRefused(Connector.CREDENTIALS_NOT_FOUND, WRONG, is_final=True)
            return self.refusal
        return UcwaBroken(f"The server answers to signing in with status {status}.")
