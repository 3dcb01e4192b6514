from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import trustme

from suite.agent.board import Board
from suite.agent.core.values import SourceName
from suite.agent.settings.groups.sfb import SfbSettings
from suite.agent.sources.sfb import skype
from suite.agent.users.reading import Colleague
from tests.suite.agent.sfb.lync import PASSWORD, USER, Lync, serving_lync
from tests.suite.agent.sfb.running import ADA, BEN


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skype, "TICK_S", 0.02)


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    """Collect what httpcore leaves behind when a request is cancelled in the middle of its handshake: its `start_tls` closes on errors only."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest_asyncio.fixture
async def lync(cert: trustme.LeafCert) -> AsyncIterator[Lync]:
    async with serving_lync(cert) as server:
        server.presence = {"ada@contoso.example": ("Online", ""), "ben@contoso.example": ("Busy", "in-a-meeting")}
        yield server


@pytest.fixture
def board() -> Board:
    made = Board(SourceName.SFB)
    made.set_colleagues([ADA, BEN, Colleague(login="phone only", extension="1")])
    return made


@pytest.fixture
def settings(lync: Lync, ca_pem: bytes) -> SfbSettings:
    return SfbSettings(
        enabled=True, address=f"localhost:{lync.port}", user_name=USER, uri=USER, password=PASSWORD, ca_pem=ca_pem
    )
