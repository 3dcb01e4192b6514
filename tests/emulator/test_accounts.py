"""Accounts that may not do everything: guests, personal accounts, users of tenants where only administrators consent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from emulator import Cloud, Config, Emulator
from emulator.generate import PASSWORD
from emulator.world import PERSONAL
from tests.emulator.driver import answer_of, application, form, sign_in, submit
from tests.emulator.test_authorize import authorize

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

MIA = "mia@fabrikam.example"
QUINN = "quinn@litware.example"


async def test_a_user_of_a_tenant_with_admin_consent_only_can_go_back_without_consent(client: httpx.AsyncClient):
    page = await submit(client, await client.get(authorize()), "sign-in", username=QUINN, password=PASSWORD)
    assert "Need admin approval" in page.text
    sent = answer_of(await submit(client, page, "approval"))
    assert (sent["error"], sent["state"]) == ("access_denied", "s&t=1")
    assert sent["error_description"].startswith("AADSTS90094:")


async def test_an_administrator_consents_for_all_and_users_can_sign_in(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
):
    page = await submit(
        client, await client.get(authorize()), "sign-in", username="admin@litware.example", password=PASSWORD
    )
    assert "code" in answer_of(await submit(client, page, "consent", decision="accept", organization="on"))
    client.cookies.clear()
    result = await sign_in(
        await asyncio.to_thread(application, cloud, tmp_path), client, scopes=["Presence.Read.All"], username=QUINN
    )
    assert result["id_token_claims"]["preferred_username"] == QUINN


async def test_a_guest_signs_in_at_home_unless_the_tenant_is_named(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path
):
    contoso, fabrikam = cloud.world.tenant("contoso.example"), cloud.world.tenant("fabrikam.example")
    assert contoso is not None
    assert fabrikam is not None
    at_home = await sign_in(await asyncio.to_thread(application, cloud, tmp_path), client, username=MIA)
    client.cookies.clear()
    as_guest = await sign_in(
        await asyncio.to_thread(application, cloud, tmp_path, contoso.tenant_id), client, username=MIA
    )
    guest = contoso.guest(MIA)
    assert guest is not None
    assert at_home["id_token_claims"]["tid"] == fabrikam.tenant_id
    claims = as_guest["id_token_claims"]
    assert (claims["tid"], claims["oid"], claims["preferred_username"]) == (contoso.tenant_id, guest.oid, MIA)
    assert guest.upn == "mia_fabrikam.example#EXT#@contoso.example"


@pytest.mark.parametrize("admitted", [False, True])
async def test_personal_accounts_are_kept_out_of_organizations_unless_switched(
    cloud: Cloud, client: httpx.AsyncClient, tmp_path: Path, admitted: bool
):
    cloud.set_switches(personal_accounts="admitted" if admitted else "refused")
    if admitted:
        result = await sign_in(
            await asyncio.to_thread(application, cloud, tmp_path), client, username="pat@outlook.example"
        )
        assert result["id_token_claims"]["tid"] == PERSONAL
        return
    page = await submit(
        client, await client.get(authorize()), "sign-in", username="pat@outlook.example", password=PASSWORD
    )
    assert "Use your work or school account instead" in page.text
    assert form(page.text, "sign-in")


async def test_the_sign_in_page_says_which_accounts_exist(client: httpx.AsyncClient):
    page = (await client.get(authorize())).text
    for told in ("Contoso", "Fabrikam", "Litware", "only administrators may consent", "Personal accounts", MIA):
        assert told in page
    assert "#EXT#" not in page
    assert "admin@contoso.example – administrator" in page


async def test_guests_and_policies_outlive_the_process(tmp_path: Path):
    state = tmp_path / "state.json"
    for _ in range(2):
        async with Emulator.start(Config(state=state)) as cloud:
            contoso, litware = cloud.world.tenant("contoso.example"), cloud.world.tenant("litware.example")
            assert contoso is not None
            assert litware is not None
            assert contoso.guest(MIA) is not None
            assert litware.admin_consent_only
            assert not contoso.admin_consent_only
