"""The sign-in to the API when the settings have a token: everything under /v1 needs it; the page's own files do not.

    programs    Authorization: Bearer <token>
    browsers    a cookie, because EventSource can send no header. A page gets it by POST /v1/session with the token.

The cookie is HttpOnly and SameSite=Strict, so no script can read it and no other site's page can use it. A right token is let in
whatever came before it; wrong ones are answered `429` after some from one address, and their connection is closed.
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
"""Wrong tokens from one address that are answered one by one: ten, and then ten a minute."""
TOLD_EVERY_S: Final = 60.0
_MOST_COOKIES: Final = 10
"""Cookies of the agent's name that are looked at in a request."""
_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="presence agent"'}


class SignIn:
    """The token in force, and the answers of `/v1/session`.

    Attributes:
        token: None when every program that reaches the API may use it.
        changed: set when another token is in force; there is then another event.
        wrong: the pace of wrong tokens by address, for all doors of the agent together.
    """

    def __init__(self, token: str = "", *, port: int = 0, is_secure: bool = False) -> None:
        """Begin with a token, or without one.

        Args:
            token: empty for none.
            port: of the API; two agents on one machine have cookies of different names.
            is_secure: True when the API is served with TLS.
        """
        self.token = AccessToken(token) if token else None
        self.wrong = PaceByNetwork(WRONG_AT_ONCE, WRONG_EVERY_S)
        self._is_secure = is_secure
        # The browser itself refuses to let another host or another path set a cookie with this beginning.
        self._cookie = f"{'__Host-' if is_secure else ''}presence-agent-{port}"
        self.changed = asyncio.Event()
        self._telling = Pace(1, TOLD_EVERY_S)

    def use(self, token: str) -> None:
        """Go on with another token. Whoever came in with the one before is cut off."""
        self.token = AccessToken(token) if token else None
        self.changed.set()
        self.changed = asyncio.Event()

    # Requests

    def left_s(self, scope: Message) -> float:
        """Return for how long a request is signed in; infinite with the token itself.

        Raises:
            ApiError: it is not.
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
        """Return when this is the token.

        Raises:
            ApiError: it is not.
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
        """Return a `receive` by which a request ends with its sign-in: when its cookie is over, or the token has changed."""
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
        """Say whether a sign-in is needed, and whether the browser is signed in."""
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
        """Return the values of the agent's cookie; another program on the same host may have set one of the same name.

        Ports of a host share their cookies, and Python's `SimpleCookie` reads none at all where one of them is not as it must be.
        """
        text = ";".join(value.decode("latin-1") for name, value in headers if name == b"cookie")
        pairs = (part.partition("=") for part in text.split(";"))
        return [value.strip() for name, _, value in pairs if name.strip() == self._cookie][:_MOST_COOKIES]


class SignInCheck:
    """The application behind the check that a request is signed in."""

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
