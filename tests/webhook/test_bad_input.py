"""Whatever anybody may send, slow or wrong: it is answered in time, kept within bounds, and leaves no traceback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import structlog

from emulator import Cloud
from relay.graph.push.certificates import Certificates
from relay.http.paths import NOTIFICATIONS
from relay.store.presence.subscriptions import new_route
from relay.store.server.connection import Store, StoreSettings
from tests.support.valkey import free_port
from tests.webhook import graph
from tests.webhook.conftest import ADA, CONTOSO, PATIENT, Hook, hooked, public

SHORT = replace(PATIENT, deadline=timedelta(milliseconds=300))


@pytest.fixture(autouse=True)
def no_failure() -> AsyncIterator[None]:  # type: ignore[misc]
    with structlog.testing.capture_logs() as logs:
        yield
    assert [log for log in logs if log["event"] == "webhook_failed"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"value": 7}',
        b'{"value": [], "validationTokens": [7]}',
        b"\xff\xfe",
        b'{"value": ' + b"[" * 100_000,
        b"<html>",
        json.dumps({"value": [{}] * 2001}).encode(),
    ],
)
async def test_a_body_that_is_no_collection_is_called_so(hook: Hook, body: bytes):
    assert (await hook.post(new_route(CONTOSO), body)).status_code == 400


@pytest.mark.parametrize(
    "item", [None, 7, "x", [], {}, {"subscriptionId": "x"}, {"tenantId": 1, "subscriptionId": "x"}]
)
async def test_an_item_that_is_none_is_dropped_alone(hook: Hook, item: object):
    subscription = await hook.subscribed()
    good = graph.item(subscription, ADA, hook.certificates.newest)
    body = json.dumps({"value": [item, good], "validationTokens": [graph.token(hook.cloud, CONTOSO)]}).encode()
    assert (await hook.post(subscription.route_id, body)).status_code == 202
    assert len(await hook.inbox()) == 1


async def test_a_body_of_ten_megabytes_is_refused_unread(hook: Hook):
    assert await _refusal(hook, b"x" * 10_000_000) == 413


async def test_a_body_without_a_length_is_refused_when_it_gets_too_long(hook: Hook):
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 10_000

    assert await _refusal(hook, parts()) == 413


async def _refusal(hook: Hook, content: object) -> int:
    """The status, when the sender still reads it: the connection is closed under who goes on sending."""
    try:
        return (await hook.post(new_route(CONTOSO), content)).status_code  # type: ignore[arg-type]
    except httpx.HTTPError:
        return 413


async def test_bodies_together_take_no_more_memory_than_they_may(
    store: Store, cloud: Cloud, certificates: Certificates
):
    settings = replace(PATIENT, max_held_bytes=100_000)
    async with hooked(store, cloud, certificates, settings) as hook:
        subscription = await hook.subscribed()
        answer = await hook.post(subscription.route_id, b" " * 200_000)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        # What was held is given back.
        for _ in range(3):
            assert (await hook.post(subscription.route_id, await hook.genuine(subscription))).status_code == 202
            assert (await hook.post(subscription.route_id, b" " * 90_000)).status_code == 400


async def test_a_body_that_does_not_come_is_not_waited_for(store: Store, cloud: Cloud, certificates: Certificates):
    async with hooked(store, cloud, certificates, SHORT) as hook:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(hook.url.rpartition(":")[2]))
        writer.write(
            f"POST {NOTIFICATIONS}{new_route(CONTOSO)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
        )
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            await reader.read()  # and the connection is closed
        writer.close()


async def test_a_sender_that_goes_away_leaves_nothing_behind(hook: Hook):
    _, writer = await asyncio.open_connection("127.0.0.1", int(hook.url.rpartition(":")[2]))
    writer.write(
        f"POST {NOTIFICATIONS}{new_route(CONTOSO)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode()
    )
    await writer.drain()
    writer.transport.abort()
    subscription = await hook.subscribed()
    assert (await hook.post(subscription.route_id, await hook.genuine(subscription))).status_code == 202


async def test_what_cannot_be_kept_is_to_be_sent_again(cloud: Cloud, certificates: Certificates):
    """A store that is away: refused at once."""
    async with (
        Store(StoreSettings(url=f"redis://127.0.0.1:{free_port()}")) as away,
        hooked(away, cloud, certificates) as hook,
    ):
        answer = await hook.post(new_route(CONTOSO), graph.post({"subscriptionId": "x", "tenantId": CONTOSO}))
        assert answer.status_code == 503
        assert (await hook.http.post(f"{hook.url}{NOTIFICATIONS}{new_route(CONTOSO)}?validationToken=x")).text == "x"


async def test_a_store_that_stalls_costs_the_deadline_and_handshakes_nothing(
    store: Store, cloud: Cloud, certificates: Certificates
):
    async with hooked(store, cloud, certificates, SHORT) as hook:
        subscription = await hook.subscribed()
        body = await hook.genuine(subscription)
        await store.command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            answers = [asyncio.create_task(hook.post(subscription.route_id, body)) for _ in range(10)]
            assert (
                await hook.http.post(f"{hook.url}{NOTIFICATIONS}{new_route(CONTOSO)}?validationToken=x")
            ).text == "x"
            assert {answer.status_code for answer in await asyncio.gather(*answers)} == {503}
        finally:
            await store.command("CLIENT", "UNPAUSE")
        answer = await hook.post(subscription.route_id, body)
        assert answer.status_code == 202


async def test_an_entra_that_is_away_makes_graph_come_back(store: Store, cloud: Cloud, certificates: Certificates):
    absent = public(cloud, authority_url=f"https://127.0.0.1:{free_port()}")
    async with hooked(store, cloud, certificates, graph_settings=absent) as hook:
        subscription = await hook.subscribed()
        assert (await hook.post(subscription.route_id, await hook.genuine(subscription))).status_code == 503
        assert await hook.inbox() == []
        # Without a secret of ours nobody makes us ask Entra at all.
        forged = graph.post(graph.item(subscription, ADA, None, clientState="guess"), tokens=["x"])
        assert (await hook.post(subscription.route_id, forged)).status_code == 202
