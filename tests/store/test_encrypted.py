"""Redis over TLS with users: one server, sentinels with logins and authorities of their own, a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from relay.errors import StoreUnavailable
from relay.store.server.connection import Store, StoreSettings
from relay.store.server.layout import Client
from relay.store.server.slots import SLOTS
from tests.store.test_misled import sentinel, slots
from tests.support.scripted_redis import ScriptedRedis
from tests.support.tls_front import TlsFront
from tests.support.valkey import ValkeyServer

SECOND = timedelta(seconds=1)


@pytest.fixture
def authorities(tmp_path: Path) -> tuple[trustme.CA, trustme.CA]:
    """One for the data servers, one for the sentinels; as `servers.pem` and `sentinels.pem`."""
    found = trustme.CA(), trustme.CA()
    for authority, name in zip(found, ("servers", "sentinels"), strict=True):
        authority.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    return found


@pytest.fixture
async def front(valkey: ValkeyServer, authorities: tuple[trustme.CA, trustme.CA]) -> AsyncIterator[TlsFront]:
    async with TlsFront(authorities[0], valkey.port) as front:
        yield front


async def works(url: str) -> None:
    async with Store(StoreSettings(url=url, operation_timeout=5 * SECOND)) as store:
        assert await store.preflight() == []
        streams = store.streams()
        assert await streams.read({b"{p00}:inbox": b"9999999999999-0"}, timedelta(milliseconds=1)) == []
        await streams.aclose()
        async with store.durable() as vault:
            await vault.execute("SET", "{p00}:tenants", 1)
            await vault.confirm()


def login(client: Client, valkey: ValkeyServer) -> str:
    """A role's login, as in a URL."""
    return valkey.url_of(client).removeprefix("redis://").partition("@")[0]


async def test_one_server(front: TlsFront, valkey: ValkeyServer, tmp_path: Path) -> None:
    host = f"{login(Client.OPERATOR, valkey)}@127.0.0.1:{front.port}"
    await works(f"rediss://{host}?ssl_ca_certs={tmp_path}/servers.pem")
    async with Store(StoreSettings(url=f"rediss://{host}", operation_timeout=SECOND)) as store:
        with pytest.raises(StoreUnavailable, match="does not answer"):
            await store.preflight()


async def test_sentinels_have_an_authority_and_a_login_of_their_own(
    front: TlsFront, valkey: ValkeyServer, authorities: tuple[trustme.CA, trustme.CA], tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        scripted = await stack.enter_async_context(sentinel(front.port))
        logins: list[list[bytes]] = []
        scripted.answers["AUTH"] = lambda command: logins.append(command[1:]) or b"+OK\r\n"  # type: ignore[func-returns-value]
        theirs = await stack.enter_async_context(TlsFront(authorities[1], scripted.port))
        url = (
            f"rediss+sentinel://{login(Client.OPERATOR, valkey)}@127.0.0.1:{theirs.port}/relay?ssl_ca_certs={tmp_path}/servers.pem"
            f"&sentinel_ssl_ca_certs={tmp_path}/sentinels.pem&sentinel_username=relay&sentinel_password=other%2Fone"
        )
        await works(url)
        assert logins[0] == [b"relay", b"other/one"]
        assert theirs.greeted == len(logins)
        # Sentinels without TLS, servers with it.
        await works(url.replace(f":{theirs.port}/", f":{scripted.port}/") + "&sentinel_ssl=false")
        async with Store(StoreSettings(url=url.replace("/sentinels.pem", "/servers.pem"))) as store:
            with pytest.raises(StoreUnavailable, match=r"No sentinel.*does not answer"):
                await store.preflight()


async def test_a_cluster(front: TlsFront, valkey: ValkeyServer, tmp_path: Path) -> None:
    answer = slots((0, SLOTS - 1, "127.0.0.1", front.port))
    async with ScriptedRedis({"CLUSTER": answer}) as scripted, AsyncExitStack() as stack:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "node.pem")
        (tmp_path / "all.pem").write_bytes(
            (tmp_path / "node.pem").read_bytes() + (tmp_path / "servers.pem").read_bytes()
        )
        node = await stack.enter_async_context(TlsFront(authority, scripted.port))
        await works(
            f"rediss+cluster://{login(Client.OPERATOR, valkey)}@127.0.0.1:{node.port}?ssl_ca_certs={tmp_path}/all.pem"
        )
