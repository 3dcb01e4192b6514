"""The check that only the agent's own web page, and those that the settings name, can use the API.

Any web page can send requests to loopback from its reader's browser. The agent recognises a page of another origin by `Origin`, or
by `Sec-Fetch-Site` if the browser sends no `Origin`, and a page whose name resolves to 127.0.0.1 (DNS rebinding) by `Host`. An API that
other machines can reach has names that the agent does not know, so it accepts any `Host`. It has a certificate and a token, which a
page with another name does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from suite.agent.api.shapes import compact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

_METHODS: Final = b"GET, POST, PUT, DELETE, OPTIONS"
_FROM_HERE: Final = frozenset({b"same-origin", b"none"})


class Guard:
    """An application that checks Host and Origin before another one, and answers CORS preflights.

    Attributes:
        origins: origins that the settings name. They may be replaced while the server runs.
    """

    def __init__(
        self,
        app: App,
        port: int,
        origins: Iterable[str],
        *,
        host: str = "127.0.0.1",
        scheme: str = "http",
        any_host: bool = False,
    ) -> None:
        """Guard an application.

        Args:
            app: the application.
            port: the port on which it is served.
            origins: origins of other web pages that may use it.
            host: the address on which it is served, such as 127.0.0.2 or ::1.
            scheme: scheme of its own pages: `https` when it is served with TLS.
            any_host: True when other machines can reach it.
        """
        self.origins = frozenset(origins)
        self._app = app
        self._scheme = f"{scheme}://"
        self._any_host = any_host
        names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host}
        self._hosts = {f"{name}:{port}".encode() for name in names} | (
            {name.encode() for name in names} if port == (443 if scheme == "https" else 80) else set()
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not (self._any_host or hosts[0].lower() in self._hosts):
            await refuse(send, 403, "host_not_allowed", "Use 127.0.0.1 or localhost, with the port, as the host.")
            return
        origin = headers.get(b"origin")
        if origin is None:
            if headers.get(b"sec-fetch-site", b"none") not in _FROM_HERE and not _is_visit(scope, headers):
                await self._refuse_origin(send)
                return
            await self._app(scope, receive, send)
        elif not self._is_allowed(origin, hosts[0]):
            await self._refuse_origin(send)
        elif scope["method"] == "OPTIONS":
            await _answer_preflight(send, origin)
        else:
            await self._app(scope, receive, _with_cors(send, origin))

    def _is_allowed(self, origin: bytes, host: bytes) -> bool:
        text = origin.decode("latin-1").lower()
        if text in self.origins:
            return True
        own = {host.lower()} if self._any_host else self._hosts
        return text.startswith(self._scheme) and text[len(self._scheme) :].encode("latin-1") in own

    async def _refuse_origin(self, send: Send) -> None:
        await refuse(
            send, 403, "origin_not_allowed", "The settings of the agent do not name this page in Agent.Origins."
        )


def _is_visit(scope: Message, headers: dict[bytes, bytes]) -> bool:
    """Return whether a user follows a link to the page. That is safe: the page has no data itself and cannot be framed."""
    followed = (headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest")) == (b"navigate", b"document")
    return followed and scope["method"] == "GET" and scope["path"] == "/"


async def refuse(
    send: Send, status: int, code: str, message: str, more_headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Respond with an error."""
    body = compact({"error": {"code": code, "message": message}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more_headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer_preflight(send: Send, origin: bytes) -> None:
    headers = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
        (b"access-control-allow-private-network", b"true"),
        (b"access-control-max-age", b"600"),
        (b"vary", b"origin"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _with_cors(send: Send, origin: bytes) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending
