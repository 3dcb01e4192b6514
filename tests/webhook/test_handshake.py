"""Graph's handshake, and whatever else is no notification."""

from __future__ import annotations

import pytest

from relay.http.paths import NOTIFICATIONS
from relay.store.presence.subscriptions import new_route
from tests.webhook import graph
from tests.webhook.conftest import CONTOSO, Hook

TOKEN = "Validation: Testing client application reachability for subscription Request-Id: 7f1c"


async def handshake(hook: Hook, query: str, route_id: str = ""):  # type: ignore[no-untyped-def]
    url = f"{hook.url}{NOTIFICATIONS}{route_id or new_route(CONTOSO)}?{query}"
    return await hook.http.post(url, headers={"Content-Type": "text/plain; charset=utf-8"})


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (f"validationToken={TOKEN.replace(' ', '+').replace(':', '%3a')}", TOKEN),
        (f"validationToken={TOKEN.replace(' ', '%20')}", TOKEN),
        ("validationToken=%3Cscript%3Ealert(1)%3C/script%3E", "<script>alert(1)</script>"),
        ("validationToken=caf%C3%A9%26%2B", "café&+"),
        ("api=1&validationToken=x", "x"),
    ],
)
async def test_a_handshake_is_answered_with_its_text_decoded_and_plain(hook: Hook, query: str, text: str):
    answer = await handshake(hook, query)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_handshake_that_is_too_long_is_refused(hook: Hook):
    assert (await handshake(hook, f"validationToken={'x' * 2049}")).status_code == 400
    assert (await handshake(hook, "&".join(f"a{n}=1" for n in range(50)))).status_code == 400


async def test_a_handshake_is_answered_before_the_route_is_known(hook: Hook):
    """Graph asks while the worker waits for its answer; nothing of it depends on the store."""
    await hook.store.command("FLUSHALL")
    assert (await handshake(hook, "validationToken=x")).text == "x"


async def test_a_query_that_is_no_handshake_does_not_hide_a_notification(hook: Hook):
    subscription = await hook.subscribed()
    body = await hook.genuine(subscription)
    url = f"{hook.url}{NOTIFICATIONS}{subscription.route_id}?source=graph"
    assert (await hook.http.post(url, content=body)).status_code == 202
    assert len(await hook.inbox()) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{NOTIFICATIONS}07-{'a' * 32}", 405),
        ("PUT", f"{NOTIFICATIONS}07-{'a' * 32}", 405),
        ("HEAD", f"{NOTIFICATIONS}07-{'a' * 32}", 405),
        ("POST", "/", 404),
        ("POST", NOTIFICATIONS, 404),
        ("POST", f"{NOTIFICATIONS}64-{'a' * 32}", 404),
        ("POST", f"{NOTIFICATIONS}07-{'A' * 32}", 404),
        ("POST", f"{NOTIFICATIONS}07-{'a' * 33}", 404),
        ("POST", f"{NOTIFICATIONS}../{'x' * 5000}", 404),
        ("POST", f"/x{NOTIFICATIONS}07-{'a' * 32}", 404),
        ("GET", "/livez", 404),
    ],
)
async def test_nothing_else_is_served(hook: Hook, method: str, path: str, status: int):
    assert (await hook.http.request(method, hook.url + path, content=graph.post())).status_code == status
