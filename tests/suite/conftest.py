from __future__ import annotations

import contextlib

import pytest
import pytest_asyncio
import trustme

from suite.backoff import Backoff
from suite.client import PresenceClient
from tests.suite.recorder import Recorder
from tests.suite.scripted_relay import ScriptedRelay

KEY = "psk_1f2e3d4c_secret"


@pytest.fixture
def ca_pem(authority: trustme.CA) -> bytes:
    return authority.cert_pem.bytes()


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest_asyncio.fixture
async def relay(cert):
    relay = ScriptedRelay()
    await relay.listen(cert)
    yield relay
    await relay.kill()


@pytest_asyncio.fixture
async def connect(relay, ca_pem):
    """Open a client of the relay and record its events; waits between streams are almost nothing."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_client(*users: str, **settings) -> Recorder:
            settings = {"ca_pem": ca_pem, "backoff": Backoff(lambda _low, _high: 0.01), **settings}
            address = settings.pop("address", f"localhost:{relay.port}")
            client = await stack.enter_async_context(PresenceClient(address, KEY, users=users, **settings))
            return await stack.enter_async_context(Recorder(client))

        yield open_client
