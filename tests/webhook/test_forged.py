"""Forged POSTs among as many genuine ones: every genuine one is accepted, no forged one is. `make soak` sends a thousand of each.

Accepted means: it came through the webhook into the inbox, and the worker's `opened` reads it. Each notification is about a
user of its own, so that it can be told apart.
"""

from __future__ import annotations

import asyncio
import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
import structlog
from joserfc import jwt
from joserfc.jwk import RSAKey

from emulator import Cloud
from relay.core.presence import TenantId
from relay.graph.push.certificates import Certificate, Certificates, make
from relay.graph.push.notifications import NotOpened, decrypt_notification
from relay.store.presence import hints
from relay.store.presence.subscriptions import Subscription, new_client_state, new_route
from relay.store.server.connection import Store
from tests.webhook import graph
from tests.webhook.conftest import NOW, PATIENT, Hook, hooked

pytestmark = pytest.mark.long

TENANTS = 10
AT_ONCE = 16
FOREIGN = RSAKey.generate_key(2048, {"kid": "foreign"})


@dataclass(slots=True)
class Sender:
    """Makes POSTs of all kinds; seeded."""

    hook: Hook
    subscriptions: list[Subscription]
    chance: random.Random
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    expected: set[str] = field(default_factory=set)
    forged: set[str] = field(default_factory=set)

    @property
    def cloud(self) -> Cloud:
        return self.hook.cloud

    def any(self) -> Subscription:
        return self.chance.choice(self.subscriptions)

    def certificate(self, subscription: Subscription) -> Certificate:
        found = self.hook.certificates.of(subscription.certificate_id)
        assert found is not None
        return found

    def token(self, tenant: TenantId) -> str:
        """One of Graph's, which uses a token several times."""
        key = tenant, self.chance.choice(["1.0", "2.0"])
        if key not in self.tokens:
            self.tokens[key] = graph.token(self.cloud, *key)
        return self.tokens[key]

    def item(self, subscription: Subscription, kept: set[str], **changes: Any) -> dict[str, Any]:
        user = str(uuid.UUID(int=self.chance.getrandbits(128)))
        kept.add(user)
        return graph.item(subscription, user, self.certificate(subscription), **changes)

    def genuine(self) -> tuple[str, bytes]:
        first = self.any()
        senders = [first, self.any()] if self.chance.random() < 0.2 else [first]
        tokens = [self.token(tenant) for tenant in {one.tenant_id for one in senders}]
        return first.route_id, graph.post(*[self.item(one, self.expected) for one in senders], tokens=tokens)

    def forgery(self) -> tuple[str, bytes]:
        subscription = self.any()
        return self.chance.choice(FORGERIES)(self, subscription)

    def sent(self, subscription: Subscription, item: dict[str, Any], *tokens: str) -> tuple[str, bytes]:
        return subscription.route_id, graph.post(item, tokens=list(tokens))


def truncated(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    route_id, body = sender.sent(
        subscription, sender.item(subscription, sender.forged), sender.token(subscription.tenant_id)
    )
    return route_id, body[: sender.chance.randrange(len(body))]


def flipped(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    """One character of something that counts is another."""
    item = sender.item(subscription, sender.forged)
    token = sender.token(subscription.tenant_id)
    content: dict[str, str] = item["encryptedContent"]
    where = sender.chance.choice(["token", "clientState", "tenantId", "subscriptionId", *content])
    if where == "token":
        return sender.sent(subscription, item, _another(sender, token))
    part = content if where in content else item
    part[where] = _another(sender, part[where])
    return sender.sent(subscription, item, token)


def _another(sender: Sender, text: str) -> str:
    """Not at the end, where base64 has bits that mean nothing."""
    at = sender.chance.randrange(len(text) // 2)
    others = [c for c in string.hexdigits + string.ascii_letters if c.lower() != text[at].lower()]
    return text[:at] + sender.chance.choice(others) + text[at + 1 :]


def of_another_tenant(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    """A genuine token and a genuine secret, of somebody else."""
    other = next(one for one in sender.subscriptions if one.tenant_id != subscription.tenant_id)
    item = sender.item(subscription, sender.forged)
    if sender.chance.random() < 0.5:
        return sender.sent(subscription, item, sender.token(other.tenant_id))
    item["clientState"] = other.client_state
    return sender.sent(subscription, item, sender.token(subscription.tenant_id), sender.token(other.tenant_id))


def to_another_route(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    item = sender.item(subscription, sender.forged)
    return new_route(subscription.tenant_id), graph.post(item, tokens=[sender.token(subscription.tenant_id)])


def without_a_secret(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    item = sender.item(subscription, sender.forged, clientState=new_client_state())
    return sender.sent(subscription, item, sender.token(subscription.tenant_id))


def without_a_token(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    return sender.sent(subscription, sender.item(subscription, sender.forged))


def with_a_bad_token(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    tenant, claims = subscription.tenant_id, graph.claims(sender.cloud, subscription.tenant_id)
    kid = sender.cloud.tokens.key.kid
    bad = sender.chance.choice(
        [
            lambda: graph.unsigned(claims),
            lambda: graph.unsigned(claims, kid=kid),
            lambda: jwt.encode({"alg": "RS256", "kid": "foreign"}, claims, FOREIGN),
            lambda: jwt.encode({"alg": "RS256", "kid": kid}, claims, FOREIGN),
            lambda: graph.token(sender.cloud, tenant, aud=str(uuid.uuid4())),
            lambda: graph.token(sender.cloud, tenant, appid=str(uuid.uuid4())),
            lambda: graph.token(sender.cloud, tenant, exp=1),
        ]
    )()
    good = [sender.token(tenant)] if sender.chance.random() < 0.3 else []
    return sender.sent(subscription, sender.item(subscription, sender.forged), *good, bad)


def encrypted_by_somebody_else(sender: Sender, subscription: Subscription) -> tuple[str, bytes]:
    """All that shows outside is right (as for who steals secret and token), the content is not."""
    user = str(uuid.UUID(int=sender.chance.getrandbits(128)))
    sender.forged.add(user)
    certificate = sender.certificate(subscription)
    item = graph.item(subscription, user, certificate)
    item["encryptedContent"] = sender.chance.choice(
        [
            lambda: graph.encrypted(graph.presence(user), certificate, pad=False),
            lambda: graph.encrypted(graph.presence(user), replace(certificate, certificate_id="unknown")),
            lambda: graph.encrypted(graph.presence(user), replace(certificate, thumbprint="00" * 20)),
            lambda: graph.encrypted(graph.presence(user), replace(certificate, private_key=stranger().private_key)),
            lambda: graph.encrypted(b"{}", certificate),
            lambda: {**graph.encrypted(graph.presence(user), certificate), "dataSignature": "AAAA"},
            lambda: {**graph.encrypted(graph.presence(user), certificate), "dataKey": ""},
            lambda: {**graph.encrypted(graph.presence(user), certificate), "data": "not base64!"},
        ]
    )()
    return sender.sent(subscription, item, sender.token(subscription.tenant_id))


FORGERIES: list[Callable[[Sender, Subscription], tuple[str, bytes]]] = [
    truncated, flipped, flipped, of_another_tenant, to_another_route, without_a_secret, without_a_token, with_a_bad_token,
    encrypted_by_somebody_else, encrypted_by_somebody_else,
]  # fmt: skip


@cache
def stranger() -> Certificate:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stranger.pem").write_bytes(make("stranger", NOW))
        return Certificates.load(folder).newest


@pytest.mark.parametrize("number", [120, pytest.param(1000, marks=pytest.mark.soak)])
async def test_every_genuine_post_is_accepted_and_no_forged_one(
    number: int, store: Store, cloud: Cloud, certificates: Certificates
):
    with structlog.testing.capture_logs() as logs:
        async with hooked(store, cloud, certificates, replace(PATIENT, deadline=timedelta(seconds=10))) as hook:
            tenants = [TenantId(str(uuid.UUID(int=n + 1))) for n in range(TENANTS)]
            subscriptions = [
                await hook.subscribed(tenant, certificate_id=certificate)
                for tenant in tenants
                for certificate in ("old", "new")
            ]
            sender = Sender(hook, subscriptions, random.Random(9))
            posts = [sender.genuine() for _ in range(number)] + [sender.forgery() for _ in range(number)]
            sender.chance.shuffle(posts)
            statuses = await _send(hook, posts)
            accepted, refused = await _opened(hook, tenants)
    assert accepted == sorted(sender.expected)
    assert not sender.forged & set(accepted)
    # Forgeries that only the content gives away came as far as the worker, and no farther.
    assert set(refused) >= {"signature", "padding", "thumbprint", "key", "certificate", "content", "malformed"}
    assert set(statuses) <= {202, 400}
    assert [log for log in logs if log.get("exc_info")] == []
    assert {log["event"] for log in logs} <= {"notifications_dropped"}
    # Each reason is said once a minute, not once for each.
    assert len(logs) <= 30


async def _send(hook: Hook, posts: list[tuple[str, bytes]]) -> list[int]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def send(route_id: str, body: bytes) -> int:
        async with turns:
            return (await hook.post(route_id, body)).status_code

    return await asyncio.gather(*[send(*post) for post in posts])


async def _opened(hook: Hook, tenants: list[TenantId]) -> tuple[list[str], list[str]]:
    """Return the users of the accepted notifications, and why others cannot be opened."""
    accepted, refused = [], []
    for hint in [hint for tenant in tenants for hint in await _notified(hook, tenant)]:
        for item in hint.items:
            try:
                accepted.append(str(decrypt_notification(item, hook.certificates).user_id))
            except NotOpened as error:
                refused.append(error.reason)
    return sorted(accepted), refused


async def _notified(hook: Hook, tenant: TenantId) -> list[hints.Notified]:
    """Of the tenant, which may share its partition with another."""
    return [hint for hint in await hook.inbox(tenant) if isinstance(hint, hints.Notified) and hint.tenant_id == tenant]
