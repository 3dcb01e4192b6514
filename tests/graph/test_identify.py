"""Who somebody is, asked of Entra without asking for anything else."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from emulator import Cloud
from emulator.demo import CLIENT_ID, REDIRECT_URI
from relay.diagnosis.checks import clock_finding
from relay.graph.auth.consent import Consent, ConsentFailed, ConsentProblem
from relay.graph.auth.id_tokens import UntrustedIdTokenError, VerifiedIdentity, verify
from relay.graph.auth.signing_keys import FetchIntervals, SigningKeys
from relay.graph.client import GraphClient
from relay.graph.errors import date_of
from tests.emulator.driver import answer_of, browser, walk
from tests.graph.conftest import RELAY

PATIENT = FetchIntervals(wait_s=20)
"""A busy machine is not what these tests are about."""


async def test_somebody_is_known_without_a_permission_or_a_lasting_token(cloud: Cloud, client: GraphClient):
    async with Consent(client) as consent, browser(cloud) as person:
        flow = await consent.begin_sign_in(REDIRECT_URI, state="s" * 43)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(flow.authorize_url).query).items()}
        assert set(asked["scope"].split()) == {"openid", "profile"}
        assert (asked["state"], asked["prompt"], asked["code_challenge_method"]) == ("s" * 43, "select_account", "S256")
        who = await consent.identify(flow.kept, await walk(person, flow.authorize_url))
    account = cloud.person(RELAY)
    assert who == VerifiedIdentity(account.tenant.tenant_id, account.oid, RELAY, is_guest=False)  # type: ignore[arg-type]
    assert account.tenant.consents == {}


async def test_an_answer_to_another_sign_in_tells_nothing(cloud: Cloud, client: GraphClient):
    async with Consent(client) as consent, browser(cloud) as person:
        first = await consent.begin_sign_in(REDIRECT_URI, state="a" * 43)
        second = await consent.begin_sign_in(REDIRECT_URI, state="b" * 43)
        answer = await walk(person, second.authorize_url)
        with pytest.raises(ConsentFailed) as failed:
            await consent.identify(first.kept, answer)
        assert failed.value.problem is ConsentProblem.NOT_OURS
        # The state can be copied; the proof of the code and the nonce cannot.
        with pytest.raises(ConsentFailed):
            await consent.identify(first.kept, {**answer, "state": "a" * 43})


@pytest.mark.fault("F9")
@pytest.mark.parametrize(
    ("idp", "is_guest"),
    [
        ("https://sts.windows.net/{own}/", False),
        ("https://sts.windows.net/99999999-0000-4000-8000-000000000009/", True),
        ("https://idp.partner.example/{own}/", True),  # whoever runs it names it as he likes
        ("live.com", True),
    ],
)
async def test_a_members_home_may_be_named_as_its_token_service(
    cloud: Cloud, client: GraphClient, idp: str, is_guest: bool
):
    person, application = cloud.person(RELAY), cloud.world.application(CLIENT_ID)
    assert application is not None
    nonce = hashlib.sha256(b"n").hexdigest()
    token = cloud.tokens.id_token(
        person, application, nonce, cloud.url, idp=idp.format(own=person.tenant.tenant_id)
    )  # fmt: skip
    assert (await verify(SigningKeys(client, PATIENT), token, "n")).is_guest is is_guest


@pytest.mark.fault("B25")
@pytest.mark.parametrize(("behind_s", "is_good"), [(60, True), (150, True), (290, True), (400, False)])
async def test_a_clock_some_minutes_late_is_no_reason_to_refuse_and_more_is_named(
    cloud: Cloud, client: GraphClient, behind_s: int, is_good: bool, monkeypatch: pytest.MonkeyPatch
):
    person, application = cloud.person(RELAY), cloud.world.application(CLIENT_ID)
    assert application is not None
    keys = SigningKeys(client, PATIENT)
    token = cloud.tokens.id_token(person, application, hashlib.sha256(b"n").hexdigest(), cloud.url)
    late = time.time() - behind_s
    monkeypatch.setattr("relay.graph.auth.id_tokens.time", SimpleNamespace(time=lambda: late))
    with capture_logs() as logged:
        if is_good:
            assert (await verify(keys, token, "n")).upn == RELAY
        else:
            with pytest.raises(UntrustedIdTokenError, match="time"):
                await verify(keys, token, "n")
            (line,) = logged
            assert line["failed"] == ["time"]
            assert abs(line["clock_behind_s"] - behind_s) <= 1


@pytest.mark.fault("B25")
async def test_microsofts_clock_is_compared(cloud: Cloud, client: GraphClient):
    reply = await client.fetch_reply(f"{cloud.url}/organizations/v2.0/.well-known/openid-configuration")
    theirs = date_of(reply.headers)
    assert theirs is not None
    assert clock_finding(theirs, datetime.now(UTC)).is_good
    found = clock_finding(theirs, theirs - timedelta(seconds=150))
    assert not found.is_good
    assert "150 s behind" in found.text


@pytest.mark.parametrize(("who", "is_guest"), [("mia@fabrikam.example", True), ("ben@contoso.example", False)])
async def test_a_guest_is_told_apart(cloud: Cloud, client: GraphClient, who: str, is_guest: bool):
    keys = SigningKeys(client, PATIENT)
    contoso = cloud.world.tenant("contoso.example")
    assert contoso is not None
    async with Consent(client) as consent, browser(cloud) as person:
        flow = await consent.begin(REDIRECT_URI, tenant=contoso.tenant_id)
        answer = await walk(person, flow.authorize_url, username=who)
        result, _ = await consent._answered(flow.kept, answer)
        found = await verify(keys, result["id_token"], flow.kept["nonce"])
    assert (found.tenant_id, found.upn, found.is_guest) == (contoso.tenant_id, who, is_guest)
    claims = json.loads(base64.urlsafe_b64decode(result["id_token"].split(".")[1] + "=="))
    assert claims["acct"] == int(is_guest)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, ((), (), False)),
        ({"roles": ["Relay.Operate", "Other"]}, (("Relay.Operate", "Other"), (), False)),
        ({"roles": "Relay.Operate"}, ((), (), False)),
        ({"roles": [1, None, {"Relay.Operate": 1}, "Relay.Operate"]}, (("Relay.Operate",), (), False)),
        ({"groups": ["99999999-0000-4000-8000-00000000000A", "Operators", 7]}, ((), ("99999999-0000-4000-8000-00000000000a",), False)),
        ({"groups": {"0": "x"}, "_claim_names": ["groups"]}, ((), (), False)),
        ({"_claim_names": {"groups": "src1"}}, ((), (), True)),
        ({"wids": ["62e90394-69f5-4237-9190-012177145e10"]}, ((), (), False)),
    ],
)  # fmt: skip
async def test_app_roles_and_groups_are_read_from_their_own_claims_alone(
    cloud: Cloud, client: GraphClient, claims: dict[str, object], expected: tuple[object, ...]
):
    person, application = cloud.person(RELAY), cloud.world.application(CLIENT_ID)
    assert application is not None
    made = cloud.tokens.id_token(person, application, hashlib.sha256(b"n").hexdigest(), cloud.url)
    usual = json.loads(base64.urlsafe_b64decode(made.split(".")[1] + "=="))
    keys = SigningKeys(client, PATIENT)
    who = await verify(keys, cloud.tokens.key.sign({**usual, **claims}), "n")
    assert (who.app_roles, who.groups, who.has_more_groups) == expected


async def test_a_silent_sign_in_asks_nothing_and_is_of_one_tenant(cloud: Cloud, client: GraphClient):
    fabrikam = cloud.world.tenant("fabrikam.example")
    assert fabrikam is not None
    async with Consent(client) as consent, browser(cloud) as person:
        flow = await consent.begin_sign_in(
            REDIRECT_URI, state="s" * 43, login_hint=RELAY, is_silent=True, tenant=fabrikam.tenant_id
        )
        assert f"/{fabrikam.tenant_id}/" in urlsplit(flow.authorize_url).path
        assert parse_qs(urlsplit(flow.authorize_url).query)["prompt"] == ["none"]
        # Nobody is signed in at Entra: it says so instead of asking.
        answer = answer_of(await person.get(flow.authorize_url))
        assert answer["error"] == "login_required"
        with pytest.raises(ConsentFailed):
            await consent.identify(flow.kept, answer)
