from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from emulator import Cloud
from emulator.demo import CLIENT_ID, REDIRECT_URI
from emulator.faults import Fault
from relay.errors import CredentialRejected, RelayError, SourceThrottled, SourceUnreachable
from relay.graph.auth.consent import PERSONAL_ACCOUNTS, Consent, ConsentFailed, ConsentFlow, ConsentProblem
from relay.graph.auth.id_tokens import UntrustedIdTokenError, verify
from relay.graph.auth.signing_keys import SigningKeys
from relay.graph.client import GraphClient
from relay.graph.settings import GraphSettings
from tests.emulator.driver import browser, walk
from tests.graph.conftest import RELAY, settings_for
from tests.graph.consents import consent, consent_at_once

STRANGER = "presence-relay@fabrikam.example"


@pytest.fixture
async def consents(client: GraphClient) -> AsyncIterator[Consent]:
    async with Consent(client) as running:
        yield running


@pytest.fixture
async def person(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(cloud) as running:
        yield running


@pytest.fixture
async def flow(consents: Consent) -> ConsentFlow:
    return await consents.begin(REDIRECT_URI)


async def test_a_consent_becomes_a_grant(cloud: Cloud, settings: GraphSettings):
    account = cloud.person(RELAY)
    new = await consent(cloud, settings)
    assert (new.tenant_id, new.account_id, new.upn) == (account.tenant.tenant_id, account.oid, RELAY)
    assert {"Presence.Read.All", "User.ReadBasic.All"} <= set(new.scopes)
    assert "RefreshToken" in json.loads(new.token_cache)


async def test_a_consent_at_once_leaves_what_a_consent_leaves(cloud: Cloud, settings: GraphSettings):
    """Nearly all other tests stand on this."""
    browsed = await consent(cloud, settings)
    given = cloud.directory.grants()
    cloud.reset()
    at_once = consent_at_once(cloud, settings)
    assert cloud.directory.grants() == given
    assert (at_once.tenant_id, at_once.account_id, at_once.upn, at_once.scopes) == (
        browsed.tenant_id, browsed.account_id, browsed.upn, browsed.scopes,
    )  # fmt: skip
    assert timeless(at_once.token_cache) == timeless(browsed.token_cache)


def timeless(token_cache: str) -> Any:
    """What a token cache holds, without secrets and times."""
    cache = json.loads(token_cache)
    for entry in (entry for kind in cache.values() for entry in kind.values()):
        for name in ("secret", "cached_at", "expires_on", "extended_expires_on", "last_modification_time"):
            entry.pop(name, None)
    return cache


async def test_a_flow_asks_for_what_the_relay_needs_and_nothing_else(flow: ConsentFlow):
    asked = {name: values[0] for name, values in parse_qs(urlsplit(flow.authorize_url).query).items()}
    assert set(asked["scope"].split()) == {
        "Presence.Read.All",
        "User.ReadBasic.All",
        "openid",
        "profile",
        "offline_access",
    }
    assert (asked["response_mode"], asked["code_challenge_method"]) == ("form_post", "S256")
    assert asked["state"] == flow.state
    assert len(asked["nonce"]) == 64
    assert flow.kept["nonce"] not in flow.authorize_url
    assert flow.kept["code_verifier"] not in flow.authorize_url


async def test_a_flow_can_wait_in_json_and_does_not_show_its_secrets(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient
):
    kept = json.loads(json.dumps(flow.kept))
    new = await consents.complete(kept, await walk(person, flow.authorize_url))
    assert new.upn == RELAY
    assert flow.kept["code_verifier"] not in repr(flow)
    assert "secret" not in repr(replace(new, token_cache="secret"))


async def test_prompt_and_hint_reach_entra(consents: Consent):
    flow = await consents.begin(REDIRECT_URI, prompt="select_account", login_hint=RELAY)
    asked = parse_qs(urlsplit(flow.authorize_url).query)
    assert (asked["prompt"], asked["login_hint"]) == (["select_account"], [RELAY])


async def test_a_declined_consent_says_so(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient
):
    answer = await walk(person, flow.authorize_url, decision="decline")
    with pytest.raises(ConsentFailed) as caught:
        await consents.complete(flow.kept, answer)
    assert (caught.value.problem, caught.value.code) == (ConsentProblem.DECLINED, "access_denied")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"error": "access_denied", "error_subcode": "cancel"}, ConsentProblem.DECLINED),
        ({"error": "access_denied"}, ConsentProblem.DECLINED),
        ({"error": "access_denied", "error_description": "AADSTS90094: admin"}, ConsentProblem.ADMIN_NEEDED),
        ({"error": "consent_required", "error_description": "AADSTS90095: admin"}, ConsentProblem.APPROVAL_ASKED),
        ({"error": "interaction_required", "error_description": "AADSTS53003: blocked"}, ConsentProblem.REFUSED),
        (
            {"error": "access_denied", "error_description": "AADSTS50105: assign", "admin_consent": "True"},
            ConsentProblem.REFUSED,
        ),
        ({"code": ""}, ConsentProblem.NOT_OURS),
        ({}, ConsentProblem.NOT_OURS),
    ],
)
async def test_a_refusal_says_what_to_do(
    consents: Consent, flow: ConsentFlow, answer: dict[str, str], problem: ConsentProblem
):
    with pytest.raises(ConsentFailed) as caught:
        await consents.complete(flow.kept, {"state": flow.state, **answer})
    assert caught.value.problem is problem
    assert caught.value.sentence.endswith(".")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"error": "invalid_request", "error_description": "AADSTS90038: other cloud"}, CredentialRejected),
        ({"error": "invalid_scope"}, CredentialRejected),
        ({"error": "temporarily_unavailable"}, SourceThrottled),
        ({"error": "server_error"}, SourceUnreachable),
        ({"error": "<script>", "error_description": "x" * 100_000}, SourceUnreachable),
    ],
)
async def test_refusals_that_are_not_the_persons_fault(
    consents: Consent, flow: ConsentFlow, answer: dict[str, str], kind: type[RelayError]
):
    with pytest.raises(kind):
        await consents.complete(flow.kept, {"state": flow.state, **answer})


@pytest.mark.parametrize("state", ["", "other", "ünknown", "x" * 100_000])
async def test_an_answer_of_another_flow_is_refused(consents: Consent, flow: ConsentFlow, state: str):
    with pytest.raises(ConsentFailed) as caught:
        await consents.complete(flow.kept, {"state": state, "code": "x"})
    assert (caught.value.problem, caught.value.code) == (ConsentProblem.NOT_OURS, "state")


async def test_without_a_kept_flow_no_state_is_right(consents: Consent):
    for kept in ({}, {"state": ""}):
        with pytest.raises(ConsentFailed):
            await consents.complete(kept, {"state": "", "code": "x"})


async def test_a_made_up_code_is_refused(consents: Consent, flow: ConsentFlow):
    with pytest.raises(ConsentFailed):
        await consents.complete(flow.kept, {"state": flow.state, "code": "made up"})


async def test_a_code_is_good_once(consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient):
    answer = await walk(person, flow.authorize_url)
    await consents.complete(flow.kept, answer)
    with pytest.raises(ConsentFailed) as caught:
        await consents.complete(flow.kept, answer)
    assert caught.value.problem is ConsentProblem.NOT_OURS


async def test_a_code_of_another_flow_does_not_pass(consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient):
    other = await consents.begin(REDIRECT_URI)
    answer = await walk(person, other.authorize_url)
    with pytest.raises(ConsentFailed):
        await consents.complete(flow.kept, {**answer, "state": flow.state})


async def test_an_invited_tenant_is_the_only_one_that_may_come(cloud: Cloud, settings: GraphSettings):
    tenant = cloud.person(RELAY).tenant.tenant_id
    assert (await consent(cloud, settings, tenant=tenant)).tenant_id == tenant


async def test_another_tenant_than_the_invited_one_is_refused(
    cloud: Cloud, consents: Consent, person: httpx.AsyncClient
):
    flow = await consents.begin(REDIRECT_URI)
    answer = await walk(person, flow.authorize_url, username=STRANGER)
    with pytest.raises(ConsentFailed) as caught:
        await consents.complete({**flow.kept, "tenant": cloud.person(RELAY).tenant.tenant_id}, answer)
    assert caught.value.problem in (ConsentProblem.OTHER_TENANT, ConsentProblem.NOT_OURS)


@pytest.mark.parametrize("tenant", ["", "common", "contoso.example", "../x", "consumers"])
async def test_a_flow_is_for_one_tenant_or_for_any_organisation(consents: Consent, tenant: str):
    with pytest.raises(ConsentFailed):
        await consents.begin(REDIRECT_URI, tenant=tenant)


async def test_entra_being_away_at_the_beginning_is_told(cloud: Cloud, consents: Consent):
    cloud.add_fault(Fault(contains="openid-configuration", status=503))
    with pytest.raises(SourceUnreachable):
        await consents.begin(REDIRECT_URI)


async def test_a_token_answer_without_the_permissions_is_no_grant(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient
):
    with pytest.raises(ConsentFailed) as caught:
        await complete_with(cloud, consents, flow, person, scope="User.ReadBasic.All openid")
    assert (caught.value.problem, caught.value.code) == (ConsentProblem.PERMISSIONS_MISSING, "presence.read.all")


async def test_a_token_answer_without_a_refresh_token_is_no_grant(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient
):
    with pytest.raises(ConsentFailed) as caught:
        await complete_with(cloud, consents, flow, person, refresh_token=None)
    assert (caught.value.problem, caught.value.code) == (ConsentProblem.PERMISSIONS_MISSING, "offline_access")


@pytest.mark.parametrize("id_token", [None, "", "x", "x.y.z", "e30.e30.", "e30.W10.x", 7, "a." + "[" * 9999 + ".b"])
async def test_a_token_answer_without_a_readable_id_token_is_no_grant(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient, id_token: Any
):
    with pytest.raises(ConsentFailed) as caught:
        await complete_with(cloud, consents, flow, person, id_token=id_token)
    assert caught.value.problem is ConsentProblem.UNTRUSTED


async def complete_with(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient, **changes: Any
) -> Any:
    """Completes a flow whose token answer is changed on the way."""
    answer = await walk(person, flow.authorize_url)
    account = cloud.person(RELAY)
    said = {
        "token_type": "Bearer", "scope": "Presence.Read.All User.ReadBasic.All", "expires_in": 3599,
        "access_token": "at", "refresh_token": "rt", "id_token": signed(cloud, claims(cloud, flow.kept["nonce"])),
        "client_info": encoded({"uid": account.oid, "utid": account.tenant.tenant_id}),
    }  # fmt: skip
    body = json.dumps({name: value for name, value in {**said, **changes}.items() if value is not None})
    cloud.add_fault(Fault(contains="/oauth2/v2.0/token", status=200, body=body))
    return await consents.complete(flow.kept, answer)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def claims(cloud: Cloud, nonce_of_flow: str, /, **changes: Any) -> dict[str, Any]:
    account, now = cloud.person(RELAY), int(time.time())
    tenant = account.tenant.tenant_id
    right = {
        "iss": f"{cloud.url}/{tenant}/v2.0", "aud": CLIENT_ID, "exp": now + 3600, "nbf": now - 10, "iat": now, "ver": "2.0",
        "tid": tenant, "oid": account.oid, "preferred_username": RELAY, "nonce": hashlib.sha256(nonce_of_flow.encode()).hexdigest(),
    }  # fmt: skip
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


def signed(cloud: Cloud, of: dict[str, Any], *, key: RSAKey | None = None, **header: Any) -> str:
    own = cloud.tokens.key
    return jwt.encode({"alg": "RS256", "kid": own.kid, "typ": "JWT", **header}, of, key or RSAKey.import_key(own.pem))


async def test_a_right_id_token_says_who_signed_in(cloud: Cloud, keys: SigningKeys):
    who = await verify(keys, signed(cloud, claims(cloud, "n")), "n")
    assert (who.account_id, who.upn) == (cloud.person(RELAY).oid, RELAY)


OTHER = "99999999-0000-4000-8000-000000000009"


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"iss": "https://login.microsoftonline.com/x/v2.0"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": OTHER}, "audience"),
        ({"aud": [CLIENT_ID]}, "audience"),
        ({"aud": None}, "audience"),
        ({"exp": int(time.time()) - 86_400}, "time"),
        ({"exp": None}, "time"),
        ({"exp": "never"}, "time"),
        ({"nbf": int(time.time()) + 86_400}, "time"),
        ({"nonce": "other"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"oid": None}, "account"),
        ({"oid": "root"}, "account"),
        ({"tid": None}, "issuer"),
        ({"tid": "../common"}, "issuer"),
    ],
)
async def test_an_id_token_with_a_wrong_claim_proves_nothing(
    cloud: Cloud, keys: SigningKeys, changes: dict[str, Any], check: str
):
    with pytest.raises(UntrustedIdTokenError, match=check):
        await verify(keys, signed(cloud, claims(cloud, "n", **changes)), "n")


async def test_an_id_token_of_another_tenant_is_not_of_this_one(cloud: Cloud, keys: SigningKeys):
    tenant = cloud.person(STRANGER).tenant.tenant_id
    with pytest.raises(UntrustedIdTokenError, match="issuer"):
        await verify(keys, signed(cloud, claims(cloud, "n", tid=tenant)), "n")


@pytest.mark.parametrize("nonce", ["", "other"])
async def test_an_id_token_of_another_flow_proves_nothing(cloud: Cloud, keys: SigningKeys, nonce: str):
    with pytest.raises(UntrustedIdTokenError, match="nonce"):
        await verify(keys, signed(cloud, claims(cloud, "n")), nonce)


async def test_a_token_signed_by_somebody_else_proves_nothing(cloud: Cloud, keys: SigningKeys):
    forged = signed(cloud, claims(cloud, "n"), key=RSAKey.generate_key(2048))
    with pytest.raises(UntrustedIdTokenError, match="signature"):
        await verify(keys, forged, "n")


async def test_a_token_that_was_changed_after_signing_proves_nothing(cloud: Cloud, keys: SigningKeys):
    head, _, signature = signed(cloud, claims(cloud, "n")).split(".")
    changed = f"{head}.{encoded(claims(cloud, 'n', oid=OTHER))}.{signature}"
    with pytest.raises(UntrustedIdTokenError, match="signature"):
        await verify(keys, changed, "n")


@pytest.mark.parametrize(
    "head", [{"alg": "none"}, {"alg": "HS256", "kid": "x"}, {"alg": "RS256", "kid": "unknown"}, {"alg": "RS256"}]
)
async def test_a_token_whose_head_says_otherwise_proves_nothing(cloud: Cloud, keys: SigningKeys, head: dict[str, str]):
    _, payload, signature = signed(cloud, claims(cloud, "n")).split(".")
    with pytest.raises(UntrustedIdTokenError, match="sign"):
        await verify(keys, f"{encoded(head)}.{payload}.{signature}", "n")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("openid-configuration", "<html>"),
        ("openid-configuration", "{}"),
        ("openid-configuration", '{"issuer": "x", "jwks_uri": "https://evil.example/keys"}'),
        ("/keys", "{}"),
        ("/keys", '{"keys": [7]}'),
        ("/keys", '{"keys": [{"kty": "RSA", "n": "!", "e": "!", "kid": "x"}]}'),
    ],
)
async def test_documents_of_entras_that_make_no_sense_are_its_trouble(
    cloud: Cloud, keys: SigningKeys, path: str, body: str
):
    cloud.add_fault(Fault(contains=path, status=200, body=body))
    with pytest.raises(SourceUnreachable):
        await verify(keys, signed(cloud, claims(cloud, "n")), "n")


@pytest.mark.parametrize("published", ["[]", '[{"kty": "EC"}]', '[{"kty": "oct", "k": "AAAA", "kid": "x"}]'])
async def test_documents_without_a_usable_key_are_entras_trouble(cloud: Cloud, keys: SigningKeys, published: str):
    cloud.add_fault(Fault(contains="/keys", status=200, body=f'{{"keys": {published}}}'))
    with pytest.raises(SourceUnreachable):
        await verify(keys, signed(cloud, claims(cloud, "n")), "n")


async def test_signing_keys_are_fetched_once_for_all_sign_ins(cloud: Cloud, keys: SigningKeys):
    for _ in range(5):
        await verify(keys, signed(cloud, claims(cloud, "n")), "n")
    assert keys.fetches == 1


async def test_personal_accounts_are_refused(
    cloud: Cloud, consents: Consent, flow: ConsentFlow, person: httpx.AsyncClient
):
    issuer = f"{cloud.url}/{PERSONAL_ACCOUNTS}/v2.0"
    personal = cloud.tokens.key.sign(claims(cloud, flow.kept["nonce"], tid=PERSONAL_ACCOUNTS, iss=issuer))
    with pytest.raises(ConsentFailed) as caught:
        await complete_with(cloud, consents, flow, person, id_token=personal)
    assert caught.value.problem is ConsentProblem.PERSONAL_ACCOUNT


async def test_a_slow_entra_does_not_stop_the_event_loop(cloud: Cloud, consents: Consent):
    """The local cloud answers on this very loop: a call of MSAL's that ran on it would wait for itself."""
    cloud.add_fault(Fault(contains="openid-configuration", latency_ms=300))
    beginning = asyncio.create_task(consents.begin(REDIRECT_URI))
    await asyncio.sleep(0)
    assert not beginning.done()
    assert (await beginning).state


async def test_a_registration_with_the_wrong_secret_is_the_operators_fault(cloud: Cloud, person: httpx.AsyncClient):
    async with GraphClient(settings_for(cloud, client_secret="wrong")) as client, Consent(client) as consents:
        flow = await consents.begin(REDIRECT_URI)
        with pytest.raises(CredentialRejected):
            await consents.complete(flow.kept, await walk(person, flow.authorize_url))
