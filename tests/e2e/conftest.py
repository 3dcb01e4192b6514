"""The whole relay in one process: Valkey, Microsoft's local cloud, worker, edge over TLS, and suites by the client library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import trustme

from relay.core.presence import TenantId
from relay.edge.server import EdgeServer
from relay.edge.settings import EdgeSettings
from relay.ops import logging
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.server.connection import Store
from relay.store.server.layout import Client
from suite.backoff import Backoff
from suite.client import PresenceClient
from suite.events import Changed, Event
from suite.values import Presence, Status
from tests.support.otlp import collecting, telling
from tests.support.outputs import Heard, said, said_by
from tests.support.ring import MARKS, PUBLIC_MARKS
from tests.support.valkey import as_role, free_port
from tests.worker.conftest import Relay, relay, webhook_tls

__all__ = ["relay", "webhook_tls"]


@pytest.fixture(autouse=True)
def _searched() -> Iterator[None]:
    """Fail a test in which a role logged a secret or a presence, or had one in a span."""
    heard = Heard()
    with collecting() as collector:
        logging.configure("json", "info", heard)
        with telling(collector):
            yield
    assert said(heard.getvalue()) == []
    assert said_by(collector.spans) == []


@dataclass
class Console:
    """What one suite shows, and everything that it was ever told."""

    client: PresenceClient
    events: list[Event] = field(default_factory=list)

    async def listen(self) -> None:
        async for event in self.client.events():
            self.events.append(event)

    def shows(self, name: str) -> str | Status | None:
        """The raw availability, or the reason why there is none; None also before the event of the last change is here."""
        resolution, answer = self.client.find(name)
        if answer is None:
            return resolution.status if resolution is not None else None
        if answer.presence is None:
            return answer.status
        raw = answer.presence.raw_availability
        return raw if self.saw(name)[-1:] == [raw] else None

    def presence(self, name: str) -> Presence:
        _, answer = self.client.find(name)
        assert answer is not None
        assert answer.presence is not None
        return answer.presence

    def saw(self, name: str) -> list[str]:
        """The raw availabilities that were shown for a user, in order."""
        resolution, _ = self.client.find(name)
        assert resolution is not None
        return [
            event.presence.raw_availability
            for event in self.events
            if isinstance(event, Changed) and event.user_id == resolution.user_id and event.presence is not None
        ]


class Edges:
    """Edges of a relay, and suites that connect to them."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.authority = trustme.CA()
        certificate = self.authority.issue_cert("127.0.0.1")
        self.ca_pem = self.authority.cert_pem.bytes()
        self.settings = EdgeSettings(
            host="127.0.0.1",
            port=free_port(),
            tls_cert_pem=b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
            tls_key_pem=certificate.private_key_pem.bytes(),
            drain_delay=timedelta(milliseconds=200),
            grace=timedelta(milliseconds=200),
            stale_grace=timedelta(seconds=20),
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.settings.port}"

    @asynccontextmanager
    async def edge(self) -> AsyncIterator[EdgeServer]:
        """An edge, with its own Redis user."""
        async with (
            Store(as_role(self.relay.store.settings, Client.EDGE)) as store,
            EdgeServer(self.settings, store, PUBLIC_MARKS) as edge,
        ):
            yield edge

    async def key(self, tenant: TenantId) -> str:
        return (await SuiteKeys(self.relay.store, MARKS).issue(tenant, "console")).text

    @asynccontextmanager
    async def suite(self, key: str, *users: str, form: str = "watch", address: str = "") -> AsyncIterator[Console]:
        """A suite, at the edge unless another address is given."""
        client = PresenceClient(
            address or self.address,
            key,
            ca_pem=self.ca_pem,
            proxy="",
            users=users,
            form=form,  # type: ignore[arg-type]
            backoff=Backoff(lambda low, high: min(high, 0.2)),
        )
        async with client:
            console = Console(client)
            listening = asyncio.create_task(console.listen())
            try:
                yield console
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening


@pytest.fixture
def edges(relay: Relay) -> Edges:
    return Edges(relay)


@asynccontextmanager
async def running(relay: Relay, edges: Edges, **changes: object) -> AsyncIterator[TenantId]:
    """An onboarded tenant, a worker and an edge."""
    async with AsyncExitStack() as stack:
        tenant = await relay.onboard()
        await stack.enter_async_context(relay.working())
        await stack.enter_async_context(edges.edge())
        yield tenant
