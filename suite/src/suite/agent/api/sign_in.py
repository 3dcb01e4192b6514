"""Authentication of the API when the settings have a token. All paths under /v1 need it, the page's files do not.

    programs    Authorization: Bearer <token>
    browsers    a cookie, because EventSource cannot send headers. A page gets it by POST /v1/session with the token.

The cookie is HttpOnly and SameSite=Strict, so scripts cannot read it and other sites cannot use it. A right token is always
accepted. After several wrong ones from one address, further ones are answered 429 and their connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from suite.agent.api.bodies import ApiError, read_object
from suite.agent.api.guard import refuse
from suite.agent.api.pace import Pace, PaceByNetwork
from suite.agent.api.shapes import compact
from suite.agent.api.token import COOKIE_S, AccessToken, bearer
from suite.agent.settings.access import MOST_TOKEN_CHARS

if TYPE_CHECKING:
    from starlette.requests import Request

    from suite.agent.api.guard import App, Message, Receive, Send

log = logging.getLogger(__name__)

SESSION_PATH: Final = "/v1/session"
WRONG_AT_ONCE: Final = 10
WRONG_EVERY_S: Final = 6.0
"""Rate limit of wrong tokens from one address: ten at once, and then ten a minute."""
TOLD_EVERY_S: Final = 60.0
_MOST_COOKIES: Final = 10
"""Limit of cookies with the agent's name that are checked in a request."""
_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="presence agent"'}


class SignIn:
    """The token in force, and the handlers of `/v1/session`.

    Attributes:
        token: the token; None when the API needs none.
        changed: set when the token is replaced; a new event then takes its place.
        wrong: rate limit of wrong tokens by address, shared by all APIs of the agent.
    """

    def __init__(self, token: str = "", *, port: int = 0, is_secure: bool = False) -> None:
        """Begin with a token, or without one.

        Args:
            token: empty for none.
            port: port of the API, which is part of the cookie's name: two agents may run on one machine.
            is_secure: True when the API is served with TLS.
        """
        self.token = AccessToken(token) if token else None
        self.wrong = PaceByNetwork(WRONG_AT_ONCE, WRONG_EVERY_S)
        self._is_secure = is_secure
        # Browsers let no other host and no other path set a cookie with the prefix `__Host-`.
        self._cookie = f"{'__Host-' if is_secure else ''}presence-agent-{port}"
        self.changed = asyncio.Event()
        self._telling = Pace(1, TOLD_EVERY_S)

    def use(self, token: str) -> None:
        """Replace the token. Requests that used the old one end."""
        self.token = AccessToken(token) if token else None
        self.changed.set()
        self.changed = asyncio.Event()

    # Requests

    def left_s(self, scope: Message) -> float:
        """Return the seconds for which a request is signed in; infinite with the token itself.

        Raises:
            ApiError: it is not signed in.
        """
        if self.token is None:
            return math.inf
        headers = scope["headers"]
        offered = [token for name, value in headers if name == b"authorization" and (token := bearer(value))]
        if offered:
            self.check(offered[0], scope)
            return math.inf
        now = time.time()
        left_s = max((self.token.cookie_left_s(cookie, now) for cookie in self._cookies_of(headers)), default=0.0)
        if not left_s:
            raise ApiError(
                401,
                "sign_in_needed",
                "Send the agent's token: Authorization: Bearer, or POST /v1/session.",
                _CHALLENGE,
            )
        return left_s

    def check(self, offered: bytes, scope: Message) -> None:
        """Check a token.

        Raises:
            ApiError: it is wrong.
        """
        if self.token is None or self.token.is_right(offered):
            return
        address = scope["client"][0] if scope.get("client") else ""
        now = time.monotonic()
        if self._telling.may(now):
            log.warning("api: a wrong token from %s", address)
        if not self.wrong.of(address).may(now):
            raise ApiError(
                429,
                "too_many_wrong_tokens",
                "Too many wrong tokens came from this address. Wait a minute.",
                {"connection": "close", "retry-after": "60"},
            )
        raise ApiError(
            401,
            "wrong_token",
            "This is not the agent's token. It is in the file that Agent.TokenFile names.",
            _CHALLENGE,
        )

    async def until_over(self, receive: Receive, left_s: float) -> Receive:
        """Return a `receive` that ends a request when its cookie expires or the token changes."""
        changed, clock = self.changed, asyncio.get_running_loop().time
        ends = clock() + left_s

        async def receiving() -> Message:
            message = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(changed.wait())
            try:
                timeout = None if ends == math.inf else max(0.0, ends - clock())
                await asyncio.wait({message, over}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                over.cancel()

        return receiving

    # /v1/session

    async def tell(self, request: Request) -> Response:
        """Return whether a token is needed, and whether the browser is signed in."""
        try:
            return self._answer(self.left_s(request.scope))
        except ApiError:
            return self._answer(0.0)

    async def open(self, request: Request) -> Response:
        """Sign a browser in, or renew its cookie."""
        if self.token is None:
            return self._answer(math.inf)
        if "authorization" in request.headers or not request.headers.get("content-type"):
            self.left_s(request.scope)
        else:
            offered = (await read_object(request)).get("token")
            if not isinstance(offered, str) or len(offered) > MOST_TOKEN_CHARS:
                raise ApiError(400, "not_valid", 'Send {"token": "…"}.')
            self.check(offered.strip().encode("utf-8", "replace"), request.scope)
        answer = self._answer(COOKIE_S)
        self._set_cookie(answer, self.token.cookie(time.time()), COOKIE_S)
        return answer

    async def close(self, _request: Request) -> Response:
        """Sign a browser out."""
        answer = self._answer(math.inf if self.token is None else 0.0)
        self._set_cookie(answer, "", 0)
        return answer

    def _answer(self, left_s: float) -> Response:
        body: dict[str, Any] = {
            "token_needed": self.token is not None,
            "signed_in": left_s > 0,
            "expires_in_s": int(left_s) if 0 < left_s < math.inf else None,
        }
        return Response(compact(body), media_type="application/json", headers={"cache-control": "no-store"})

    def _set_cookie(self, answer: Response, value: str, lifetime_s: int) -> None:
        answer.set_cookie(
            self._cookie, value, max_age=lifetime_s, path="/", secure=self._is_secure, httponly=True, samesite="strict"
        )

    def _cookies_of(self, headers: list[tuple[bytes, bytes]]) -> list[str]:
        """Return the values of the agent's cookie. Another program on the same host may have set one with the same name.

        All ports of a host share their cookies, and Python's `SimpleCookie` returns none at all if one of them is malformed.
        """
        text = ";".join(value.decode("latin-1") for name, value in headers if name == b"cookie")
        pairs = (part.partition("=") for part in text.split(";"))
        return [value.strip() for name, _, value in pairs if name.strip() == self._cookie][:_MOST_COOKIES]


class SignInCheck:
    """An application that checks the sign-in before another one."""

    def __init__(self, app: App, sign_in: SignIn) -> None:
        self._app = app
        self._sign_in = sign_in

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        sign_in, path = self._sign_in, scope["path"]
        if scope["type"] != "http" or sign_in.token is None or path == SESSION_PATH or not path.startswith("/v1"):
            await self._app(scope, receive, send)
            return
        try:
            left_s = sign_in.left_s(scope)
        except ApiError as error:
            more = [(name.encode(), value.encode()) for name, value in error.headers.items()]
            await refuse(send, error.status, error.code, str(error), more)
            return
        await self._app(scope, await sign_in.until_over(receive, left_s), send)
