"""The examples against a real relay, and against one that says what is newer than they are. Each runs as a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import trustme

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from relay.core.presence import TenantId
from relay.store.custody.suite_keys import SuiteKeys
from tests.abuse.edge_process import EdgeProcess, edge_process
from tests.e2e.conftest import Edges
from tests.examples.gateway import HOST, Gateway
from tests.examples.running import LANGUAGES, Example, running
from tests.suite.scripted_relay import OpenedStream, ScriptedRelay
from tests.support.ring import MARKS
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

pytestmark = pytest.mark.long

ADA, BEN, NOBODY = NAMES = ("ada@contoso.example", "ben@contoso.example", "nobody@contoso.example")
KEY = "psk_1f2e3d4c5b6a7988_secret"
PATIENCE_S = 60.0
"""A virtual machine takes seconds to start where other tests run too."""
Response = api.WatchPresenceResponse


@dataclass
class Watched:
    """An example that watches, and the relay behind it."""

    example: Example
    gateway: Gateway
    tenant: TenantId
    key_id: str
    edge: EdgeProcess

    async def until(self, condition) -> None:
        await eventually(condition, timeout=PATIENCE_S, explain=self.example.told)


@asynccontextmanager
async def watched(
    language: str, relay: Relay, edges: Edges, valkey: ValkeyServer, folder: Path
) -> AsyncIterator[Watched]:
    """An example that watches all names, through an edge that can be killed."""
    tenant = await relay.onboard()
    async with AsyncExitStack() as stack:
        starting = ExitStack()
        stack.push_async_callback(asyncio.to_thread, starting.close)
        edge = starting.enter_context(edge_process(valkey, folder, edges.authority))
        gateway = await stack.enter_async_context(Gateway(edge.port))
        key = await SuiteKeys(relay.store, MARKS).issue(tenant, "console")
        await stack.enter_async_context(relay.working())
        example = await stack.enter_async_context(running(language, gateway, folder, edges.ca_pem, key.text, NAMES))
        yield Watched(example, gateway, tenant, key.key_id, edge)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_example_shows_presence_resumes_at_another_edge_and_ends_with_its_key(
    language: str, relay: Relay, edges: Edges, valkey: ValkeyServer, tmp_path: Path
):
    relay.microsoft.set_switches(linger_s=(1.0, 1.5), idle_s=(1.5, 2.0))
    (second := tmp_path / "second").mkdir()
    async with watched(language, relay, edges, valkey, tmp_path) as now:
        example = now.example
        await now.until(lambda: example.shows(ADA) == example.shows(BEN) == "AVAILABLE" and example.is_certain)
        await now.until(lambda: example.shows(NOBODY) == "NOT_FOUND")
        assert now.gateway.asked == [f"{HOST}:443"]

        relay.microsoft.act(ADA, "switch_off")
        await now.until(lambda: example.shows(ADA) == "OFFLINE")
        assert example.saw(ADA) == ["AVAILABLE", "AVAILABLE_IDLE", "OFFLINE"]

        now.edge.process.kill()
        relay.microsoft.set_presence(BEN, "Busy", "InACall")
        await now.until(lambda: not example.is_certain)
        with edge_process(valkey, second, edges.authority) as edge:
            now.gateway.to_port = edge.port
            await now.until(lambda: example.shows(BEN) == "IN_A_CALL" and example.is_certain)
            assert example.streams == ["SNAPSHOT", "RESUMED"]
            assert example.saw(ADA) == ["AVAILABLE", "AVAILABLE_IDLE", "OFFLINE"], "nothing is shown twice"

            await SuiteKeys(relay.store).revoke(now.key_id)
            assert await asyncio.wait_for(example.process.wait(), PATIENCE_S) == 3, example.told()
        await now.until(lambda: example.words[-1].startswith("refused: ERROR_REASON_SUITE_KEY_REVOKED: "))


@asynccontextmanager
async def scripted(language: str, authority: trustme.CA, folder: Path) -> AsyncIterator[tuple[Example, ScriptedRelay]]:
    """An example that watches Ada and Ben, at a relay that does what the test says."""
    relay = ScriptedRelay()
    await relay.listen(authority.issue_cert(HOST))
    try:
        async with (
            Gateway(relay.port) as gateway,
            running(language, gateway, folder, authority.cert_pem.bytes(), KEY, (ADA, BEN)) as example,
        ):
            yield example, relay
    finally:
        await relay.kill()


def tell(stream: OpenedStream, user_id: str, status: int) -> None:
    """Answer for a user by a presence with this console status."""
    presence = pb.UserPresence(console_status=status)  # type: ignore[arg-type]
    stream.send(batch=Response.Batch(answers=[pb.UserAnswer(user_id=user_id, presence=presence)]))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_example_treats_what_is_newer_a_reset_a_drain_and_another_tenants_token_as_the_protocol_says(
    language: str, authority: trustme.CA, tmp_path: Path
):
    async def until(condition) -> None:
        await eventually(condition, timeout=PATIENCE_S, explain=example.told)

    async with scripted(language, authority, tmp_path) as (example, relay):
        await until(lambda: not relay.nothing_opened())
        stream = await relay.stream()
        assert stream.metadata["authorization"] == f"Bearer {KEY}"
        assert (stream.token, stream.asked, stream.held) == ("", [ADA, BEN], {})
        stream.started()
        stream.batch({ADA: "a", BEN: "b"}, {"a": 99, "stranger": 7}, complete=True, token="t1")
        tell(stream, "b", pb.CONSOLE_STATUS_AVAILABLE)
        await until(
            lambda: example.saw(ADA) == ["UNKNOWN"] and example.shows(BEN) == "AVAILABLE" and example.is_certain
        )

        # Values and events that are newer.
        tell(stream, "a", 99)
        tell(stream, "b", pb.CONSOLE_STATUS_BUSY)
        stream.send()
        stream.send(tenant_status=Response.TenantStatus(unknown_reason=99))  # type: ignore[arg-type]
        await until(lambda: example.shows(BEN) == "BUSY" and not example.is_certain)
        assert example.lines[-3] == {"user": ADA, "status": "UNKNOWN", "reason": ""}
        stream.send(tenant_status=Response.TenantStatus())
        await until(lambda: example.is_certain)

        # A reset on the same stream: what was shown stays until it is answered again.
        stream.started(Response.OUTCOME_RESET)
        stream.batch({ADA: "a", BEN: "b"}, {"a": pb.UNKNOWN_REASON_NOT_REPORTED, "b": pb.UNKNOWN_REASON_PENDING})
        await until(lambda: example.shows(ADA) == "NOT_REPORTED" and not example.is_certain)
        stream.batch(complete=True, token="t2")
        await until(lambda: example.is_certain)
        assert example.lines[-2]["user"] == ADA, "nothing was said about Ben"

        # A drain: another stream, with what is held.
        stream.send(drain=Response.Drain())
        stream = await relay.stream()
        assert (stream.token, stream.asked, stream.held) == ("t2", [], {ADA: "a", BEN: "b"})
        stream.started(Response.OUTCOME_RESUMED)
        stream.batch(complete=True)
        await until(lambda: example.streams == ["SNAPSHOT", "RESET", "RESUMED"] and example.is_certain)

        # Ends that are not final: a gateway's refusal, a wait that is asked for, a token that is another tenant's.
        stream.fail_bare(grpc.StatusCode.PERMISSION_DENIED, "Received http2 header with status: 403")
        stream = await relay.stream()
        stream.fail(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SHUTDOWN", timedelta(milliseconds=200))
        stream = await relay.stream()
        stream.fail(grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT")
        stream = await relay.stream()
        assert (stream.token, stream.asked, stream.held) == ("", [ADA, BEN], {})

        # And one that is, by its code.
        stream.fail(grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_OF_TOMORROW")
        assert await asyncio.wait_for(example.process.wait(), PATIENCE_S) == 3, example.told()
        await until(lambda: example.words[-1].startswith("refused: ERROR_REASON_OF_TOMORROW: "))
