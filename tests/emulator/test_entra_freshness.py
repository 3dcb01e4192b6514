"""When somebody typed the password, and which directory roles they hold, as id tokens tell it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from joserfc import jws

from emulator.entra.flows import FLOW_S
from emulator.entra.refusals import FORM_EXPIRED
from emulator.generate import PASSWORD
from tests.emulator.driver import RELAY, answer_of, submit, walk
from tests.emulator.test_authorize import authorize, redeem

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
MEMBER = "b79fbf4d-3ef9-4689-8143-76b194e85509"


async def claims_of(client: httpx.AsyncClient, answer: dict[str, str]) -> dict[str, Any]:
    found = await redeem(client, answer["code"])
    claims: dict[str, Any] = msgspec.json.decode(jws.extract_compact(found["id_token"].encode()).payload)
    return claims


async def test_max_age_0_asks_for_the_password_whoever_is_signed_in(client: httpx.AsyncClient) -> None:
    await walk(client, authorize())
    assert 'id="sign-in"' in (await client.get(authorize(max_age="0"))).text
    assert 'id="sign-in"' in (await client.get(authorize(max_age="0", login_hint=RELAY))).text
    assert answer_of(await client.get(authorize(max_age="0", prompt="none")))["error"] == "login_required"


async def test_max_age_lets_pass_who_typed_the_password_lately(client: httpx.AsyncClient) -> None:
    await walk(client, authorize())
    answer = answer_of(await client.get(authorize(max_age="100")))
    assert (await claims_of(client, answer))["auth_time"] == pytest.approx(time.time(), abs=90)


async def test_signing_in_silently_makes_no_password_younger(cloud: Cloud, client: httpx.AsyncClient) -> None:
    await walk(client, authorize())
    cloud.clock.ahead_s += 60
    assert "code" in answer_of(await client.get(authorize(max_age="100")))
    cloud.clock.ahead_s += 60
    assert 'id="sign-in"' in (await client.get(authorize(max_age="100"))).text
    assert "code" in answer_of(await client.get(authorize(max_age="1000")))


async def test_a_page_of_a_sign_in_expires_by_the_clouds_clock(cloud: Cloud, client: httpx.AsyncClient) -> None:
    page = await client.get(authorize())
    cloud.clock.ahead_s = FLOW_S + 1
    late = await submit(client, page, "sign-in", username=RELAY, password=PASSWORD)
    assert f"AADSTS{FORM_EXPIRED.code}" in late.text
    assert "code" in await walk(client, authorize())


async def test_a_code_and_an_access_token_expire_by_the_clouds_clock(cloud: Cloud, client: httpx.AsyncClient) -> None:
    answer = await walk(client, authorize())
    found = await redeem(client, answer["code"])
    me = {"authorization": f"Bearer {found['access_token']}"}
    assert (await client.get("/v1.0/me/presence", headers=me)).status_code == 200

    answer = answer_of(await client.get(authorize()))
    cloud.clock.ahead_s = found["expires_in"] + 1
    assert (await redeem(client, answer["code"]))["error_codes"] == [70008]
    assert (await client.get("/v1.0/me/presence", headers=me)).status_code == 401


async def test_what_was_revoked_is_revoked_by_the_clouds_clock(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.clock.ahead_s = 600
    await walk(client, authorize())
    cloud.directory.revoke(RELAY)
    assert 'id="sign-in"' in (await client.get(authorize())).text
    assert "code" in await walk(client, authorize())


async def test_an_account_that_is_chosen_types_its_password_where_max_age_wants_it(client: httpx.AsyncClient) -> None:
    await walk(client, authorize())
    page = await client.get(authorize(max_age="0", prompt="select_account"))
    chosen = await submit(client, page, "account-1")
    assert 'id="sign-in"' in chosen.text


@pytest.mark.parametrize("max_age", ["-1", "soon", "1.5", "9" * 40, "\u0661"])
async def test_a_max_age_that_is_no_number_is_refused(client: httpx.AsyncClient, max_age: str) -> None:
    answer = answer_of(await client.get(authorize(max_age=max_age)))
    assert answer["error"] == "invalid_request"
    assert "max_age" in answer["error_description"]


@pytest.mark.parametrize(
    ("told", "asked", "is_told"),
    [
        ("with_max_age", "0", True), ("with_max_age", "", False), ("always", "", True), ("always", "0", True),
        ("never", "0", False), ("never", "", False),
    ],
)  # fmt: skip
async def test_the_id_token_tells_when_the_password_was_typed(
    cloud: Cloud, client: httpx.AsyncClient, told: str, asked: str, is_told: bool
) -> None:
    cloud.set_switches(auth_time_claim=told)
    before = int(time.time())
    claims = await claims_of(client, await walk(client, authorize(max_age=asked)))
    assert ("auth_time" in claims) is is_told
    if is_told:
        assert before <= claims["auth_time"] <= time.time()


@pytest.mark.parametrize("is_on", [False, True])
async def test_the_id_token_tells_directory_roles_where_the_registration_asks_for_them(
    cloud: Cloud, client: httpx.AsyncClient, is_on: bool
) -> None:
    cloud.set_switches(directory_roles_claim=is_on)
    roles = {}
    for who in ("admin@contoso.example", "ada@contoso.example"):
        answer = await walk(client, authorize(prompt="login"), username=who)
        roles[who] = (await claims_of(client, answer)).get("wids")
    assert roles == {
        "admin@contoso.example": [GLOBAL_ADMINISTRATOR, MEMBER] if is_on else None,
        "ada@contoso.example": [MEMBER] if is_on else None,
    }
