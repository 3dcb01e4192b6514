"""Suites for the conformance kit: this project's client, its agent, and a small one that does one thing wrong when it is told to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
from grpc import aio

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from presence_api.v1 import presence_service_pb2_grpc as rpc
from relay.dev.conformance.relay import PlayedRelay
from suite import Backoff, PresenceClient
from tests.suite.agent.agents import Premises
from tests.support.valkey import free_port

USERS = ("ada@contoso.example", "ben@contoso.example", "chloe@contoso.example")
FINAL = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT)


@asynccontextmanager
async def own_client(relay: PlayedRelay) -> AsyncIterator[None]:
    """This project's client, which watches until it is refused or the context is left.

    Its longest wait is scaled as the times of the kit are: no stream lasts for the 10 s that make waits short again.
    """
    backoff = Backoff(lambda low, high: random.uniform(low, min(high, 2.0)))
    key, ca = relay.key_file.read_text().strip(), relay.ca_file.read_bytes()

    async def watch() -> None:
        async with PresenceClient(relay.address, key, ca_pem=ca, proxy="", users=USERS, backoff=backoff) as client:
            async for _ in client.events():
                pass

    async with ending(watch()):
        yield


@asynccontextmanager
async def agent(relay: PlayedRelay) -> AsyncIterator[None]:
    """The agent of this project, from its settings file on. Its longest wait is scaled, too."""
    folder = relay.key_file.parent / "agent"
    folder.mkdir()
    premises = Premises(folder, relay.address, free_port())
    rows = "".join(f"{name.partition('@')[0]},{name}\n" for name in USERS)
    premises.write(f"login,upn\n{rows}", relay.ca_file.read_bytes(), relay.key_file.read_text())
    async with premises.agent(backoff=Backoff(lambda low, high: random.uniform(low, min(high, 2.0)))):
        yield


@asynccontextmanager
async def small_suite(relay: PlayedRelay, fault: str = "") -> AsyncIterator[None]:
    """A suite of some lines. `fault` is what it does wrong."""
    async with ending(SmallSuite(relay, fault).run()):
        yield


@asynccontextmanager
async def ending(suite) -> AsyncIterator[None]:
    task = asyncio.create_task(suite)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


class SmallSuite:
    """Watches the users, and resumes. Faults: no-wait, no-token, no-held, ignores-drain, half-closes, reconnects-when-reset, keeps-old-names, comes-back-revoked, ignores-retry, reconnects-when-throttled."""

    def __init__(self, relay: PlayedRelay, fault: str) -> None:
        self.fault = fault
        self.key, self.address = relay.key_file.read_text().strip(), relay.address
        self.credentials = grpc.ssl_channel_credentials(relay.ca_file.read_bytes())
        self.token = ""
        self.names: dict[str, pb.ResolvedName] = {}
        self.ceiling = 0.5

    async def run(self) -> None:
        while True:
            retry_s = 0.0
            try:
                await self.stream()
            except aio.AioRpcError as error:
                if error.code() in FINAL and self.fault != "comes-back-revoked":
                    return
                retry_s = 1.0 if "played by" in (error.details() or "") else 0.0
            await asyncio.sleep(self.wait_s(retry_s))

    def wait_s(self, retry_s: float) -> float:
        ceiling, self.ceiling = self.ceiling, min(30.0, 2 * self.ceiling)
        if self.fault == "no-wait":
            return 0.005
        if self.fault == "ignores-retry" and retry_s:
            return 0.1
        return random.uniform(0, ceiling) + retry_s

    def start(self) -> api.WatchStart:
        held = [] if self.fault == "no-held" or not self.token else list(self.names.values())
        token = "" if self.fault == "no-token" else self.token
        known = {one.user for one in held} if token else set()
        return api.WatchStart(
            subscribe_users=[name for name in USERS if name not in known],
            held_users=held if token else [],
            resume_token=token,
        )

    async def stream(self) -> None:
        options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
        async with aio.secure_channel(self.address, self.credentials, options=options) as channel:
            call = rpc.PresenceServiceStub(channel).WatchPresence(metadata=[("authorization", f"Bearer {self.key}")])
            with suppress(aio.AioRpcError, aio.UsageError, asyncio.InvalidStateError):  # `read` says why
                await call.write(api.WatchPresenceRequest(start=self.start()))
            if self.fault == "half-closes":
                await call.done_writing()
            while isinstance(response := await call.read(), api.WatchPresenceResponse):
                if not self.applied(response):
                    call.cancel()
                    return

    def applied(self, response: api.WatchPresenceResponse) -> bool:
        """Apply a response; return False to leave the stream."""
        self.token = response.resume_token or self.token
        for one in response.batch.resolved:
            if self.fault != "keeps-old-names" or one.user not in self.names:
                self.names[one.user] = one
        if response.batch.snapshot_complete:
            self.ceiling = 0.5
        if response.HasField("started") and response.started.outcome == api.WatchPresenceResponse.OUTCOME_RESET:
            self.token = ""
            return self.fault != "reconnects-when-reset"
        if response.HasField("tenant_status") and response.tenant_status.unknown_reason:
            return self.fault != "reconnects-when-throttled"
        return not response.HasField("drain") or self.fault == "ignores-drain"
