"""A local cloud, the relay's client of it, and a token source that needs nobody to sign in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import trustme

from emulator import Cloud, Config, Emulator
from emulator.demo import CLIENT_ID, SECRET
from relay.core.presence import UserId
from relay.graph.auth.signing_keys import FetchIntervals, SigningKeys
from relay.graph.client import GraphClient
from relay.graph.settings import GraphSettings

RELAY = "presence-relay@contoso.example"
SCOPES = {"Presence.Read.All", "User.ReadBasic.All"}


class Tokens:
    """A token source that counts; every token is fresh."""

    def __init__(self, cloud: Cloud, who: str = RELAY, scopes: set[str] = SCOPES) -> None:
        self.cloud = cloud
        self.who = who
        self.scopes = scopes
        self.refused: list[str] = []
        self.spoiled = 0

    async def __call__(self, refused: str = "") -> str:
        if refused:
            self.refused.append(refused)
        elif self.spoiled:
            return "spoiled"
        application = self.cloud.world.application(CLIENT_ID)
        assert application is not None
        return self.cloud.tokens.access_token(self.cloud.person(self.who), application, self.scopes, 3599)


def settings_for(cloud: Cloud, **changes: object) -> GraphSettings:
    given: dict[str, object] = {
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "authority_url": cloud.url,
        "graph_url": cloud.url,
        "ca_pem": cloud.ca_pem.decode(),
        "connect_timeout": timedelta(seconds=30),  # the local cloud may share a busy process with the test
    }
    return GraphSettings(**{**given, **changes})  # type: ignore[arg-type]


def ids(cloud: Cloud, *names: str) -> list[UserId]:
    return [UserId(cloud.person(f"{name}@contoso.example").oid) for name in names]


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with Emulator.start(Config()) as running:
        yield running


@pytest.fixture
def settings(cloud: Cloud) -> GraphSettings:
    return settings_for(cloud)


@pytest.fixture
async def client(settings: GraphSettings) -> AsyncIterator[GraphClient]:
    async with GraphClient(settings) as running:
        yield running


@pytest.fixture
def tokens(cloud: Cloud) -> Tokens:
    return Tokens(cloud)


@asynccontextmanager
async def serving(
    cloud: Cloud,
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    host: str = "127.0.0.1",
    **changes: object,
) -> AsyncIterator[GraphClient]:
    """A client of a server over TLS that says what no HTTP server would."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    url = f"https://{host}:{server.sockets[0].getsockname()[1]}"
    settings = settings_for(cloud, graph_url=url, ca_pem=authority.cert_pem.bytes().decode(), **changes)
    async with server, GraphClient(settings) as client:
        yield client
        server.close()


@pytest.fixture
async def keys(client: GraphClient) -> AsyncIterator[SigningKeys]:
    async with SigningKeys(client, FetchIntervals(wait_s=20)) as running:
        yield running
