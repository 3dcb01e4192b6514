"""Composition: start, wait for Redis, refuse what cannot be trusted, stop in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis
from structlog.testing import capture_logs

from relay import app
from relay.app import PreflightFailed, Running
from relay.ops.listening import listener
from relay.settings.env import SettingsInvalid
from relay.settings.load import Settings, load
from relay.settings.roles import Role
from relay.store.sealing.keyring import make_ring
from relay.store.sealing.ring_users import RingUsers
from relay.store.sealing.signing import Purpose, public_set
from relay.store.server.connection import Store
from tests.graph.test_tokens import certificate
from tests.support.ring import RING
from tests.support.valkey import ValkeyServer, free_port
from tests.support.waiting import eventually


def settings(redis_port: int, **edge: object) -> Settings:
    edge = {
        "host": "127.0.0.1",
        "port": 0,
        "plain_text": True,
        "drain_delay": "0s",
        "mark_keys": public_set(RING, Purpose.SUITE_KEY),
        **edge,
    }
    ops = {"host": "127.0.0.1", "port": free_port()}
    return load((), {"redis": {"url": f"redis://127.0.0.1:{redis_port}"}, "edge": edge, "ops": ops})


@asynccontextmanager
async def edge_running(which: Settings) -> AsyncIterator[asyncio.Future[Running]]:
    """An edge under way; the future is done when it is ready."""
    stop = asyncio.Event()
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.run(which, [Role.EDGE], stop, ready.set_result))
    try:
        yield ready
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


async def run_briefly(which: Settings) -> None:
    """An edge that is expected to give up by itself."""
    async with asyncio.timeout(30):
        await app.run(which, [Role.EDGE], asyncio.Event())


async def status(which: Settings, path: str) -> int:
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{which.ops.port}{path}")).status_code


async def is_alive(which: Settings) -> bool:
    try:
        return await status(which, "/livez") == 200
    except httpx.HTTPError:
        return False


async def test_absent_redis_is_waited_for(tmp_path: Path):
    port = free_port()
    which = settings(port)
    async with edge_running(which) as ready:
        await eventually(lambda: is_alive(which))
        assert await status(which, "/readyz") == 503
        assert not ready.done()
        with ValkeyServer(tmp_path, port):
            async with asyncio.timeout(30):
                running = await ready
            assert running.edge_port
            assert await status(which, "/readyz") == 200


@pytest.mark.fault("V12")
async def test_a_redis_that_takes_no_writes_is_waited_for_and_the_log_says_why(tmp_path: Path):
    with ValkeyServer(tmp_path) as server:
        async with Redis.from_url(server.url) as raw:
            await raw.config_set("maxmemory", "1")
            with capture_logs() as logs:
                async with edge_running(settings(server.port)) as ready:
                    await eventually(_says(logs, "maxmemory"))
                    await raw.config_set("min-replicas-to-write", "1")
                    await raw.config_set("maxmemory", "0")
                    await eventually(_says(logs, "min-replicas-to-write"))
                    await raw.replicaof("127.0.0.1", "1")
                    await eventually(_says(logs, "is a replica"))
                    assert not ready.done()
                    await raw.config_set("min-replicas-to-write", "0")
                    await raw.replicaof("no", "one")
                    assert await ready


@pytest.mark.long
@pytest.mark.fault("V12", "B1")
async def test_a_process_is_ready_only_while_its_redis_is_there_and_takes_writes(tmp_path: Path):
    which = settings(free_port())
    with ValkeyServer(tmp_path, int(which.store_settings().url.rpartition(":")[2])) as server:

        async def is_ready() -> bool:
            return await status(which, "/readyz") == 200

        async def is_not() -> bool:
            return not await is_ready()

        async with edge_running(which) as ready, Redis.from_url(server.url) as raw:
            await ready
            assert await is_ready()
            for setting, value, well in (("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")):
                await raw.config_set(setting, value)
                await eventually(is_not)
                await raw.config_set(setting, well)
                await eventually(is_ready)
            await raw.replicaof("127.0.0.1", "1")
            await eventually(is_not)
            await raw.replicaof("no", "one")
            await eventually(is_ready)
            server.kill()
            await eventually(is_not)
            server.start()
            await eventually(is_ready)


def _says(logs: Sequence[Mapping[str, object]], word: str) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return any(line["event"] == "waiting_for_store" and word in str(line["hint"]) for line in logs)

    return said


async def test_a_stop_ends_the_wait_for_redis():
    which = settings(free_port())
    async with edge_running(which) as ready:
        await eventually(lambda: is_alive(which))
    assert not ready.done()


async def test_a_redis_that_would_lose_grants_is_refused_with_everything_that_is_wrong(tmp_path: Path):
    weak = {"appendonly": "no", "appendfsync": "everysec", "maxmemory_policy": "allkeys-lru"}
    with ValkeyServer(tmp_path, **weak) as server, pytest.raises(PreflightFailed) as caught:
        await run_briefly(settings(server.port))
    told = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 3
    assert "appendonly" in told
    assert "appendfsync always" in told
    assert "noeviction" in told


async def test_a_taken_port_is_named(tmp_path: Path):
    with ValkeyServer(tmp_path) as server, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{taken}"):
            await run_briefly(settings(server.port, port=taken))


@pytest.mark.long
async def test_a_worker_says_what_it_seals_with_and_what_expires_and_stays_ready(tmp_path: Path):
    own, _ = certificate()  # of a day
    with ValkeyServer(tmp_path) as server:
        which = load(
            (),
            {
                "redis": {"url": server.url},
                "vault": {"key_ring": make_ring("k1", now_s=1)},
                "cloud": {
                    "client_id": "x", "certificate": own.certificate_pem, "private_key": own.private_key_pem,
                },
                "ops": {"host": "127.0.0.1", "port": free_port()},
            },
        )  # fmt: skip
        stop = asyncio.Event()
        ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(app.run(which, [Role.WORKER], stop, ready.set_result))
        async with Store(which.store_settings()) as store, asyncio.timeout(20):
            await ready

            async def has_said() -> bool:
                return [user.seals_with for user in await RingUsers(store).all()] == ["k1"]

            await eventually(has_said)
            async with httpx.AsyncClient(verify=False, trust_env=False) as client:
                address = f"http://127.0.0.1:{which.ops.port}"
                answer = await client.get(f"{address}/readyz")
                assert "RELAY_CLOUD_CERTIFICATE: expires on" in answer.text

                async def is_ready() -> bool:
                    return await status(which, "/readyz") == 200

                await eventually(is_ready)  # with every partition looked at
            stop.set()
            await task
            assert await RingUsers(store).all() == []


async def test_an_edge_alone_says_which_public_keys_it_has(tmp_path: Path):
    with ValkeyServer(tmp_path) as server:
        which = settings(server.port)
        async with edge_running(which) as ready, Store(which.store_settings()) as store:
            await ready

            async def has_said() -> bool:
                return [(user.seals_with, user.knows) for user in await RingUsers(store).all()] == [("", ("test",))]

            await eventually(has_said)


def tls(curve: ec.EllipticCurve, ends: datetime) -> dict[str, str]:
    """Return edge settings with a self-signed certificate."""
    key = ec.generate_private_key(curve)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1), ends)  # noqa: DTZ001
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "tls_cert": made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(),
        "tls_key": key.private_bytes(*form).decode(),
    }


@pytest.mark.fault("B51")
async def test_a_certificate_that_grpc_cannot_use_is_named(tmp_path: Path):
    unusable = tls(ec.SECP256K1(), datetime(2040, 1, 1))  # noqa: DTZ001
    refused = pytest.raises(SettingsInvalid, match="RELAY_EDGE_TLS_CERT: gRPC cannot use this certificate")
    with ValkeyServer(tmp_path) as server, refused:
        await run_briefly(settings(server.port, plain_text=False, **unusable))


async def test_an_edge_whose_certificate_has_expired_is_not_ready_and_says_so(tmp_path: Path):
    expired = tls(ec.SECP256R1(), datetime(2021, 1, 1))  # noqa: DTZ001
    with ValkeyServer(tmp_path) as server:
        which = settings(server.port, plain_text=False, **expired)
        async with edge_running(which) as ready:
            await ready
            async with httpx.AsyncClient(verify=False, trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{which.ops.port}/readyz")
    assert answer.status_code == 503
    assert "edge: not ready: RELAY_EDGE_TLS_CERT expired on 2021-01-01 00:00 UTC\n" in answer.text
    assert "store: ready\n" in answer.text


@pytest.mark.fault("B51", "B52")
async def test_a_taken_address_is_named(tmp_path: Path):
    with ValkeyServer(tmp_path) as server, listener("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError) as caught:
            await run_briefly(settings(server.port, port=port))
    assert caught.value.filename == f"127.0.0.1:{port}"


async def test_a_role_that_is_ready_exports_its_metrics(tmp_path: Path):
    """Those that need no event are there from the start; what the others bring is in `tests/e2e/test_metrics.py`."""
    with ValkeyServer(tmp_path) as server:
        which = settings(server.port)
        async with edge_running(which) as ready, httpx.AsyncClient(verify=False, trust_env=False) as client:
            await ready

            async def text() -> str:
                return (await client.get(f"http://127.0.0.1:{which.ops.port}/metrics")).text

            async def is_measured() -> bool:
                return "relay_event_loop_lag_seconds_count" in await text()

            await eventually(is_measured)
            exported = await text()
    assert 'relay_roles="edge"' in exported
    assert "\nrelay_store_ready 1.0\n" in exported
    assert "\nrelay_edge_streams 0.0\n" in exported
    for begins in (  # other tests of this process may have counted
        "relay_edge_deliveries_total ",
        'relay_edge_starts_total{outcome="reset"} ',
        'relay_store_durable_writes_total{outcome="not_confirmed"} ',
        "process_memory_usage_bytes ",
        "process_unix_file_descriptor_count ",
        "db_client_operation_duration_seconds_count{",
    ):
        assert f"\n{begins}" in exported
