"""The agent behind each proxy: it shows presence where a way leads through, and says what is in the way where none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import trustme

from presence_api.v1 import presence_pb2 as pb
from presence_api.v1 import presence_service_pb2 as api
from suite import stream
from suite.agent.run import Agent
from tests.proxies import running
from tests.suite.agent.agents import Premises
from tests.suite.scripted_relay import ScriptedRelay, resolution
from tests.support.valkey import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

USER, PASSWORD = running.LOGIN


class AnsweringRelay(ScriptedRelay):
    """Answers that everybody is away, and then says nothing more."""

    async def answer(self) -> None:
        while True:
            opened = await self._opened.get()
            opened.started()
            opened.send(
                batch=api.WatchPresenceResponse.Batch(
                    resolved=[resolution(name, name) for name in [*opened.asked, *opened.held]],
                    answers=[
                        pb.UserAnswer(user_id=name, presence=pb.UserPresence(console_status=pb.CONSOLE_STATUS_AWAY))
                        for name in [*opened.asked, *opened.held]
                    ],
                    snapshot_complete=True,
                )
            )


@pytest_asyncio.fixture
async def relay(authority: trustme.CA) -> AsyncIterator[AnsweringRelay]:
    relay = AnsweringRelay()
    await relay.listen(authority.issue_cert("localhost"))
    answering = asyncio.create_task(relay.answer())
    yield relay
    answering.cancel()
    await relay.kill()


@dataclass(frozen=True, slots=True)
class Site:
    """A customer's premises with one agent, which watches one colleague."""

    premises: Premises
    agent: Agent

    @property
    def shows(self) -> str:
        [entry] = self.agent.board.entries.values()
        return entry.shown.reason or f"{entry.shown.status.value}{'?' if entry.shown.is_uncertain else ''}"

    async def source(self) -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.premises.url}/v1/sources")
        found: dict[str, str] = answer.json()["sources"]["MSTeams"]
        return found

    async def is_told(self, state: str) -> str:
        """Wait until the connection is in a state, and return what is said of it."""

        async def told() -> dict[str, str] | None:
            found = await self.source()
            return found if found["state"] == state else None

        found = await eventually(told)
        assert found is not None
        return found["detail"]


@asynccontextmanager
async def site(
    folder: Path, relay: ScriptedRelay, ca: trustme.CA, proxy: str = "none", *, port: int = 0, form: str = "watch"
) -> AsyncIterator[Site]:
    place = folder / f"agent{free_port()}"
    place.mkdir()
    premises = Premises(place, f"localhost:{port or relay.port}", free_port(), proxy=proxy, form=form)
    premises.write("login,upn\nada,ada@x.org\n", ca.cert_pem.bytes())
    async with premises.agent() as agent:
        yield Site(premises, agent)


async def works(way: Any) -> None:
    """The agent shows what the relay says."""
    async with way as found:
        await eventually(lambda: found.shows == "away")
        assert await found.source() == {"state": "up_and_running", "detail": ""}


async def says(way: Any, detail: str) -> None:
    """The agent says of a way that does not lead to the relay why it does not, and shows nobody."""
    async with way as found:
        assert await found.is_told("connection_error") == detail
        assert found.shows == "pending"


async def test_an_open_proxy_and_one_with_a_login(relay, authority, tmp_path):
    async with running.tinyproxy(tmp_path) as port:
        at = f"127.0.0.1:{port}"
        await works(site(tmp_path, relay, authority, f"http://{at}"))
    await says(
        site(tmp_path, relay, authority, f"http://{at}"), f"Nothing listens at the proxy {at} (connection refused)."
    )
    async with running.tinyproxy(tmp_path, running.LOGIN) as port:
        at = f"127.0.0.1:{port}"
        await works(site(tmp_path, relay, authority, f"http://{USER}:{PASSWORD}@{at}"))
        await says(
            site(tmp_path, relay, authority, f"http://{USER}:wrong@{at}"),
            f"The proxy {at} refuses the user name or the password (HTTP 401). Correct them.",
        )
        await says(
            site(tmp_path, relay, authority, f"http://{at}"),
            f"The proxy {at} requires a user name and password: http://user:password@host:port.",
        )


async def test_a_balancer_that_cuts_idle_connections_is_come_back_from(relay, authority, tmp_path):
    """Pings every 30 s keep those open that are cut after 60 s, as the doctor says; here it is a second."""
    async with (
        running.haproxy(tmp_path, relay.port, idle_s=1.0) as port,
        site(tmp_path, relay, authority, port=port) as found,
    ):
        await eventually(lambda: found.shows == "away")
        assert await found.is_told("connection_error") == f"The connection to localhost:{port} was lost."
        assert await found.is_told("up_and_running") == ""
        await eventually(lambda: found.shows == "away")


async def test_squid_that_inspects_tls(relay, authority, inspector, tmp_path):
    async with running.squid(inspector, authority) as port:
        proxy = f"127.0.0.1:{port}"
        await says(site(tmp_path, relay, authority, f"http://{proxy}"), untrusted(relay))
        await says(site(tmp_path, relay, inspector, f"http://{proxy}"), without_http2(relay, proxy))


async def test_mitmproxy_in_three_ways(relay, authority, inspector, tmp_path, monkeypatch):
    monkeypatch.setattr(
        stream, "FIRST_RESPONSE_S", 3.0
    )  # as it comes it passes on nothing before the request has ended
    async with running.mitmproxy(tmp_path, inspector, authority) as port:
        proxy = f"http://127.0.0.1:{port}"
        await says(site(tmp_path, relay, authority, proxy), untrusted(relay))
        await says(
            site(tmp_path, relay, inspector, proxy),
            f"localhost:{relay.port} has sent nothing for too long; the connection must be dead, or the proxy 127.0.0.1:{port} holds "
            "back what is sent.",
        )
    async with running.mitmproxy(tmp_path, inspector, authority, "stream_large_bodies=1") as port:
        for form in ("watch", "stream"):
            await works(site(tmp_path, relay, inspector, f"http://127.0.0.1:{port}", form=form))
    async with running.mitmproxy(tmp_path, inspector, authority, "http2=false") as port:
        proxy = f"127.0.0.1:{port}"
        await says(site(tmp_path, relay, inspector, f"http://{proxy}"), without_http2(relay, proxy))


def untrusted(relay: ScriptedRelay) -> str:
    return (
        f"The certificate of localhost:{relay.port} was not issued by a CA that is trusted here. Give the right CA file (--ca-file, or Relay.CaFile of the "
        "agent); a proxy that inspects TLS has a CA of its own."
    )


def without_http2(relay: ScriptedRelay, proxy: str) -> str:
    return (
        f"localhost:{relay.port} speaks TLS but not HTTP/2 through the proxy {proxy}: the proxy inspects TLS and does not pass HTTP/2, or "
        f"it is a web server. Have localhost:{relay.port} exempted from the inspection."
    )
