"""Whatever is sent to Entra's paths is answered as Microsoft answers, never with a fault of the emulator's own."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import RSAKey

from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from emulator.entra import parameters, refusals
from emulator.entra.credentials import prove
from emulator.entra.refusals import Refused
from emulator.exchange import Request
from emulator.world import Application
from tests.emulator.driver import answer_of, submit, walk
from tests.emulator.test_authorize import authorize, redeem
from tests.emulator.test_msal import make_certificate

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

TOKEN = "/contoso.example/oauth2/v2.0/token"
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_refusal_has_microsofts_form_and_its_reason_is_in_the_journal(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    asked = str(uuid.uuid4())

    answer = await client.post(TOKEN, data={"grant_type": "x"}, headers={"client-request-id": asked})

    body = answer.json()
    assert set(body) == {
        "error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri",
    }  # fmt: skip
    assert body["correlation_id"] == asked
    assert body["error_uri"].endswith("?code=900144")
    assert (
        f"Trace ID: {body['trace_id']} Correlation ID: {asked} Timestamp: {body['timestamp']}"
        in body["error_description"]
    )
    assert answer.headers["cache-control"] == "no-store, no-cache"
    assert cloud.journal.search(path=TOKEN)[-1].reason == "AADSTS900144"


@pytest.mark.parametrize("left_out", ["grant_type", "client_id", "code", "client_secret"])
async def test_a_missing_parameter_is_named(client: httpx.AsyncClient, left_out: str) -> None:
    refused = await redeem(client, **{"code": "x", left_out: ""})

    assert refused["status"] in {400, 401}
    assert left_out in refused["error_description"]


@pytest.mark.parametrize("name", ["grant_type", "scope", "client_id", "refresh_token"])
async def test_a_duplicated_parameter_of_the_token_endpoint_is_refused(client: httpx.AsyncClient, name: str) -> None:
    pairs = [("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("client_secret", SECRET)]
    pairs += [("scope", "openid"), ("refresh_token", "x"), (name, "again")]

    answer = await client.post(TOKEN, content=urlencode(pairs), headers=FORM)

    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (
        400, "invalid_request", [9000411],
    )  # fmt: skip
    assert f"'{name}' is duplicated" in answer.json()["error_description"]


async def test_a_duplicated_parameter_of_the_authorize_endpoint_gets_a_page(client: httpx.AsyncClient) -> None:
    page = await client.get(f"{authorize()}&{urlencode({'redirect_uri': 'https://evil.example/'})}")

    assert (page.status_code, "location" in page.headers) == (400, False)
    assert "AADSTS9000411" in page.text


async def test_huge_requests_are_refused(client: httpx.AsyncClient) -> None:
    page = await client.get(authorize(state="s" * 20_000))
    assert (page.status_code, "AADSTS90015" in page.text) == (400, True)

    for body in (f"grant_type={'x' * 200_000}", "&".join(f"p{n}=1" for n in range(500))):
        answer = await client.post(TOKEN, content=body, headers=FORM)
        assert (answer.status_code, answer.json()["error_codes"]) == (400, [9002313])
    answer = await client.post(TOKEN, content=b"x" * 5_000_000, headers=FORM)
    assert answer.status_code == 413


@pytest.mark.parametrize("claims", ["{", "[]", '{"access_token": 1}', '{"access_token":{"xms_cc":{"values":[1]}}}'])
async def test_claims_that_are_no_json_object_are_refused(cloud: Cloud, client: httpx.AsyncClient, claims: str) -> None:
    sent = answer_of(await client.get(authorize(claims=claims)))
    token = cloud.directory.grant("ada@contoso.example", CLIENT_ID, {"Presence.Read.All"})
    refused = await redeem(client, "", grant_type="refresh_token", refresh_token=token, claims=claims)

    assert sent["error_description"].startswith("AADSTS50148:")
    assert (refused["error"], refused["error_codes"]) == ("invalid_request", [50148])


async def test_tokens_of_other_applications_and_clouds_are_refused(cloud: Cloud, client: httpx.AsyncClient) -> None:
    other = Application(client_id=str(uuid.uuid4()), name="Other", secrets=["other"], redirect_uris=[REDIRECT_URI])
    cloud.directory.put_application(other)
    foreign = cloud.directory.grant("ada@contoso.example", other.client_id, {"Presence.Read.All"})
    code = (await walk(client, authorize(client_id=other.client_id, scope="openid Presence.Read.All")))["code"]

    assert (await redeem(client, "", grant_type="refresh_token", refresh_token=foreign))["error_codes"] == [700003]
    assert (await redeem(client, code))["error_codes"] == [700003]
    head, content, _ = foreign.split(".")
    for token in (f"{head}.{content}.AAAA", f"{head}.{content}.é", "0.x.y", "a" * 5000, "{}", "1.."):
        assert (await redeem(client, "", grant_type="refresh_token", refresh_token=token))["error_codes"] == [70000]


def assertion(key: str, certificate: str, audience: str, header: dict[str, Any], **changes: Any) -> str:
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    x5t = base64.urlsafe_b64encode(loaded.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    now = int(time.time())
    claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": audience, "nbf": now, "exp": now + 300, "jti": "1", **changes}
    found = {"alg": "PS256", "x5t#S256": x5t, **header}
    return jwt.encode(
        {k: v for k, v in found.items() if v is not None}, claims, RSAKey.import_key(key), algorithms=["PS256", "RS256"]
    )


@pytest.mark.parametrize(
    ("header", "changes", "code"),
    [
        ({}, {}, 0),
        ({}, {"aud": "https://login.microsoftonline.com/common/oauth2/v2.0/token"}, 700023),
        ({}, {"aud": ["x"]}, 700023),
        ({}, {"exp": 1}, 700024),
        ({}, {"nbf": time.time() + 9999}, 700024),
        ({}, {"exp": "soon"}, 50027),
        ({}, {"iss": "somebody"}, 700021),
        ({}, {"sub": None}, 700021),
        ({"x5t#S256": "AAAA"}, {}, 700027),
        ({"x5t#S256": None}, {}, 50027),
        ({"x5t": "AAAA"}, {}, 700027),
    ],
)
async def test_an_assertion_is_checked_whole(
    cloud: Cloud, client: httpx.AsyncClient, header: dict[str, Any], changes: dict[str, Any], code: int
) -> None:
    key, certificate = make_certificate()
    application = cloud.world.application(CLIENT_ID)
    assert application is not None
    application.certificates.append(certificate)
    token = cloud.directory.grant("ada@contoso.example", CLIENT_ID, {"Presence.Read.All"})

    answer = await redeem(
        client, "", "contoso.example", grant_type="refresh_token", refresh_token=token, client_secret="",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=assertion(key, certificate, f"{cloud.url}{TOKEN}", header, **changes),
    )  # fmt: skip

    assert answer.get("error_codes", [0]) == [code]


async def test_pages_for_people_and_json_for_programs(client: httpx.AsyncClient) -> None:
    for path in ("oauth2/v2.0/authorize", "v2.0/adminconsent", "login"):
        page = await client.get(f"/nowhere.example/{path}?client_id={CLIENT_ID}")
        assert (page.status_code, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
        assert "AADSTS90002" in page.text
    assert (await client.get(TOKEN)).json()["error_codes"] == [900561]


async def test_what_is_sent_is_shown_escaped(client: httpx.AsyncClient) -> None:
    page = await client.get(authorize(login_hint='"><script>alert(1)</script>'))
    assert "<script>alert" not in page.text
    page = await submit(client, page, "sign-in", username="<b>x</b>", password="x")
    assert "<b>x</b>" not in page.text
    page = await client.get(authorize(redirect_uri='https://evil.example/"><script>alert(1)</script>'))
    assert "<script>alert" not in page.text


PATHS = [
    "oauth2/v2.0/authorize", "oauth2/v2.0/token", "oauth2/token", "oauth2/authorize", "v2.0/adminconsent", "adminconsent",
    "login", "select", "mfa", "consent", "approval", "admin_consent", "discovery/instance", "discovery/v2.0/keys",
    "v2.0/.well-known/openid-configuration", "oauth2/v2.0/logout",
]  # fmt: skip
NAMES = [
    "client_id", "redirect_uri", "scope", "state", "nonce", "prompt", "response_mode", "response_type", "code", "claims",
    "code_challenge", "code_challenge_method", "grant_type", "refresh_token", "client_secret", "client_assertion",
    "client_assertion_type", "resource", "login_hint", "domain_hint", "flow", "form_token", "authorization_endpoint",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([
        CLIENT_ID, REDIRECT_URI, SECRET, "openid", ".default", "authorization_code", "refresh_token", "client_credentials",
        "https://[", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.AA", json.dumps({"access_token": {}}),
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "https://graph.microsoft.com/.default", "none",
    ]),
    st.text(max_size=40),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD"]), path=st.sampled_from(PATHS),
    segment=st.sampled_from(["contoso.example", "common", "organizations", "consumers", "nowhere", "%00", "é"]),
    sent=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12), raw=st.binary(max_size=30),
    basic=st.one_of(st.none(), st.binary(max_size=20)),
)  # fmt: skip
def test_nothing_that_can_be_sent_is_a_fault_of_the_emulators(
    entra: Any, method: str, path: str, segment: str, sent: list[tuple[str, str]], raw: bytes, basic: bytes | None
) -> None:
    text = urlencode(sent, errors="surrogatepass").encode() + raw
    headers = {b"authorization": b"Basic " + base64.b64encode(basic)} if basic is not None else {}
    request = Request(
        method=method, path=f"/{segment}/{path}", query=text, headers=headers, body=text, base="https://127.0.0.1:1"
    )  # fmt: skip

    entra.tenant_of(request)
    answer = entra.handle(request)

    assert answer.status in {200, 302, 400, 401, 404, 405}


@pytest.fixture
async def entra(cloud: Cloud) -> Any:
    from emulator.entra.service import Entra

    return Entra(cloud)


def test_a_credential_that_is_nothing_is_refused() -> None:
    for form in ({}, {"client_secret": ""}, {"client_assertion": "x"}):
        with pytest.raises(Refused):
            prove(Application(client_id="a", name="A", secrets=[""]), dict(form), set(), now=0.0)


def test_parameters_are_read_once_each() -> None:
    request = Request(method="POST", path="/", body=b"a=1&b=&c=%C3%A9&d=%ff")
    assert parameters.of_body(request) == {"a": "1", "b": "", "c": "é", "d": "�"}
    with pytest.raises(Refused) as caught:
        parameters.of_query(Request(method="GET", path="/", query=b"a=1&a=1"))
    assert caught.value.refusal is refusals.DUPLICATED
