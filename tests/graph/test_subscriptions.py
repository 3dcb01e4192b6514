"""Subscriptions at the local cloud: made, renewed, listed, deleted, refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from emulator import Cloud
from emulator.faults import Fault
from relay.core.presence import UserId
from relay.errors import (
    AccessDenied,
    Bug,
    RequestRefused,
    SourceThrottled,
    SourceUnreachable,
    SubscriptionExists,
    SubscriptionGone,
    SubscriptionRefused,
    WebhookUnreachable,
)
from relay.graph.client import GraphClient
from relay.graph.push import subscriptions
from relay.graph.push.certificates import Certificates, make
from relay.graph.push.notifications import decrypt_notification
from relay.graph.push.subscriptions import Subscribed, SubscriptionRequest
from tests.emulator.receiver import Receiver, Said, pushing
from tests.graph.conftest import Tokens, ids, settings_for
from tests.support.valkey import free_port

NOW = datetime.now(UTC)
OTHER = "ben@contoso.example"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    (folder / "old.pem").write_bytes(make("old", NOW - timedelta(days=2)))
    (folder / "new.pem").write_bytes(make("new", NOW - timedelta(days=1)))
    return Certificates.load(folder)


class Account:
    """A cloud, a webhook that it reaches, and one account's calls."""

    def __init__(self, cloud: Cloud, receiver: Receiver, client: GraphClient, certificates: Certificates) -> None:
        self.cloud = cloud
        self.receiver = receiver
        self.client = client
        self.certificates = certificates
        self.tokens = Tokens(cloud)

    def wanted(self, *names: str, minutes: float = 55, url: str = "") -> SubscriptionRequest:
        return SubscriptionRequest(
            users=tuple(ids(self.cloud, *(names or ("ada", "ben")))),
            notification_url=url or f"{self.receiver.url}/notifications/07-route",
            client_state="secret",
            certificate=self.certificates.newest,
            expires=datetime.now(UTC) + timedelta(minutes=minutes),
        )

    async def create(self, *names: str, tokens: Tokens | None = None, **given: object) -> Subscribed:
        return await subscriptions.create(self.client, tokens or self.tokens, self.wanted(*names, **given))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@asynccontextmanager
async def subscribing(folder: Path, certificates: Certificates, **switches: object) -> AsyncIterator[Account]:
    async with pushing(folder, **switches) as push, GraphClient(settings_for(push.cloud)) as client:
        yield Account(push.cloud, push.receiver, client, certificates)


@pytest.fixture
async def account(folder: Path, certificates: Certificates) -> AsyncIterator[Account]:
    async with subscribing(folder, certificates) as found:
        yield found


async def test_a_subscription_is_made_as_documented_and_graph_says_what_holds(account: Account):
    wanted = account.wanted()
    made = await subscriptions.create(account.client, account.tokens, wanted)
    assert uuid.UUID(made.subscription_id)
    assert abs(made.expires - wanted.expires) < timedelta(seconds=1)
    assert made.notification_url == wanted.notification_url
    assert made.client_state == "secret"
    assert made.creator_id == account.cloud.person("presence-relay@contoso.example").oid
    # One address for both kinds, each of which Graph tried.
    assert [got.path for got in account.receiver.handshakes] == ["/notifications/07-route"] * 2
    [kept] = account.cloud.subscriptions()
    assert (kept.users, kept.rich) == (2, True)


async def test_what_graph_sends_can_be_opened(account: Account):
    await account.create()
    account.cloud.set_presence("ada@contoso.example", "Busy", "InACall")
    await account.receiver.wait_for(1)
    raw = json.loads(account.receiver.posts[0].body)["value"][0]
    assert raw["clientState"] == "secret"
    found = decrypt_notification(json.dumps(raw).encode(), account.certificates)
    assert (found.user_id, found.availability, found.activity) == (*ids(account.cloud, "ada"), "Busy", "InACall")


async def test_a_short_life_is_lengthened_by_graph_and_told(account: Account):
    made = await account.create(minutes=10)
    assert made.expires > datetime.now(UTC) + timedelta(minutes=40)


@pytest.mark.parametrize("status", [200, 204])
async def test_a_renewal_moves_the_end_and_may_change_the_certificate(
    folder: Path, certificates: Certificates, status: int
):
    async with subscribing(folder, certificates, renewal_status=status) as account:
        made = await account.create(minutes=46)
        until = datetime.now(UTC) + timedelta(minutes=59)
        old = certificates.of("old")
        ends = await subscriptions.renew(account.client, account.tokens, made.subscription_id, until, old)
        assert abs(ends - until) < timedelta(seconds=1)
        account.cloud.set_presence("ada@contoso.example", "Away", "Away")
        [item] = await account.receiver.wait_for(1)
        assert item["encryptedContent"]["encryptionCertificateId"] == old.certificate_id
        assert decrypt_notification(json.dumps(item).encode(), certificates).availability == "Away"


async def test_one_that_is_gone_cannot_be_renewed_and_is_deleted_already(account: Account):
    made = await account.create()
    for _ in range(2):
        await subscriptions.delete(account.client, account.tokens, made.subscription_id)
    with pytest.raises(SubscriptionGone):
        await subscriptions.renew(account.client, account.tokens, made.subscription_id, made.expires)
    assert await subscriptions.list_all(account.client, account.tokens) == []


async def test_the_list_has_the_accounts_own(account: Account):
    made = await account.create()
    await account.create(tokens=Tokens(account.cloud, OTHER))
    [found] = await subscriptions.list_all(account.client, account.tokens)
    assert found.subscription_id == made.subscription_id
    assert (found.notification_url, found.creator_id) == (made.notification_url, made.creator_id)


async def test_a_list_of_several_pages_is_read_to_its_end(folder: Path, certificates: Certificates):
    async with subscribing(folder, certificates, subscription_page_size=1) as account:
        await account.create()
        assert len(await subscriptions.list_all(account.client, account.tokens)) == 1


async def test_a_second_one_of_the_account_is_refused(account: Account):
    await account.create()
    with pytest.raises(SubscriptionExists, match="409"):
        await account.create()


async def test_a_limit_that_is_reached_is_told_in_graphs_words(folder: Path, certificates: Certificates):
    async with subscribing(folder, certificates, second_subscription="forbidden_403") as account:
        await account.create()
        with pytest.raises(SubscriptionRefused, match="limit"):
            await account.create()


async def test_an_account_without_the_permission_is_denied(account: Account):
    with pytest.raises(AccessDenied) as caught:
        await account.create(tokens=Tokens(account.cloud, scopes={"User.ReadBasic.All"}))
    assert not isinstance(caught.value, SubscriptionRefused)


async def test_a_webhook_that_does_not_prove_itself_is_told_apart(account: Account):
    async def wrong(_got: object) -> Said:
        return Said(status=200, body=b"something else")

    account.receiver.say = wrong
    with pytest.raises(WebhookUnreachable, match="validation"):
        await account.create()
    with pytest.raises(WebhookUnreachable):
        await account.create(url=f"https://127.0.0.1:{free_port()}/notifications/07-route")
    assert account.cloud.subscriptions() == []


async def test_a_slow_handshake_is_waited_for(folder: Path, certificates: Certificates):
    """Graph gives the webhook 10 s, twice: longer than other calls may take."""
    async with subscribing(folder, certificates) as account:
        impatient = settings_for(account.cloud, read_timeout=timedelta(milliseconds=50))
        async with GraphClient(impatient) as client:
            account.cloud.add_fault(Fault(path="/v1.0/subscriptions", latency_ms=200))
            assert (await subscriptions.create(client, account.tokens, account.wanted())).subscription_id


async def test_other_refusals_are_what_they_always_are(account: Account):
    with pytest.raises(RequestRefused) as caught:
        await account.create(url="http://plain.example")
    assert type(caught.value) in (RequestRefused, WebhookUnreachable)
    with pytest.raises(RequestRefused):
        await account.create(minutes=90)


async def test_a_subscription_that_graph_calls_gone_is_gone(account: Account):
    made = await account.create()
    account.cloud.add_fault(Fault(path="/v1.0/subscriptions/", status=410))
    with pytest.raises(SubscriptionGone):
        await subscriptions.renew(account.client, account.tokens, made.subscription_id, made.expires)
    await subscriptions.delete(account.client, account.tokens, made.subscription_id)


@pytest.mark.parametrize(("status", "error"), [(503, SourceUnreachable), (429, SourceThrottled)])
async def test_trouble_at_graph_is_to_be_tried_again(account: Account, status: int, error: type[Exception]):
    account.cloud.add_fault(Fault(path="/v1.0/subscriptions", status=status))
    with pytest.raises(error):
        await account.create()


@pytest.mark.parametrize("count", [0, 651])
async def test_more_users_than_graph_takes_are_not_asked_for(account: Account, count: int):
    wanted = replace(account.wanted(), users=tuple(UserId(str(uuid.UUID(int=n))) for n in range(count)))
    with pytest.raises(Bug):
        await subscriptions.create(account.client, account.tokens, wanted)


async def test_650_users_are_taken(account: Account):
    wanted = replace(account.wanted(), users=tuple(UserId(str(uuid.UUID(int=n))) for n in range(650)))
    assert (await subscriptions.create(account.client, account.tokens, wanted)).subscription_id


async def test_no_secret_shows(account: Account):
    shown = repr(account.wanted()) + repr(await account.create()) + repr(account.certificates.newest)
    assert "secret" not in shown
    assert "PrivateKey" not in shown
    assert "07-route" not in shown
