from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import trustme

from presence_api.v1 import presence_service_pb2 as api
from tests.suite.scripted_relay import ScriptedRelay

Response = api.WatchPresenceResponse


class WillingRelay(ScriptedRelay):
    """Begins every stream at once, and has nothing to tell."""

    async def begin_streams(self) -> None:
        while True:
            stream = await self._opened.get()
            stream.started()
            stream.send(tenant_status=Response.TenantStatus())
            stream.batch(complete=True)


@pytest.fixture(scope="session")
def inspector() -> trustme.CA:
    """The CA of a proxy that inspects TLS."""
    return trustme.CA(organization_name="Inspections Ltd")


@pytest_asyncio.fixture
async def relay(authority: trustme.CA) -> AsyncIterator[WillingRelay]:
    relay = WillingRelay()
    await relay.listen(authority.issue_cert("localhost"))
    beginning = asyncio.create_task(relay.begin_streams())
    yield relay
    beginning.cancel()
    await relay.kill()


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    return None
