"""Presence over HTTP: what Microsoft leaves open, one switch each; the clouds' shapes; what cannot be asked."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.driver import RELAY, bearer
from tests.emulator.test_graph_users import app_only

if TYPE_CHECKING:
    import httpx

    from emulator import Cloud

BULK = "/v1.0/communications/getPresencesByUserId"
ADA = "ada@contoso.example"
BEN = "ben@contoso.example"
NOBODY = "99999999-0000-4000-8000-000000000009"

# https://github.com/microsoftgraph/msgraph-metadata, schemas/v1.0-Prod.csdl
PRESENCE: dict[str, Any] = {
    "id": None, "activity": None, "availability": None, "sequenceNumber": None,
    "outOfOfficeSettings": {"isOutOfOffice", "message"},
    "statusMessage": {"message", "expiryDateTime", "publishedDateTime"},
    "workLocation": {"placeId", "source", "workLocationType"},
}  # fmt: skip


async def bulk(client: httpx.AsyncClient, cloud: Cloud, ids: list[str]) -> Any:
    """The presences of a bulk read, or its status."""
    answer = await client.post(BULK, json={"ids": ids}, headers=bearer(cloud))
    return answer.json()["value"] if answer.status_code == 200 else answer.status_code


def availability(found: Any) -> Any:
    """What came for a single id: its availability, None for nothing, or the status."""
    return found if isinstance(found, int) else (found[0]["availability"] if found else None)


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({}, None),
        ({"unknown_ids": "presence_unknown"}, "PresenceUnknown"),
        ({"unknown_ids": "presence_unknown", "deleted_ids": "omit"}, None),
        ({"deleted_ids": "presence_unknown"}, "PresenceUnknown"),
        ({"deleted_ids": "refuse_400"}, 400),
    ],
)
async def test_what_comes_of_a_deleted_person(
    cloud: Cloud, client: httpx.AsyncClient, switches: dict[str, Any], expected: Any
) -> None:
    ada = cloud.person(ADA)
    cloud.remove_person(ada)
    cloud.set_switches(**switches)

    assert availability(await bulk(client, cloud, [ada.oid])) == expected


@pytest.mark.parametrize(
    ("switch", "expected"),
    [("omit", None), ("presence_unknown", "PresenceUnknown"), ("refuse_400", 400), ("presence", "Away")],
)
async def test_what_comes_of_a_guest(cloud: Cloud, client: httpx.AsyncClient, switch: str, expected: Any) -> None:
    guest = next(person for person in cloud.world.people() if person.home)
    cloud.set_presence(guest, "Away")
    cloud.set_switches(guest_ids=switch)

    assert availability(await bulk(client, cloud, [guest.oid])) == expected


@pytest.mark.parametrize(
    ("switches", "ids", "expected"),
    [
        ({}, ["no-guid"], 400),
        ({"malformed_ids": "omit"}, ["no-guid"], []),
        ({}, [], 400),
        ({"empty_ids": "empty"}, [], []),
        ({}, [NOBODY] * 651, 400),
        ({"too_many_ids": "refuse_413"}, [NOBODY] * 651, 413),
        ({"too_many_ids": "first_650"}, [NOBODY] * 651, []),
    ],
)
async def test_what_comes_of_ids_that_are_none_or_too_few_or_too_many(
    cloud: Cloud, client: httpx.AsyncClient, switches: dict[str, str], ids: list[str], expected: Any
) -> None:
    cloud.set_switches(**switches)

    assert await bulk(client, cloud, ids) == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_bulk_read_may_go_on_behind_a_link(cloud: Cloud, client: httpx.AsyncClient, method: str) -> None:
    ids = [person.oid for person in cloud.person(ADA).tenant.people.values() if person.licensed]
    cloud.set_switches(bulk_page_size=5)
    answer = await client.post(BULK, json={"ids": ids}, headers=bearer(cloud))
    pages = [answer.json()]
    first = pages[0]["@odata.nextLink"]
    while "@odata.nextLink" in pages[-1]:
        body = {"ids": ids} if method == "POST" else None
        pages.append(
            (await client.request(method, pages[-1]["@odata.nextLink"], json=body, headers=bearer(cloud))).json()
        )

    assert [each["id"] for page in pages for each in page["value"]] == ids
    assert {len(page["value"]) for page in pages[:-1]} == {5}
    other = await client.get(first, headers=bearer(cloud, "presence-relay@fabrikam.example"))
    assert other.status_code == 400


@pytest.mark.parametrize(
    ("switches", "who", "expected"),
    [
        ({}, NOBODY, 404),
        ({"unknown_id": "refuse_400"}, NOBODY, 400),
        ({"unknown_id": "presence_unknown"}, NOBODY, "PresenceUnknown"),
        ({}, ADA, 400),
        ({"presence_by_upn": "not_found_404"}, ADA, 404),
        ({"presence_by_upn": "read"}, ADA, "Away"),
        ({"presence_by_upn": "read"}, "zoe@contoso.example", 404),
        ({"presence_by_upn": "not_found_404"}, "x" * 8000, 404),
    ],
)
async def test_what_comes_of_a_single_id_that_is_nobodys_or_a_upn(
    cloud: Cloud, client: httpx.AsyncClient, switches: dict[str, str], who: str, expected: Any
) -> None:
    cloud.set_presence(ADA, "Away")
    cloud.set_switches(**switches)

    answer = await client.get(f"/v1.0/users/{who}/presence", headers=bearer(cloud))

    assert (answer.json()["availability"] if answer.status_code == 200 else answer.status_code) == expected
    assert len(answer.text) < 2000


@pytest.mark.parametrize(("switch", "expected"), [("refuse_400", 400), ("ignore", 6), ("honour", 1)])
async def test_what_a_selection_does_to_a_presence(
    cloud: Cloud, client: httpx.AsyncClient, switch: str, expected: int
) -> None:
    cloud.set_switches(presence_select=switch)
    path = f"/v1.0/users/{cloud.person(ADA).oid}/presence?$select=availability"

    answer = await client.get(path, headers=bearer(cloud))

    left = [name for name in answer.json() if not name.startswith("@")]
    assert (len(left) if answer.status_code == 200 else answer.status_code) == expected


@pytest.mark.parametrize(
    ("switch", "shown", "activity"),
    [
        ("when_available", ("Available", "OutOfOffice"), "OutOfOffice"),
        ("never", ("Available", "OutOfOffice"), "Available"),
        ("when_available", ("Busy", "InACall"), "InACall"),
        ("combined", ("Busy", "InACall"), "InACall + OOF"),
    ],
)
async def test_whether_activity_says_that_somebody_is_out_of_office(
    cloud: Cloud, client: httpx.AsyncClient, switch: str, shown: tuple[str, str], activity: str
) -> None:
    ada = cloud.set_presence(ADA, *shown, out_of_office=True)
    cloud.set_switches(out_of_office_activity=switch)

    (found,) = await bulk(client, cloud, [ada.oid])

    assert (found["availability"], found["activity"]) == (shown[0], activity)
    assert found["outOfOfficeSettings"]["isOutOfOffice"] is True


@pytest.mark.parametrize(
    ("form", "width"), [("letter_and_10_digits", 11), ("20_digits", 20), ("16_hex", 16)]
)  # fmt: skip
async def test_a_sequence_number_sorts_as_text_in_each_form(
    cloud: Cloud, client: httpx.AsyncClient, form: str, width: int
) -> None:
    cloud.set_switches(sequence_form=form)
    ada = cloud.person(ADA)
    seen = []
    for number in ("A0000000009", "A0000000010", "A9999999999", "B0000000000"):
        cloud.set_presence(ada, sequence_number=number)
        ada.fragment = b""
        seen.append((await bulk(client, cloud, [ada.oid]))[0]["sequenceNumber"])

    assert sorted(seen) == seen
    assert {len(number) for number in seen} == {width}


@pytest.mark.parametrize(("sent", "expected"), [(True, ("BusyIdle", "Busy")), (False, ("Busy", "Busy"))])
async def test_idle_values_may_not_be_sent(
    cloud: Cloud, client: httpx.AsyncClient, sent: bool, expected: tuple[str, str]
) -> None:
    ada = cloud.set_presence(ADA, "BusyIdle", "Busy")
    cloud.set_switches(idle_values=sent)

    (found,) = await bulk(client, cloud, [ada.oid])

    assert (found["availability"], found["activity"]) == expected


async def test_no_status_message_is_null_or_absent(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.person(ADA)

    assert (await bulk(client, cloud, [ada.oid]))[0]["statusMessage"] is None
    cloud.set_switches(no_status_message="absent")
    assert "statusMessage" not in (await bulk(client, cloud, [ada.oid]))[0]


async def test_when_a_status_message_expires_only_its_owner_reads(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.set_presence(ADA, status_message="On leave")
    own = await client.get("/v1.0/me/presence", headers=bearer(cloud, ADA, "Presence.Read"))
    (other,) = await bulk(client, cloud, [ada.oid])

    assert own.json()["statusMessage"]["expiryDateTime"]["dateTime"].startswith("9999-12-31")
    assert set(other["statusMessage"]) == {"message"}


@pytest.mark.fault("F11")
async def test_when_a_status_message_was_set_only_its_owner_reads(cloud: Cloud, client: httpx.AsyncClient) -> None:
    before = datetime.now(UTC)
    cloud.set_presence(ADA, status_message="On leave")
    ben = cloud.act(BEN, "status_message", text="Back at noon")

    for who in (ADA, BEN):
        own = await client.get("/v1.0/me/presence", headers=bearer(cloud, who, "Presence.Read"))
        published = own.json()["statusMessage"]["publishedDateTime"]
        assert before <= datetime.fromisoformat(published) <= datetime.now(UTC)
    (other,) = await bulk(client, cloud, [ben.oid])
    assert "publishedDateTime" not in other["statusMessage"]


async def test_a_presence_has_nothing_that_microsofts_metadata_does_not_name(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    cloud.set_switches(work_locations=True)
    cloud.set_presence(ADA, status_message="On leave", out_of_office=True, out_of_office_message="Back soon")
    own = (await client.get("/v1.0/me/presence", headers=bearer(cloud, ADA, "Presence.Read"))).json()

    for found in (*await bulk(client, cloud, [cloud.person(ADA).oid]), own):
        assert {name for name in found if not name.startswith("@")} == set(PRESENCE)
        for name, parts in PRESENCE.items():
            assert parts is None or set(found[name]) <= parts


@pytest.mark.parametrize("national", ["us_gov", "us_dod"])
async def test_the_us_government_has_three_properties(cloud: Cloud, client: httpx.AsyncClient, national: Any) -> None:
    ada = cloud.set_presence(ADA, status_message="On leave")
    ada.tenant.cloud = national

    (found,) = await bulk(client, cloud, [ada.oid])

    assert set(found) == {"id", "availability", "activity", "statusMessage"}


async def test_21vianet_has_no_presence(cloud: Cloud, client: httpx.AsyncClient) -> None:
    ada = cloud.person(ADA)
    ada.tenant.cloud = "china"

    assert await bulk(client, cloud, [ada.oid]) == 400
    for path in ("me/presence", f"users/{ada.oid}/presence", f"communications/presences/{ada.oid}"):
        assert (await client.get(f"/v1.0/{path}", headers=bearer(cloud))).status_code == 400
    assert (await client.get(f"/v1.0/users/{ADA}", headers=bearer(cloud))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("POST", "communications/getPresencesByUserId", "Presence.Read.All", 200),
        ("POST", "communications/getPresencesByUserId", "Presence.ReadWrite.All", 200),
        ("POST", "communications/getPresencesByUserId", "User.Read.All", 403),
        ("GET", "users/{ada}/presence", "Presence.Read.All", 200),
        ("GET", "communications/presences/{ada}", "Presence.Read.All", 200),
        ("GET", "me/presence", "Presence.Read.All", 400),
        ("GET", "me", "User.Read.All", 400),
    ],
)
async def test_an_application_by_itself_reads_presence_but_is_nobody(
    cloud: Cloud, client: httpx.AsyncClient, method: str, path: str, role: str, status: int
) -> None:
    ada = cloud.person(ADA).oid

    answer = await client.request(
        method, f"/v1.0/{path.replace('{ada}', ada)}", json={"ids": [ada]}, headers=app_only(cloud, role)
    )

    assert answer.status_code == status


async def test_ones_own_presence_needs_the_small_permission_and_others_the_large(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    async def read(who: str) -> int:
        path = f"/v1.0/users/{cloud.person(who).oid}/presence"
        return (await client.get(path, headers=bearer(cloud, ADA, "Presence.Read"))).status_code

    assert [await read(ADA), await read(BEN)] == [200, 403]


async def test_personal_accounts_have_no_presence(cloud: Cloud, client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1.0/me/presence", headers=bearer(cloud, "pat@outlook.example", "Presence.Read"))

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/json", 200), ("Application/JSON; charset=utf-8", 200), ("text/plain", 415), ("", 400)],
)
async def test_a_body_has_to_say_that_it_is_json(
    cloud: Cloud, client: httpx.AsyncClient, content_type: str, status: int
) -> None:
    headers = bearer(cloud) | ({"content-type": content_type} if content_type else {})

    answer = await client.post(BULK, content=json.dumps({"ids": [NOBODY]}).encode(), headers=headers)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000, b'{"ids":' + b"[" * 100_000, b'{"x":' * 50_000, b'{"ids":[1]}', b'{"ids":["' + b"x" * 100_000 + b'"]}',
        b'{"ids":null}', b"\x00", b"\xff\xfe",
    ],
)  # fmt: skip
async def test_no_body_is_a_fault_of_the_emulators(cloud: Cloud, client: httpx.AsyncClient, body: bytes) -> None:
    for path in ("communications/getPresencesByUserId", "$batch", "directoryObjects/getByIds"):
        headers = bearer(cloud, RELAY, "Presence.Read.All", "Directory.Read.All") | {"content-type": "application/json"}
        answer = await client.post(f"/v1.0/{path}", content=body, headers=headers)
        assert answer.status_code == 400
        assert len(answer.content) < 2000
        assert cloud.journal.search(path=path)[-1].reason


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "communications/getPresencesByUserId", 405),
        ("POST", "users", 405),
        ("DELETE", "users/x@contoso.example", 405),
        ("PATCH", "me", 405),
        ("PUT", "me/presence", 405),
        ("GET", "$batch", 405),
        ("GET", "groups", 400),
        ("GET", "users/x/y/z", 400),
        ("GET", "me/nothing", 400),
        ("GET", "USERS", 200),
        ("GET", "communications('x')", 400),
    ],
)
async def test_wrong_methods_are_405_and_unknown_paths_400(
    cloud: Cloud, client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, f"/v1.0/{path}", headers=bearer(cloud))

    assert answer.status_code == status
    assert status == 200 or cloud.journal.search(path=path)[-1].reason


async def test_every_answer_has_graphs_headers(cloud: Cloud, client: httpx.AsyncClient) -> None:
    asked = str(uuid.uuid4())
    for path, status, kind in (
        ("users", 200, "application/json;odata.metadata=minimal"),
        ("groups", 400, "application/json"),
    ):
        answer = await client.get(f"/v1.0/{path}", headers=bearer(cloud) | {"client-request-id": asked})
        headers = answer.headers
        assert (answer.status_code, headers["client-request-id"], headers["odata-version"]) == (status, asked, "4.0")
        assert uuid.UUID(headers["request-id"])
        assert (headers["cache-control"], headers["content-type"].startswith(kind)) == ("no-cache", True)
        assert "ServerInfo" in json.loads(headers["x-ms-ags-diagnostic"])
        assert "GMT" in headers["date"]
