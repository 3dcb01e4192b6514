"""What a grant covers: what was consented to before too, any delegated permission of Graph's, claims by scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from emulator.demo import CLIENT_ID
from emulator.entra.scopes import PERMISSIONS
from emulator.generate import PASSWORD
from tests.emulator.driver import RELAY, answer_of, submit, walk
from tests.emulator.test_authorize import authorize, redeem

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADMIN = "admin@contoso.example"
ADA = "ada@contoso.example"


def opened(cloud: Cloud, token: str) -> dict[str, Any]:
    claims = cloud.tokens.key.verify(token)
    assert claims is not None
    return claims


async def refreshed(client: httpx.AsyncClient, token: str, scope: str) -> dict[str, Any]:
    return await redeem(client, "", grant_type="refresh_token", refresh_token=token, scope=scope)


async def signed_in(client: httpx.AsyncClient, scope: str, who: str = RELAY) -> dict[str, Any]:
    return await redeem(client, (await walk(client, authorize(scope=scope), username=who))["code"], scope=scope)


@pytest.mark.fault("F1")
async def test_tokens_hold_what_was_granted_before_too(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await signed_in(client, "User.Read")
    await signed_in(client, "Presence.Read.All")

    narrow = await signed_in(client, "openid offline_access User.Read")
    again = await refreshed(client, narrow["refresh_token"], "User.Read")

    for tokens in (narrow, again):
        assert tokens["scope"].split()[0] == "User.Read"
        assert {"User.Read", "Presence.Read.All"} <= set(tokens["scope"].split())
        assert {"User.Read", "Presence.Read.All"} <= set(opened(cloud, tokens["access_token"])["scp"].split())
        ben = cloud.person("ben@contoso.example")
        read = await client.get(
            f"/v1.0/users/{ben.oid}/presence", headers={"authorization": f"Bearer {tokens['access_token']}"}
        )
        assert read.status_code == 200


@pytest.mark.fault("F1")
async def test_what_was_granted_before_is_named_with_the_resource_that_was_asked_for(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    token = cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All", "User.Read"})

    one = await refreshed(client, token, "https://graph.microsoft.com/User.Read")
    default = await refreshed(client, token, "https://graph.microsoft.com/.default")

    graph = {"https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Presence.Read.All"}
    assert graph <= set(one["scope"].split())
    assert {*graph, "https://graph.microsoft.com/.default"} <= set(default["scope"].split())


@pytest.mark.fault("F2")
async def test_any_delegated_permission_of_graphs_can_be_consented_to_at_sign_in(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    """`user.read,mail.read` is what Microsoft's webhook sample for Node is shipped with; neither mail is registered."""
    tokens = await signed_in(client, "openid profile offline_access user.read mail.read", ADA)

    assert {"user.read", "mail.read"} <= set(tokens["scope"].split())
    assert {"User.Read", "Mail.Read"} <= set(opened(cloud, tokens["access_token"])["scp"].split())


@pytest.mark.fault("F2")
@pytest.mark.parametrize("scope", ["User.Read.All", "Subscription.Read.All", "Organization.Read.All"])
async def test_what_needs_an_administrator_is_asked_of_one_whatever_is_registered(
    cloud: Cloud, client: httpx.AsyncClient, scope: str
) -> None:
    page = await submit(client, await client.get(authorize(scope=scope)), "sign-in", username=ADA, password=PASSWORD)
    assert "Need admin approval" in page.text
    refused = answer_of(await submit(client, page, "approval", decision="back"))
    assert refused["error_description"].startswith("AADSTS90094:")

    tokens = await redeem(
        client, (await walk(client, authorize(scope=scope, prompt="login"), username=ADMIN))["code"], scope=scope
    )

    assert scope in opened(cloud, tokens["access_token"])["scp"].split()


@pytest.mark.fault("F2")
def test_the_permissions_reference_says_what_each_permission_is_and_needs() -> None:
    assert len(PERMISSIONS) > 250
    assert not PERMISSIONS["Mail.Read"].admin
    assert PERMISSIONS["Subscription.Read.All"].admin
    assert all(each.text for each in PERMISSIONS.values())
    assert len({name.lower() for name in PERMISSIONS}) == len(PERMISSIONS)


@pytest.mark.fault("F3", "F9")
async def test_access_tokens_name_the_scopes_of_openid_connect(cloud: Cloud, client: httpx.AsyncClient) -> None:
    tokens = await signed_in(client, "openid profile email offline_access")

    assert {"openid", "profile", "email"} <= set(opened(cloud, tokens["access_token"])["scp"].split())
    again = await refreshed(client, tokens["refresh_token"], "")
    assert {"openid", "profile", "email"} <= set(opened(cloud, again["access_token"])["scp"].split())


@pytest.mark.fault("F9")
@pytest.mark.parametrize(
    ("scope", "there", "absent"),
    [
        ("openid", {"sub", "tid"}, {"name", "preferred_username", "oid", "email", "amr"}),
        ("openid profile", {"name", "preferred_username", "oid"}, {"email", "amr"}),
        ("openid email", {"email"}, {"name", "preferred_username", "oid", "amr"}),
    ],
)
async def test_the_claims_of_id_tokens_follow_the_scopes(
    cloud: Cloud, client: httpx.AsyncClient, scope: str, there: set[str], absent: set[str]
) -> None:
    tokens = await signed_in(client, f"{scope} offline_access User.Read", ADA)

    for given in (tokens, await refreshed(client, tokens["refresh_token"], "User.Read")):
        claims = opened(cloud, given["id_token"])
        assert there <= set(claims)
        assert not absent & set(claims)
    assert claims.get("email", ADA) == ADA


@pytest.mark.fault("F9")
@pytest.mark.parametrize(("version", "told"), [(1, True), (2, False)])
async def test_how_somebody_signed_in_is_told_in_access_tokens_of_version_1_only(
    cloud: Cloud, client: httpx.AsyncClient, version: int, told: bool
) -> None:
    cloud.set_switches(graph_token_version=version)

    tokens = await signed_in(client, "openid User.Read")

    assert ("amr" in opened(cloud, tokens["access_token"])) is told


async def test_a_refresh_token_of_before_these_scopes_lives_on(cloud: Cloud, client: httpx.AsyncClient) -> None:
    """It says nothing of OpenID Connect: then it stands for what such tokens gave."""
    kept = cloud.tokens.read_refresh_token(cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"}))
    fields = msgspec.to_builtins(kept)
    del fields["openid"], fields["graph"]

    tokens = await refreshed(client, cloud.tokens.seal_refresh_token(fields), "Presence.Read.All")

    assert "refresh_token" in tokens
    assert opened(cloud, tokens["id_token"])["preferred_username"] == RELAY
