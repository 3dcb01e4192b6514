"""Digest authentication: a client that answers challenges, and a server that makes nonces and checks answers.

Client: a request carries answers to the latest challenges, if there were any. When it is challenged, it is sent again with the answer.
When the same realm challenges it again, the login is denied, unless the server says that the nonce was stale: then it is sent once more.
A request is sent at most four times, so a wrong password never loops.

Server: a nonce contains its time and an HMAC, so it is stored only after an answer to it was right. The highest nonce count is stored
with it, so no answer works twice.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from suite.sip.digest import (
    HASHES,
    Challenge,
    DigestAnswer,
    HashedPassword,
    Login,
    answered,
    expected_response,
    parse_answer,
    parse_challenges,
)
from suite.sip.errors import MalformedMessage, SipDenied
from suite.sip.message import SipRequest, SipResponse
from suite.sip.uris import parse_uri

_ANSWER_FIELD: Final = {401: "authorization", 407: "proxy-authorization"}
_CHALLENGE_FIELD: Final = {401: "www-authenticate", 407: "proxy-authenticate"}
_REALMS_KEPT: Final = 4
"""Realms kept for one login. The oldest is dropped, because a server may make up new ones."""
_MOST_TRIES: Final = 4
"""Enough for a challenge by a proxy, one by the server behind it, and a stale nonce of one of them."""
_MOST_ANSWERS: Final = 4
"""Answers of one request that are checked. More would let one request try many passwords."""


@dataclass(slots=True)
class _Known:
    """The last challenge of a realm."""

    status: int
    challenge: Challenge
    count: int = 0


@dataclass(slots=True)
class DigestClient:
    """Answers challenges for one login. Requests of many dialogs may share it, and then share a nonce and its count."""

    login: Login | None
    _realms: OrderedDict[str, _Known] = field(default_factory=OrderedDict)

    @property
    def has_answered(self) -> bool:
        """Return whether there is a challenge whose answer has not been refused."""
        return bool(self._realms)

    def prepare(self, request: SipRequest) -> SipRequest:
        """Return the request with an answer to the latest challenge of each realm; unchanged without a challenge."""
        if self.login is None:
            return request
        fields = [self._answer(self.login, known, request) for known in self._realms.values()]
        return request.with_headers(request.headers.plus(*fields)) if fields else request

    def challenged(self, response: SipResponse, sent: SipRequest, tries: int) -> None:
        """Take a 401 or 407 to a request, as it was sent on try number `tries`. Then prepare the request and send it again.

        Raises:
            SipDenied: do not send it again; the text says why.
        """
        if self.login is None:
            raise SipDenied(response.status, f"{response.reason}: it asks for a user name and password")
        offered = parse_challenges(response.headers.lines(_CHALLENGE_FIELD[response.status]))
        known = next((each for each in offered if each.is_known), None)
        if known is None:
            raise SipDenied(response.status, f"{response.reason}: it asks for no digest with MD5 or SHA-256")
        answers = _answers_in(sent)
        answered_before = known.realm in answers
        stale = known.stale and answers.get(known.realm) != known.nonce
        self._realms[known.realm] = _Known(response.status, known)
        self._realms.move_to_end(known.realm)
        while len(self._realms) > _REALMS_KEPT:
            self._realms.popitem(last=False)
        if tries >= _MOST_TRIES or (answered_before and tries >= 2 and not (stale and tries == 2)):
            del self._realms[known.realm]
            raise SipDenied(response.status, f"{response.reason}: it does not take the user name and password")

    def _answer(self, login: Login, known: _Known, request: SipRequest) -> tuple[str, str]:
        known.count += 1
        answer = answered(
            known.challenge,
            login,
            method=request.method,
            uri=request.uri,
            body=request.body,
            cnonce=secrets.token_hex(8),
            count=known.count,
        )
        return _ANSWER_FIELD[known.status], answer.written()


def _is_for(answered_uri: str, request_uri: str) -> bool:
    """Return whether an answer is for this request: both URIs have the same user. A proxy may have changed the host."""
    try:
        return parse_uri(answered_uri).user == parse_uri(request_uri).user
    except MalformedMessage:
        return False


def _answers_in(request: SipRequest) -> dict[str, str]:
    """Return realm -> nonce of the answers in one of our requests."""
    values = [value for name in _ANSWER_FIELD.values() for value in request.headers.lines(name)]
    return {answer.realm: answer.nonce for answer in map(parse_answer, values)}


@dataclass(frozen=True, slots=True)
class AuthenticatedUser:
    """A user whose answer was right. Only `DigestServer` makes one."""

    name: str


@dataclass(slots=True, kw_only=True)
class DigestServer:
    """Challenges requests and checks answers. `password_of` returns a user's password, or None for an unknown user."""

    realm: str
    password_of: Callable[[str], str | HashedPassword | None]
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    """In the order of preference. A 401 has a challenge for each."""
    lifetime_s: float = 300.0
    nonces_kept: int = 20_000
    _seal: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _counts: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _forgotten_until: float = -1.0
    """Nonces made until this time are stale, because their counts have been dropped."""

    def challenges(self, now: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """Return the WWW-Authenticate fields of a 401."""
        made = self._nonce(now)
        return [
            (
                "WWW-Authenticate",
                Challenge(realm=self.realm, nonce=made, algorithm=each, qop=("auth",), stale=stale).written(),
            )
            for each in self.algorithms
        ]

    def check(self, request: SipRequest, now: float) -> AuthenticatedUser | list[tuple[str, str]]:
        """Return the user who sent the request, or the fields of the 401 to send. `now` is in seconds of a monotonic clock."""
        for value in request.headers.lines("authorization")[:_MOST_ANSWERS]:
            try:
                answer = parse_answer(value)
            except MalformedMessage:
                continue
            made = self._made_at(answer.nonce)
            if made is None or not self._is_right(answer, request):
                continue
            if self._is_new(answer.nonce, answer.count, made, now):
                return AuthenticatedUser(answer.user)
            return self.challenges(now, stale=True)
        return self.challenges(now)

    def is_wrong(self, request: SipRequest) -> bool:
        """Return whether a request answers challenges of this server, however old they are, and no answer is right."""
        answers = []
        for value in request.headers.lines("authorization")[:_MOST_ANSWERS]:
            with suppress(MalformedMessage):
                answers.append(parse_answer(value))
        ours = [answer for answer in answers if self._made_at(answer.nonce) is not None]
        return bool(ours) and not any(self._is_right(answer, request) for answer in ours)

    def _is_right(self, answer: DigestAnswer, request: SipRequest) -> bool:
        """Return whether an answer has the right password, for this request."""
        if answer.realm != self.realm or answer.algorithm not in self.algorithms or answer.algorithm not in HASHES:
            return False
        if answer.qop not in (None, "auth"):
            return False
        password = self.password_of(answer.user)
        if isinstance(password, HashedPassword) and answer.algorithm not in password.hashes:
            password = None
        # An unknown user takes as long as a wrong password, so that the time does not show which users exist.
        expected = expected_response(replace(answer, response=""), password or "", method=request.method)
        right = hmac.compare_digest(expected.encode(), answer.response.encode("utf-8", "replace"))
        return password is not None and right and _is_for(answer.uri, request.uri)

    def _nonce(self, now: float) -> str:
        text = f"{now:.3f}.{secrets.token_hex(8)}"
        return f"{text}.{self._sealed(text)}"

    def _sealed(self, text: str) -> str:
        return hmac.new(self._seal, text.encode("utf-8", "surrogateescape"), sha256).hexdigest()[:32]

    def _made_at(self, nonce: str) -> float | None:
        text, _, seal = nonce.rpartition(".")
        if not hmac.compare_digest(self._sealed(text).encode(), seal.encode("utf-8", "replace")):
            return None
        return float(text.rpartition(".")[0])

    def _is_new(self, nonce: str, count: int, made: float, now: float) -> bool:
        """Return whether this count of this nonce has not been used. Without `qop` there is no count, and a nonce works once."""
        if made < now - self.lifetime_s or made <= self._forgotten_until:
            return False
        if count <= self._counts.get(nonce, -1):
            return False
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        while len(self._counts) > self.nonces_kept:
            old, _ = self._counts.popitem(last=False)
            self._forgotten_until = max(self._forgotten_until, self._made_at(old) or 0.0)
        return True
