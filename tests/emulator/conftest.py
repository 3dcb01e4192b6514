"""A cloud with the demo world, and a browser that trusts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulator import Cloud, Config, Emulator
from tests.emulator.driver import browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx


@pytest.fixture(autouse=True)
def _own_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA bundle in the environment would go before MSAL's `verify`: https://github.com/psf/requests/issues/3829."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Emulator.start(Config()) as running:
        yield running


@pytest.fixture
async def client(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(cloud) as running:
        yield running


@pytest.fixture
async def microsoft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Cloud]:
    """A cloud that clients in this process take for Microsoft's own: only the environment leads them here.

    `@pytest.mark.parametrize("microsoft", [make_world], indirect=True)` puts another world into it.
    """
    world = request.param() if hasattr(request, "param") else None
    async with Emulator.start(Config(proxy_port=0, world=world)) as running:
        ca = tmp_path / "microsoft.pem"
        ca.write_bytes(running.ca_pem)
        for name in ("https_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", running.proxy_url)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))  # httpx, aiohttp
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))  # requests
        yield running
