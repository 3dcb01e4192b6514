"""The webhook over HTTP: the handshake, limits on bodies, status codes, and the deadline.

200  a handshake                                    404  no such path
202  the notifications are passed on or dropped     405  not a POST
400  the body is no collection of notifications     408  the body did not come in time
413  the body is too long                           503  ask again: store or Entra do not answer, or too many requests at once
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import structlog

from relay.errors import Retryable, support_fields
from relay.http.bodies import Bodies, TooMuchAtOnce
from relay.http.paths import NOTIFICATIONS
from relay.store.server import keys
from relay.webhook import metrics
from relay.webhook.posts import Malformed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from relay.http.bodies import Body
    from relay.webhook.receiver import Receiver
    from relay.webhook.settings import WebhookSettings

log = structlog.get_logger(__name__)


def route_of(scope: Scope) -> str:
    """Return the route of a request as a label of metrics; empty for a path that the webhook does not have."""
    return f"{NOTIFICATIONS}{{route_id}}" if scope["path"].startswith(NOTIFICATIONS) else ""


class _Refused(Exception):
    """A request that is answered with a status and a short text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Gone(Exception):
    """The client disconnected before it had sent the whole request."""


class Webhook:
    """The webhook as an ASGI application."""

    def __init__(self, receiver: Receiver, settings: WebhookSettings) -> None:
        self._receiver = receiver
        self._settings = settings
        self._bodies = Bodies(settings.max_held_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, of Graph or of an unauthenticated client."""
        if scope["type"] != "http":
            return
        try:
            status, text = await self._answer(scope, receive)
        except _Refused as refused:
            status, text = refused.status, refused.text
        except _Gone:
            return
        except Exception:
            log.exception("webhook_failed")
            status, text = 500, "failed"
        await _send(send, status, text.encode())

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        path: str = scope["path"]
        route_id = path.removeprefix(NOTIFICATIONS)
        if route_id == path or keys.partition_of_route(route_id) is None:
            raise _Refused(404, "nothing is here")
        if scope["method"] != "POST":
            raise _Refused(405, "POST only")
        if (token := self._handshake(scope["query_string"])) is not None:
            return 200, token
        await self._take(route_id, scope, receive)
        return 202, ""

    def _handshake(self, query: bytes) -> str | None:
        """Return the text that a handshake expects as its answer; None for any other request.

        Any client can send this text. Only its sender receives it, and no browser renders it as a page, because it is
        served as plain text. The route need not be one of ours: the answer proves only that a server listens here.
        """
        if not query:
            return None
        try:
            tokens = parse_qs(query.decode("latin-1"), max_num_fields=_MAX_FIELDS).get("validationToken")
        except ValueError:
            raise _Refused(400, "no such query") from None
        if not tokens:
            return None
        if len(tokens[0]) > self._settings.max_token_chars:
            raise _Refused(400, "the validationToken is too long")
        metrics.HANDSHAKES.add()
        return tokens[0]

    async def _take(self, route_id: str, scope: Scope, receive: Receive) -> None:
        is_whole = False
        try:
            with self._bodies.one() as held:
                async with asyncio.timeout(self._settings.deadline.total_seconds()):
                    async with held.arriving():
                        body = await self._body(held, scope, receive)
                    is_whole = True
                    await self._receiver.receive(route_id, body)
        except TooMuchAtOnce:
            raise _Refused(503, "too many requests at once") from None
        except TimeoutError:
            raise _Refused(503, "later") if is_whole else _Refused(408, "too slow") from None
        except Malformed:
            raise _Refused(400, "no notifications") from None
        except Retryable as error:
            log.warning("notifications_postponed", error=str(error), **support_fields(error))
            raise _Refused(503, "later") from None

    async def _body(self, held: Body, scope: Scope, receive: Receive) -> bytes:
        body = bytearray()
        async for part in self._parts(scope, receive):
            if len(body) + len(part) > self._settings.max_body_bytes:
                raise _Refused(413, "too long")
            held.add(len(part))
            body += part
        return bytes(body)

    async def _parts(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > self._settings.max_body_bytes:
            raise _Refused(413, "too long")
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            yield message.get("body", b"")
            more = message.get("more_body", False)


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [*_HEADERS, *_OF_STATUS.get(status, ()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_MAX_FIELDS: Final = 10
_HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_CLOSE: Final = (b"connection", b"close")
_OF_STATUS: Final = {
    405: ((b"allow", b"POST"),),
    # The rest of the body may still arrive, without an end.
    408: (_CLOSE,),
    413: (_CLOSE,),
    503: (_CLOSE, (b"retry-after", b"5")),
}
