"""The surface itself: its description, who may use it, and its bounds."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from emulator.control.operation import PREFIX, Done
from emulator.control.service import MOST_BODY_BYTES
from emulator.control.table import OPERATIONS
from emulator.demo import CLIENT_ID
from emulator.entra.refusals import DEATHS
from tests.emulator.driver import RELAY

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

ADA = "ada@contoso.example"


async def test_the_description_is_valid_and_has_every_operation(client: httpx.AsyncClient) -> None:
    description = (await client.get("/_emulator/openapi.json")).json()

    OpenAPIV31SpecValidator(description).validate()
    told = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    assert told == {(each.method, PREFIX + each.path) for each in OPERATIONS}


def test_every_operation_says_what_it_does() -> None:
    assert [each.path for each in OPERATIONS if not (inspect.getdoc(each.does) or "").endswith(".")] == []
    assert len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)


async def test_what_is_read_is_as_described(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.directory.grant(RELAY, CLIENT_ID, {"Presence.Read.All"})
    reads = [each for each in OPERATIONS if each.method == "GET" and each.answer is not Done]

    for operation in reads:
        if "{" not in operation.path.replace("{who}", ""):
            answer = await client.get(PREFIX + operation.path.replace("{who}", ADA))
            assert answer.status_code == 200, (operation.path, answer.text)
            msgspec.json.decode(answer.content, type=operation.answer)


async def test_a_browser_gets_the_page_and_others_the_list(client: httpx.AsyncClient) -> None:
    page = await client.get("/_emulator/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    index = (await client.get("/_emulator/")).json()

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert "<script>" not in page.text
    assert index["deaths"] == list(DEATHS)
    assert "POST /_emulator/reset" in index["operations"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"sec-fetch-site": "same-origin"}, 204),
        ({"sec-fetch-site": "none"}, 204),
        ({"host": "localhost:1234"}, 204),
        ({"host": "[::1]:1234"}, 204),
        ({"host": "graph.microsoft.com"}, 204),
        ({"host": "login.microsoftonline.us"}, 204),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "evilmicrosoft.com"}, 403),
        ({"host": "[broken"}, 403),
    ],
)
async def test_other_sites_pages_are_kept_away(
    cloud: Cloud, client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    cloud.set_switches(presence_limit=7)

    answer = await client.post("/_emulator/reset", headers=headers)

    assert answer.status_code == status
    assert cloud.switches.presence_limit == (7 if status == 403 else 1500)


async def test_its_own_page_may_change_things_and_a_foreign_host_may_not_even_read(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    own = await client.post("/_emulator/reset", headers={"origin": cloud.url, "sec-fetch-site": "same-origin"})
    foreign = await client.get("/_emulator/applications", headers={"host": "rebound.example"})

    assert (own.status_code, foreign.status_code) == (204, 403)
    assert "use 127.0.0.1" in foreign.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "clock", {"speed": 1e9}, "speed"),
        ("PUT", "clock", {"advance_s": 1e12}, "advance_s"),
        ("POST", "people", {"tenant": "contoso.example", "upn": "x@contoso.example"}, "oid"),
        ("PUT", f"people/{ADA}/presence", {"availability": "x" * 5000}, "availability"),
        ("POST", f"people/{ADA}/actions", {"action": "call", "devise": "x"}, "devise"),
        ("POST", "grants", {"account": RELAY, "client_id": CLIENT_ID, "scopes": ["x"] * 300}, "scopes"),
        ("PUT", "gaps", {"enabled": "yes"}, "enabled"),
        ("PUT", "switches", {"linger_s": [1, -1]}, "linger_s[1]"),
    ],
)
async def test_slips_name_their_field(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await client.request(method, f"/_emulator/{path}", json=body)

    assert answer.status_code == 400
    assert answer.json()["field"] == field


async def test_bodies_and_lists_are_bounded(client: httpx.AsyncClient) -> None:
    large = await client.post("/_emulator/faults", content=b'{"body": "' + b"x" * MOST_BODY_BYTES + b'"}')
    many = await client.get("/_emulator/people", params={"limit": 1001})

    assert large.status_code == 413
    assert (many.status_code, many.json()["field"]) == (400, "limit")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_bodies_that_are_no_json_are_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.put("/_emulator/clock", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(client: httpx.AsyncClient) -> None:
    answer = await client.patch("/_emulator/clock", json={})

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT")


async def test_people_are_searched_paged_and_followed(cloud: Cloud, client: httpx.AsyncClient) -> None:
    async def names(**asked: Any) -> tuple[list[str], Any]:
        told = (await client.get("/_emulator/people", params=asked)).json()
        return [each["upn"].partition("@")[0] for each in told["people"]], told

    fabrikam, _ = await names(tenant="fabrikam.example", limit=2, offset=1)
    found, told = await names(search="GARCIA")
    everybody, _ = await names()
    cloud.act(ADA, "lock")
    changed, _ = await names(since=told["change"])

    assert fabrikam == ["noah", "olga"]
    assert (found, told["total"]) == (["grace"], 1)
    assert len(everybody) == sum(len(tenant.people) for tenant in cloud.world.tenants.values())
    assert changed == ["ada"]


async def test_a_person_is_drawn_the_same_in_every_spelling(cloud: Cloud, client: httpx.AsyncClient) -> None:
    looks = []
    for spelling in ("pascal", "lower_camel", "third"):
        cloud.set_switches(spelling=spelling)
        for action in ("available", "call", "present", "lock", "appear_offline"):
            cloud.act(ADA, "come")
            cloud.act(ADA, action)
            looks.append((await client.get(f"/_emulator/people/{ADA}")).json()["look"])

    assert looks == ["available", "busy", "dnd", "away", "offline"] * 3


async def test_consent_is_given_for_everybody(cloud: Cloud, client: httpx.AsyncClient) -> None:
    body = {"account": RELAY, "client_id": CLIENT_ID, "scopes": ["Presence.Read.All"], "everybody": True}

    given = await client.post("/_emulator/consents", json=body)
    unknown = await client.post("/_emulator/consents", json={**body, "client_id": "nobody"})

    (grant,) = (await client.get("/_emulator/grants")).json()["grants"]
    assert (given.status_code, unknown.status_code) == (204, 404)
    assert (grant["person"], grant["scopes"]) == ("*", ["presence.read.all"])
