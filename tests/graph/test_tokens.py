from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from emulator import Cloud
from emulator.demo import CLIENT_ID
from emulator.faults import Fault
from emulator.world import Application
from relay.core.consent.refusals import RefusalClass
from relay.core.consent.values import TokenGrant
from relay.core.presence import TenantId
from relay.errors import (
    ConsentRequired,
    CredentialRejected,
    RelayError,
    SourceThrottled,
    SourceUnreachable,
    StoreUnavailable,
)
from relay.graph.auth.tokens import AccessToken, GrantTokens
from relay.graph.client import GraphClient
from relay.graph.errors import GrantRefused
from relay.graph.presence.presences import read_presences
from relay.graph.settings import ClientCertificate, GraphSettings
from tests.graph.conftest import RELAY, SCOPES, ids, settings_for
from tests.graph.consents import consented
from tests.support.waiting import eventually


class Vault:
    """Keeps grants with a version, as the store's does."""

    def __init__(self) -> None:
        self.kept: dict[str, TokenGrant] = {}
        self.asked_at: list[dt.datetime] = []
        self.error: Exception | None = None

    async def save(self, grant: TokenGrant, token_cache: str, asked_at: dt.datetime) -> TokenGrant:
        self.asked_at.append(asked_at)
        if self.error is not None:
            raise self.error
        known = self.kept.get(grant.account_id, grant)
        if known.version == grant.version:
            self.kept[grant.account_id] = replace(grant, version=grant.version + 1, token_cache=token_cache)
        return self.kept[grant.account_id]


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
async def granted(settings: GraphSettings, vault: Vault) -> AsyncIterator[GrantTokens]:
    async with GrantTokens(settings, vault.save) as tokens:
        yield tokens


@pytest.fixture
async def grant(cloud: Cloud, settings: GraphSettings) -> TokenGrant:
    return consented(cloud, settings)


def token_calls(cloud: Cloud, tenant: str = "") -> int:
    lines = [line for line in cloud.journal.search() if line.path.endswith("/oauth2/v2.0/token")]
    return len([line for line in lines if tenant in line.path])


async def test_a_consent_gives_tokens_that_read_presence(
    cloud: Cloud, client: GraphClient, granted: GrantTokens, grant: TokenGrant
):
    page = await read_presences(client, granted.source(grant), ids(cloud, "ada"))
    assert page.observations[0].availability == "Available"


async def test_a_token_is_kept_until_shortly_before_its_end(cloud: Cloud, granted: GrantTokens, grant: TokenGrant):
    token = await granted.access_token(grant)
    before = token_calls(cloud)
    assert await granted.access_token(grant) is token
    assert token_calls(cloud) == before
    now = time.monotonic()
    assert 3200 < token.renew_at - now < 3300
    assert 3500 < token.good_until - now < 3570


@pytest.mark.fault("B17")
async def test_a_token_that_is_still_good_is_used_while_the_next_one_is_fetched(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant
):
    token = await granted.access_token(grant)
    [kept] = granted._kept.values()
    kept.token = replace(token, renew_at=time.monotonic())
    cloud.set_switches(token_latency_ms_of={grant.tenant_id: 1_000})
    calls = token_calls(cloud)
    for _ in range(5):
        assert (await granted.access_token(grant)).text == token.text, "nobody waits"
    assert kept.flight is not None
    await kept.flight
    assert token_calls(cloud) <= calls + 1
    assert kept.token.renew_at > time.monotonic() + 3000


async def test_a_refresh_is_fresh_and_its_token_cache_is_saved(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant, vault: Vault
):
    first = await granted.access_token(grant)
    second = await granted.refresh(grant)
    assert second.text != first.text
    assert vault.kept[grant.account_id].version > grant.version
    assert vault.kept[grant.account_id].token_cache != grant.token_cache


async def test_a_saved_grant_goes_on_without_asking_entra_again(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant, vault: Vault
):
    token = await granted.refresh(grant)
    before = len(cloud.journal.search())
    assert await granted.access_token(vault.kept[grant.account_id]) is token
    assert await granted.access_token(grant) is token
    assert len(cloud.journal.search()) == before


async def test_a_saved_token_cache_works_after_a_restart(
    cloud: Cloud, settings: GraphSettings, granted: GrantTokens, grant: TokenGrant, vault: Vault
):
    await granted.refresh(grant)
    async with GrantTokens(settings, vault.save) as restarted:
        before = token_calls(cloud)
        assert (await restarted.access_token(vault.kept[grant.account_id])).text
        assert token_calls(cloud) == before, "the access token was in the kept cache"


async def test_one_call_refreshes_a_grant_however_many_wait(cloud: Cloud, granted: GrantTokens, grant: TokenGrant):
    await granted.access_token(grant)
    cloud.set_switches(token_latency_ms=200)
    before = token_calls(cloud)
    tokens = await asyncio.gather(*(granted.refresh(grant) for _ in range(50)))
    assert token_calls(cloud) == before + 1
    assert len({token.text for token in tokens}) == 1


async def test_a_renewed_grant_is_dated_by_when_entra_was_asked(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant, vault: Vault
):
    cloud.add_fault(Fault(contains="oauth2/v2.0/token", count=1, latency_ms=1000))
    before = dt.datetime.now(dt.UTC)
    renewal = asyncio.create_task(granted.refresh(grant))
    await eventually(lambda: not cloud.faults.all())  # Entra has the request, and has not answered it
    refused_at = dt.datetime.now(dt.UTC)  # what is refused from here on is later than what this renewal proves
    assert not renewal.done()
    await renewal
    assert before <= vault.asked_at[-1] <= refused_at


async def test_a_refused_token_is_not_given_again(cloud: Cloud, granted: GrantTokens, grant: TokenGrant):
    source = granted.source(grant)
    refused = await source()
    fresh = await source(refused=refused)
    before = token_calls(cloud)
    assert fresh != refused
    assert await source(refused=refused) == fresh, "somebody else asked already"
    assert token_calls(cloud) == before


async def test_a_waiter_that_is_cancelled_does_not_cancel_the_others(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant
):
    cloud.set_switches(token_latency_ms=200)
    first = asyncio.create_task(granted.refresh(grant))
    await asyncio.sleep(0)
    second = asyncio.create_task(granted.refresh(grant))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second).text


DEAD = [
    "sessions_revoked",
    "password_reset",
    "account_disabled",
    "consent_removed",
    "mfa_required",
    "conditional_access",
]


@pytest.mark.parametrize("kind", DEAD)
async def test_a_dead_grant_says_why(cloud: Cloud, granted: GrantTokens, grant: TokenGrant, kind: str):
    await granted.access_token(grant)
    cloud.directory.revoke(RELAY, kind)
    with pytest.raises(ConsentRequired) as caught:
        await granted.refresh(grant)
    assert isinstance(caught.value, GrantRefused)
    assert caught.value.refusal.kind is RefusalClass.CONSENT_REQUIRED
    assert caught.value.code
    assert str(caught.value).endswith(".")
    assert "AADSTS" not in str(caught.value)
    with pytest.raises(ConsentRequired):
        await granted.access_token(grant)


async def test_a_grant_that_heals_works_again_at_once(cloud: Cloud, granted: GrantTokens, grant: TokenGrant):
    cloud.directory.revoke(RELAY, "account_disabled")
    with pytest.raises(ConsentRequired):
        await granted.refresh(grant)
    cloud.directory.restore(RELAY)
    assert (await granted.refresh(grant)).text


async def test_a_new_version_of_a_dead_grant_works_at_once(
    cloud: Cloud, settings: GraphSettings, granted: GrantTokens, grant: TokenGrant
):
    cloud.directory.revoke(RELAY, "sessions_revoked")
    with pytest.raises(ConsentRequired):
        await granted.refresh(grant)
    renewed = replace(consented(cloud, settings), version=grant.version + 5)
    assert (await granted.refresh(renewed)).text
    assert (await granted.refresh(grant)).text, "who still holds the old version gets the newer token"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "[]",
        "{}",
        '{"RefreshToken": {}}',
        "null",
        '{"RefreshToken": 5}',
        '{"RefreshToken": {"x": 5}}',
        "[" * 100_000,
    ],
)
async def test_a_kept_consent_that_cannot_be_used_needs_a_new_one(granted: GrantTokens, grant: TokenGrant, text: str):
    gc.collect()  # or what other tests left is collected at the bottom of a recursion, where nothing can be closed
    with pytest.raises(ConsentRequired) as caught:
        await granted.access_token(replace(grant, token_cache=text))
    assert caught.value.code == "nothing_kept"


@pytest.mark.parametrize("kind", ["secret_wrong", "secret_expired"])
async def test_our_own_credential_is_nobody_elses_fault(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant, kind: str
):
    cloud.directory.refuse_application(CLIENT_ID, kind)
    with pytest.raises(CredentialRejected):
        await granted.refresh(grant)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(contains="/token", status=500), SourceUnreachable),
        (Fault(contains="/token", status=503, headers={"Retry-After": "3"}), SourceThrottled),
        (Fault(contains="/token", status=429, headers={"Retry-After": "3"}), SourceThrottled),
        (Fault(contains="/token", status=429), SourceThrottled),
        (Fault(contains="/token", status=200, body="<html>secret</html>"), SourceUnreachable),
        (Fault(contains="/token", status=200, body="[]"), SourceUnreachable),
        (Fault(contains="/token", status=200, body="{}"), SourceUnreachable),
        (Fault(contains="/token", status=200, body='{"access_token": "x", "expires_in": "soon"}'), SourceUnreachable),
        (
            Fault(contains="/token", status=200, body='{"access_token": "x", "id_token": 5, "expires_in": 9}'),
            SourceUnreachable,
        ),
        (Fault(contains="/token", status=400, body='{"error": ["x"], "error_codes": "y"}'), SourceUnreachable),
        (Fault(contains="/token", status=400, body='{"error": "temporarily_unavailable"}'), SourceThrottled),
        (Fault(contains="/token", status=302, headers={"Location": "https://127.0.0.1:1/"}), SourceUnreachable),
        (Fault(contains="/token", reset=True), SourceUnreachable),
        (Fault(contains="openid-configuration", status=500), SourceUnreachable),
        (Fault(contains="openid-configuration", damage="not_json"), SourceUnreachable),
        (Fault(contains="openid-configuration", damage="no_value"), SourceUnreachable),
        (Fault(contains="openid-configuration", reset=True), SourceUnreachable),
        (Fault(contains="openid-configuration", status=404, body="{}"), SourceUnreachable),
    ],
    ids=lambda value: f"{value.contains}-{value.status}-{value.body[:9]}" if isinstance(value, Fault) else "",
)
async def test_trouble_of_entras_is_not_the_grants_and_passes(
    cloud: Cloud,
    granted: GrantTokens,
    grant: TokenGrant,
    fault: Fault,
    kind: type[RelayError],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    cloud.add_fault(fault)
    with pytest.raises(kind) as caught:
        await granted.refresh(grant)
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("msal"))
    cloud.faults.remove()
    assert (await granted.refresh(grant)).text


@pytest.mark.fault("B24")
@pytest.mark.parametrize("odd", ["null", "5", '""', "[]", "{}", "true"])
async def test_an_odd_refresh_token_never_takes_the_place_of_one_that_worked(
    cloud: Cloud, settings: GraphSettings, granted: GrantTokens, grant: TokenGrant, vault: Vault, odd: str
):
    body = f'{{"token_type": "Bearer", "access_token": "x", "expires_in": 3599, "refresh_token": {odd}, "scope": "{" ".join(SCOPES)}"}}'
    cloud.add_fault(Fault(contains="/token", status=200, body=body, count=1))
    with contextlib.suppress(SourceUnreachable):
        await granted.refresh(grant)
    assert len((await granted.refresh(grant)).text) > 1
    async with GrantTokens(settings, vault.save) as another:
        assert (await another.refresh(vault.kept[grant.account_id])).text


@pytest.mark.fault("B22")
@pytest.mark.parametrize("codes", ['["53003"]', "[53003]", "[]", "null", '["53003", 5]'])
async def test_a_policys_refusal_is_known_however_its_number_comes(
    cloud: Cloud, granted: GrantTokens, grant: TokenGrant, codes: str
):
    body = f'{{"error": "invalid_grant", "error_codes": {codes}, "error_description": "AADSTS53003: blocked"}}'
    cloud.add_fault(Fault(contains="/token", status=400, body=body))
    with pytest.raises(GrantRefused) as caught:
        await granted.refresh(grant)
    assert caught.value.refusal.heals
    assert "policy" in caught.value.refusal.sentence


@pytest.mark.fault("B21")
async def test_a_clock_that_differs_is_told_with_the_number(cloud: Cloud, granted: GrantTokens, grant: TokenGrant):
    body = '{"error": "invalid_client", "error_codes": [700024], "error_description": "AADSTS700024: Client assertion is not within its valid time range."}'
    cloud.add_fault(Fault(contains="/token", status=401, body=body))
    with pytest.raises(CredentialRejected, match=r"clock differs.*AADSTS700024"):
        await granted.refresh(grant)


async def test_a_tenant_that_entra_does_not_know_needs_consent(granted: GrantTokens, grant: TokenGrant):
    stranger = replace(grant, tenant_id=TenantId("99999999-0000-4000-8000-000000000009"))
    with pytest.raises(ConsentRequired):
        await granted.access_token(stranger)


async def test_nobody_listening_is_unreachable(cloud: Cloud, grant: TokenGrant, vault: Vault, unused_tcp_port: int):
    settings = settings_for(cloud, authority_url=f"https://127.0.0.1:{unused_tcp_port}")
    async with GrantTokens(settings, vault.save) as tokens:
        with pytest.raises(SourceUnreachable):
            await tokens.access_token(grant)


async def test_a_token_is_served_although_it_could_not_be_saved_yet(
    granted: GrantTokens, grant: TokenGrant, vault: Vault
):
    vault.error = StoreUnavailable("away")
    assert (await granted.refresh(grant)).text
    vault.error = None
    await granted.refresh(grant)
    assert vault.kept[grant.account_id].version == grant.version + 1


async def test_a_save_that_is_a_bug_is_not_hidden(granted: GrantTokens, grant: TokenGrant, vault: Vault):
    vault.error = KeyError("x")
    with pytest.raises(KeyError):
        await granted.refresh(grant)


async def test_a_slow_tenant_delays_neither_the_event_loop_nor_the_others(
    cloud: Cloud, settings: GraphSettings, granted: GrantTokens, grant: TokenGrant
):
    other = consented(cloud, settings, who="presence-relay@fabrikam.example")
    cloud.set_switches(token_latency_ms_of={grant.tenant_id: 60_000})
    slow = [asyncio.create_task(granted.refresh(replace(grant, account_id=f"{n}"))) for n in range(40)]
    await asyncio.sleep(0)
    assert (await granted.refresh(other)).text, "by the local cloud, which answers on this very loop"
    assert not any(task.done() for task in slow), "the other tenant did not wait for the slow one"
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_a_forgotten_grant_asks_anew(granted: GrantTokens, grant: TokenGrant):
    token = await granted.access_token(grant)
    granted.forget(grant.tenant_id, grant.account_id)
    granted.forget(grant.tenant_id, grant.account_id)
    assert await granted.access_token(grant) is not token


async def test_leaving_ends_what_is_under_way(cloud: Cloud, settings: GraphSettings, grant: TokenGrant, vault: Vault):
    cloud.set_switches(token_latency_ms=500)
    async with GrantTokens(settings, vault.save) as tokens:
        waiting = asyncio.create_task(tokens.refresh(grant))
        await asyncio.sleep(0)
    with pytest.raises(SourceUnreachable):
        await waiting


def test_tokens_and_grants_do_not_show_their_secrets():
    grant = TokenGrant(tenant_id=TenantId("t"), account_id="a", version=1, token_cache="hidden")
    assert "hidden" not in repr(grant) + repr(AccessToken("hidden", 1.0))


def certificate() -> tuple[ClientCertificate, str]:
    """A certificate with its key, and the certificate alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return ClientCertificate(private_key_pem=private, certificate_pem=pem), pem


def register(cloud: Cloud, pem: str) -> None:
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    cloud.directory.put_application(
        Application(
            client_id=CLIENT_ID,
            name=application.name,
            publisher=application.publisher,
            redirect_uris=application.redirect_uris,
            certificates=[pem],
            scopes=application.scopes,
        )
    )


async def test_a_certificate_proves_the_relay(cloud: Cloud, vault: Vault):
    own, pem = certificate()
    register(cloud, pem)
    settings = settings_for(cloud, client_secret=None, certificate=own)
    grant = consented(cloud, settings)
    async with GrantTokens(settings, vault.save) as tokens:
        assert (await tokens.refresh(grant)).text


Spoil = Callable[[ClientCertificate], ClientCertificate]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda own: replace(own, private_key_pem="garbage"),
        lambda own: replace(own, certificate_pem="garbage"),
        lambda own: replace(own, private_key_pem=certificate()[0].private_key_pem),
    ],
    ids=["key", "certificate", "of two pairs"],
)
async def test_a_bad_certificate_is_the_operators_fault(cloud: Cloud, grant: TokenGrant, vault: Vault, spoil: Spoil):
    own, pem = certificate()
    register(cloud, pem)
    async with GrantTokens(settings_for(cloud, client_secret=None, certificate=spoil(own)), vault.save) as tokens:
        with pytest.raises(CredentialRejected) as caught:
            await tokens.refresh(grant)
    assert "garbage" not in str(caught.value)


def test_the_permissions_asked_for_are_the_documented_ones(settings: GraphSettings):
    assert set(settings.scopes) == SCOPES
