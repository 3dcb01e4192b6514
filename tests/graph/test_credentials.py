"""The relay's own credential takes another's place without anybody's noticing: MSAL itself against the local cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator import Cloud
from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from emulator.world import Application
from relay.core.consent.values import TokenGrant
from relay.errors import CredentialRejected
from relay.graph.auth.consent import Consent
from relay.graph.auth.credentials import Credentials, is_pair
from relay.graph.auth.tokens import GrantTokens
from relay.graph.client import GraphClient
from relay.graph.settings import ClientCertificate
from tests.emulator.driver import browser, walk
from tests.graph.conftest import RELAY, settings_for
from tests.graph.consents import consented
from tests.graph.test_tokens import Vault, certificate, token_calls


@pytest.fixture
def application(cloud: Cloud) -> Application:
    found = cloud.world.application(CLIENT_ID)
    assert found is not None
    return found


@pytest.fixture
async def grant(cloud: Cloud) -> TokenGrant:
    return consented(cloud, settings_for(cloud))


async def test_when_one_credential_is_refused_the_other_is_tried_before_anybody_hears_of_it(
    cloud: Cloud, application: Application, grant: TokenGrant
):
    own, pem = certificate()
    application.certificates.append(pem)
    settings = settings_for(cloud, second_certificate=own)
    async with GrantTokens(settings, Vault().save) as tokens:
        await tokens.refresh(grant)
        application.secrets.clear()  # expired, or deleted
        assert (await tokens.refresh(grant)).text
        before = token_calls(cloud)
        await tokens.refresh(grant)
        assert token_calls(cloud) == before + 1, "the one that is refused is not tried first again"
        application.certificates.clear()
        application.secrets.append(SECRET)
        assert (await tokens.refresh(grant)).text, "and back"


async def test_a_credential_that_is_registered_later_may_be_given_before(
    cloud: Cloud, application: Application, grant: TokenGrant
):
    settings = settings_for(cloud, client_secret="not yet registered", second_client_secret=SECRET)
    async with GrantTokens(settings, Vault().save) as tokens:
        assert (await tokens.refresh(grant)).text


async def test_two_refused_credentials_are_the_operators_fault_and_cost_no_grant(
    cloud: Cloud, application: Application, grant: TokenGrant
):
    settings = settings_for(cloud, client_secret="wrong", second_client_secret="wrong too")
    async with GrantTokens(settings, Vault().save) as tokens:
        before = token_calls(cloud)
        with pytest.raises(CredentialRejected):
            await tokens.refresh(grant)
        assert token_calls(cloud) == before + 2
        application.secrets.append("wrong too")
        assert (await tokens.refresh(grant)).text


async def test_what_is_not_about_the_credential_is_asked_once(
    cloud: Cloud, application: Application, grant: TokenGrant
):
    settings = settings_for(cloud, second_client_secret="another")
    application.refusal = "removed"
    async with GrantTokens(settings, Vault().save) as tokens:
        before = token_calls(cloud)
        with pytest.raises(Exception):  # noqa: B017  whatever it means, it is not about the credential
            await tokens.refresh(grant)
        assert token_calls(cloud) == before + 1


async def test_a_consent_outlives_a_credential_that_is_refused(cloud: Cloud, application: Application):
    own, pem = certificate()
    application.certificates.append(pem)
    settings = settings_for(cloud, client_secret="expired", second_certificate=own)
    async with GraphClient(settings) as client, Consent(client) as consents, browser(cloud) as person:
        flow = await consents.begin(REDIRECT_URI)
        new = await consents.complete(flow.kept, await walk(person, flow.authorize_url, username=RELAY))
    assert new.upn == RELAY


async def test_changed_files_are_read_again_and_a_pair_that_is_half_replaced_waits(tmp_path: Path, cloud: Cloud):
    (old, _), (new, new_pem) = certificate(), certificate()
    paths = {"certificate": tmp_path / "relay.crt", "private_key": tmp_path / "relay.key"}
    paths["certificate"].write_text(old.certificate_pem)
    paths["private_key"].write_text(old.private_key_pem)
    settings = settings_for(cloud, client_secret=None, certificate=old, credential_files=paths)
    credentials = Credentials(settings, every_s=0)
    assert [one.certificate_pem for one in credentials.all()] == [old.certificate_pem.strip()]
    paths["certificate"].write_text(new.certificate_pem)
    assert [one.private_key_pem for one in credentials.all()] == [old.private_key_pem.strip()]
    paths["private_key"].write_text(new.private_key_pem)
    [now] = credentials.all()
    assert is_pair(now.certificate_pem, now.private_key_pem)
    assert now.certificate_pem == new_pem.strip()
    for broken in ("", "garbage"):
        paths["certificate"].write_text(broken)
        assert credentials.all() == (now,)
    paths["certificate"].unlink()
    assert credentials.all() == (now,)


async def test_a_certificate_that_was_replaced_in_its_file_is_used_without_a_restart(
    tmp_path: Path, cloud: Cloud, application: Application, grant: TokenGrant, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Credentials.__init__, "__defaults__", (0.0,))
    (old, old_pem), (new, new_pem) = certificate(), certificate()
    paths = {"certificate": tmp_path / "relay.crt", "private_key": tmp_path / "relay.key"}

    def write(pair: ClientCertificate) -> None:
        paths["certificate"].write_text(pair.certificate_pem)
        paths["private_key"].write_text(pair.private_key_pem)

    write(old)
    application.certificates[:] = [old_pem, new_pem]
    settings = settings_for(cloud, client_secret=None, certificate=old, credential_files=paths)
    async with GrantTokens(settings, Vault().save) as tokens:
        await tokens.refresh(grant)
        write(new)
        application.certificates.remove(old_pem)
        assert (await tokens.refresh(grant)).text


def test_nothing_shows_a_credential(cloud: Cloud):
    own, _ = certificate()
    for one in Credentials(settings_for(cloud, second_certificate=own)).all():
        assert SECRET not in repr(one)
        assert "PRIVATE" not in repr(one)
