"""Builds the webhook and serves it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from relay.graph.auth.signing_keys import SigningKeys
from relay.graph.client import GraphClient
from relay.graph.push.validation import Validation
from relay.http.serving import Listening, serving
from relay.store.presence.subscriptions import Subscriptions
from relay.webhook.app import Webhook, route_of
from relay.webhook.receiver import Receiver
from relay.webhook.routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relay.graph.settings import GraphSettings
    from relay.store.server.connection import Store
    from relay.webhook.settings import WebhookSettings

_MAX_HEAD_BYTES: Final = 16 * 1024


@asynccontextmanager
async def receiving(settings: WebhookSettings, store: Store, graph: GraphSettings) -> AsyncIterator[int]:
    """Receive notifications while the context lasts, and yield the port.

    Args:
        settings: address, TLS and limits.
        store: the relay's.
        graph: Microsoft's cloud and the app registration; may be anonymous.

    Raises:
        OSError: the port is taken.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(GraphClient(graph))
        keys = await stack.enter_async_context(SigningKeys(client))
        keys.warm()
        routes = Routes(Subscriptions(store), settings)
        receiver = Receiver(store, routes, Validation(keys, graph.client_id), settings.max_items)
        listening = Listening(
            host=settings.host,
            port=settings.port,
            tls_cert_pem=settings.tls_cert_pem,
            tls_key_pem=settings.tls_key_pem,
            tls_files=settings.tls_files,
            name="webhook",
            limits=settings.limits,
            proxies=settings.proxies,
            keep_alive=settings.keep_alive,
            head_bytes=_MAX_HEAD_BYTES,
            grace=settings.grace,
        )
        yield await stack.enter_async_context(serving(Webhook(receiver, settings), listening, route_of))
