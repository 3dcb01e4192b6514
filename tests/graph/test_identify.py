"""Who somebody is, asked of Entra without asking for anything else."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from emulator import Cloud
from emulator.demo import REDIRECT_URI
from relay.graph.client import GraphClient
from relay.graph.consent import Consent, ConsentFailed, ConsentProblem
from relay.graph.idtokens import VerifiedIdentity, verify
from relay.graph.signing import SigningKeys
from tests.emulator.driver import browser, walk
from tests.graph.conftest import RELAY


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


@pytest.mark.parametrize(("who", "is_guest"), [("mia@fabrikam.example", True), ("ben@contoso.example", False)])
async def test_a_guest_is_told_apart(cloud: Cloud, client: GraphClient, who: str, is_guest: bool):
    keys = SigningKeys(client)
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
