"""A cloud with the demo world, and a browser that trusts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulator import Cloud, Config, Emulator
from tests.emulator.driver import browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
