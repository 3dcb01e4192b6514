"""Subscriptions to change notifications: made, refused, listed, renewed, deleted, expired."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from emulator import Application, generate_world
from emulator.demo import CLIENT_ID
from tests.emulator.driver import RELAY
from tests.emulator.receiver import Got, Push, Said, certificate_of, encryption, pushing, soon
from tests.support.waiting import eventually

ADA = "ada@contoso.example"
BEN = "ben@contoso.example"
ADMIN = "admin@contoso.example"


@pytest.fixture
async def push(tmp_path: Path) -> AsyncIterator[Push]:
    async with pushing(tmp_path) as running:
        yield running


def date_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


# Made


async def test_a_subscription_is_answered_with_all_that_microsofts_metadata_names(push: Push) -> None:
    answer = await push.post(push.body(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle"))

    found = answer.json()
    assert answer.status_code == 201
    assert found == {
        "@odata.context": f"{push.cloud.url}/v1.0/$metadata#subscriptions/$entity",
        "id": found["id"],
        "resource": f"/communications/presences?$filter=id in ('{push.cloud.person(ADA).oid}')",
        "applicationId": CLIENT_ID,
        "changeType": "updated",
        "clientState": "a secret of ours",
        "notificationUrl": f"{push.receiver.url}/notifications",
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": f"{push.receiver.url}/lifecycle",
        "expirationDateTime": found["expirationDateTime"],
        "creatorId": push.cloud.person(RELAY).oid,
        "includeResourceData": True,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": "first",
        "notificationUrlAppId": None,
    }


async def test_one_person_can_be_subscribed_to_without_a_filter(push: Push) -> None:
    await push.subscribe(resource=f"communications/presences/{push.cloud.person(ADA).oid.upper()}")

    push.cloud.act(ADA, "call")

    [item] = await push.receiver.wait_for(1)
    assert item["resourceData"]["id"] == push.cloud.person(ADA).oid


async def test_annotations_that_sdks_send_are_passed_over(push: Push) -> None:
    await push.subscribe(ADA, **{"@odata.type": "#microsoft.graph.subscription"})


async def test_650_people_fit_and_those_named_twice_count_once(tmp_path: Path) -> None:
    async with pushing(tmp_path) as push:
        people = generate_world(tenants=1, people=660).people()
        ids = [person.oid for person in people]
        tenant = push.cloud.person(ADA).tenant
        for number, oid in enumerate(ids):
            push.cloud.add_person(tenant.tenant_id, oid, f"p{number}@contoso.example", "P")

        def resource(wanted: list[str]) -> str:
            return "/communications/presences?$filter=id in ({})".format(",".join(f"'{each}'" for each in wanted))

        refused = await push.post(push.body(resource=resource(ids[:651])))
        made = await push.post(push.body(resource=resource([*ids[:650], *ids[:3]])))

    assert (refused.status_code, made.status_code) == (400, 201)
    assert "650" in refused.json()["error"]["message"]


async def test_short_lives_are_lengthened_to_45_minutes(push: Push) -> None:
    granted = []
    for minutes in (59.9, 50, 45, 10, -5):
        made = await push.subscribe(ADA, minutes=minutes)
        granted.append(round((date_of(made["expirationDateTime"]) - datetime.now(UTC)) / timedelta(minutes=1)))
        await push.delete(made["id"])

    assert granted == [60, 50, 45, 45, 45]


@pytest.mark.fault("F7")
async def test_a_date_is_told_as_it_was_given_in_every_answer_and_notification(push: Push) -> None:
    """As https://learn.microsoft.com/graph/api/subscription-update shows it, with seven digits."""
    base = datetime.now(UTC) + timedelta(minutes=50)
    east = base.astimezone(timezone(timedelta(hours=2)))

    async def everywhere(subscription_id: str) -> set[str]:
        """Every spelling of the date that is told."""
        (listed,) = (await push.get()).json()["value"]
        read = [(await push.get(f"/{subscription_id}")).json() for _ in range(20)]
        return {listed["expirationDateTime"], *(each["expirationDateTime"] for each in read)}

    made = await push.subscribe(ADA, expirationDateTime=f"{base:%Y-%m-%dT%H:%M:%S}.9356913Z")
    assert await everywhere(made["id"]) == {made["expirationDateTime"]} == {f"{base:%Y-%m-%dT%H:%M:%S}.9356913Z"}

    renewed = await push.patch(made["id"], expirationDateTime=f"{east:%Y-%m-%dT%H:%M:%S}+02:00")
    assert renewed.json()["expirationDateTime"] == f"{base:%Y-%m-%dT%H:%M:%S}.0000000Z"
    await push.reauthorize(made["id"])
    push.cloud.act(ADA, "call")
    [item] = await push.receiver.wait_for(1)
    assert item["subscriptionExpirationDateTime"] == renewed.json()["expirationDateTime"]

    lengthened = await push.patch(made["id"], expirationDateTime=soon(1))
    assert await everywhere(made["id"]) == {lengthened.json()["expirationDateTime"]}
    push.cloud.clock.advance(60)
    (sooner,) = await everywhere(made["id"])
    earlier = date_of(lengthened.json()["expirationDateTime"]) - date_of(sooner)
    assert abs(earlier - timedelta(minutes=1)) < timedelta(seconds=1)


async def test_the_dates_of_a_scaled_world_tell_when_things_really_happen(tmp_path: Path) -> None:
    async with pushing(tmp_path, speed=2) as push:
        made = await push.subscribe(ADA, minutes=59.99)
        left = date_of(made["expirationDateTime"]) - datetime.now(UTC)

    assert timedelta(minutes=29) < left < timedelta(minutes=30)


@pytest.mark.parametrize(("ahead", "really"), [(-5, 55), (5, 45), (0, 50)])
async def test_dates_are_told_and_read_by_a_clock_that_may_be_wrong(push: Push, ahead: int, really: int) -> None:
    """Whoever asks for 50 minutes by another clock gets what those are by the cloud's, and a date by the cloud's."""
    answer = await push.client.put("/_emulator/clock", json={"ahead_s": ahead * 60})
    assert answer.json()["ahead_s"] == ahead * 60

    made = await push.subscribe(ADA, minutes=50)

    left = (date_of(made["expirationDateTime"]) - datetime.now(UTC)) / timedelta(minutes=1)
    assert round(left) == really + ahead
    [life] = push.cloud.subscriptions()
    assert round((life.expires_s - push.cloud.clock.now()) / 60) == really


# The handshake


async def test_both_urls_prove_themselves_with_a_token_that_has_to_be_decoded(push: Push) -> None:
    await push.subscribe(
        ADA,
        notificationUrl=f"{push.receiver.url}/hook?shard=7&route=a%20b",
        lifecycleNotificationUrl=f"{push.receiver.url}/lifecycle",
    )

    first, second = push.receiver.handshakes
    assert (first.path, second.path) == ("/hook", "/lifecycle")
    assert first.query.startswith("shard=7&route=a%20b&validationToken=Validation%3a+Testing+client+application")
    assert first.token is not None
    assert first.token.startswith("Validation: Testing client application reachability for subscription Request-Id: ")
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    assert first.body == b""
    assert first.token != second.token


async def test_one_url_for_both_is_asked_twice(push: Push) -> None:
    await push.subscribe(ADA, lifecycleNotificationUrl=f"{push.receiver.url}/notifications")

    assert len(push.receiver.handshakes) == 2


UNPROVEN = [
    (Said(status=404), "HTTP status code is 'NotFound'. Notification endpoint must respond with 200 OK"),
    (Said(status=500), "HTTP status code is 'InternalServerError'. Notification endpoint must respond with 200 OK"),
    (Said(status=202), "HTTP status code is 'Accepted'. Notification endpoint must respond with 200 OK"),
    (Said(status=200, body=b"hello"), "Response must exactly match validationToken query parameter."),
    (Said(status=200, content_type="text/html"), "Response content type must be text/plain."),
]


async def test_who_does_not_prove_the_url_gets_no_subscription(push: Push) -> None:
    for said, told in UNPROVEN:

        async def say(_: Got, said: Said = said) -> Said:
            return said

        push.receiver.say = say
        answer = await push.post(push.body(ADA))

        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "ValidationError")
        assert error["message"].startswith(f"Subscription validation request failed. {told}")
    assert push.cloud.subscriptions() == []
    posts = push.cloud.notifications.log.search(kind="validation")
    assert [post.outcome for post in posts] == ["refused"] * len(UNPROVEN)


async def test_an_encoded_token_proves_nothing(push: Push) -> None:
    async def say(got: Got) -> Said:
        return Said(status=200, body=got.query.partition("validationToken=")[2].encode())

    push.receiver.say = say
    answer = await push.post(push.body(ADA))

    assert "must exactly match" in answer.json()["error"]["message"]


async def test_a_lifecycle_url_that_does_not_prove_itself_is_refused_as_well(push: Push) -> None:
    answer = await push.post(push.body(ADA, lifecycleNotificationUrl="https://127.0.0.1:1/lifecycle"))

    assert answer.status_code == 400
    assert "Notification endpoint must respond with 200 OK to validation request" in answer.json()["error"]["message"]
    assert len(push.receiver.handshakes) == 1


async def test_a_url_has_ten_seconds_to_prove_itself(tmp_path: Path) -> None:
    async with pushing(tmp_path, handshake_timeout_s=0.1) as push:

        async def say(_: Got) -> Said:
            await eventually(lambda: False)
            return Said()

        push.receiver.say = say
        answer = await push.post(push.body(ADA))

    assert answer.json()["error"]["message"] == "Subscription validation request timed out."


# Refused


REFUSED = [
    ({"changeType": "created"}, "Unsupported change type 'created'"),
    ({"changeType": "updated,deleted"}, "Unsupported change type"),
    ({"changeType": None}, "changeType is a required property for subscription creation"),
    ({"resource": None}, "resource is a required property"),
    ({"notificationUrl": None}, "notificationUrl is a required property"),
    ({"expirationDateTime": None}, "expirationDateTime is a required property for subscription creation"),
    ({"expirationDateTime": "tomorrow"}, "expirationDateTime is not a date"),
    ({"expirationDateTime": "2026-01-01T00:00:00"}, "must have an offset"),
    ({"notificationUrl": "http://127.0.0.1/hook"}, "notificationUrl must be a well-formed URL of the https scheme"),
    ({"notificationUrl": "https://"}, "notificationUrl must be"),
    ({"notificationUrl": "https://127.0.0.1/a hook"}, "notificationUrl must be"),
    ({"notificationUrl": "https://127.0.0.1/hook\r\nx: y"}, "notificationUrl must be"),
    ({"notificationUrl": "https://127.0.0.1:99999/hook"}, "notificationUrl must be"),
    ({"notificationUrl": "https://[x/hook"}, "notificationUrl must be"),
    ({"lifecycleNotificationUrl": "ftp://127.0.0.1"}, "lifecycleNotificationUrl must be"),
    ({"clientState": "x" * 129}, "clientState must not exceed 128 characters"),
    ({"resource": "me/messages"}, "The resource 'me/messages' is not supported"),
    ({"resource": "/communications/presences"}, "is not supported"),
    ({"resource": "/communications/presences/not-an-id"}, "is not supported"),
    ({"resource": "/communications/presences?$filter=id in (00000000-0000-0000-0000-000000000001)"}, "Invalid filter clause"),
    ({"resource": "/communications/presences?$filter=id in ('x')"}, "Invalid filter clause"),
    ({"resource": "/communications/presences?$filter=id in ()"}, "Invalid filter clause"),
    ({"resource": "/communications/presences?$filter=id eq 'x'"}, "Invalid query"),
    ({"resource": "/communications/presences?$select=activity"}, "Invalid query"),
    ({"encryptionCertificateId": None}, "encryptionCertificateId is required"),
    ({"encryptionCertificateId": "x" * 129}, "encryptionCertificateId must not exceed 128 characters"),
    ({"encryptionCertificate": None}, "encryptionCertificate is required"),
    ({"encryptionCertificate": "AAAAB3NzaC1yc2E="}, "Certificate validation error: Cannot find the requested object."),
    ({"encryptionCertificate": "%%%"}, "Certificate validation error: Cannot find the requested object."),
    ({"latestSupportedTlsVersion": "v9"}, "latestSupportedTlsVersion"),
    ({"users": ["x"]}, "users"),
    ({"includeResourceData": "yes"}, "includeResourceData"),
]  # fmt: skip


async def test_what_is_not_as_documented_is_refused(push: Push) -> None:
    for changes, told in REFUSED:
        answer = await push.post(push.body(ADA, **changes))

        assert answer.status_code == 400, changes
        assert told in answer.json()["error"]["message"]
    assert push.receiver.got == []


async def test_a_body_that_is_none_is_refused(push: Push) -> None:
    for body in (b"", b"null", b"[]", b"{", b"\xff", b"[" * 5000, b'{"a":' * 5000):
        created = await push.client.post("/v1.0/subscriptions", content=body, headers=push.bearer())
        changed = await push.client.patch("/v1.0/subscriptions/x", content=body, headers=push.bearer())

        assert (created.status_code, changed.status_code) == (400, 400), body[:10]


async def test_a_key_that_is_not_rsa_of_2048_to_4096_bits_is_refused(push: Push) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(public_exponent=65537, key_size=1024)]

    for key in keys:
        public = base64.b64encode(certificate_of(key)).decode()
        answer = await push.post(push.body(ADA, encryptionCertificate=public))

        assert answer.status_code == 400
        assert "Certificate validation error: The certificate's key must be" in answer.json()["error"]["message"]


async def test_nobody_subscribes_for_more_than_an_hour(push: Push) -> None:
    answer = await push.post(push.body(ADA, minutes=61))

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "ExtensionError",
        "message": "Subscription expiration can only be 60 minutes in the future.",
        "innerError": answer.json()["error"]["innerError"],
    }


async def test_without_the_permission_to_read_everybodys_presence_nobody_subscribes(push: Push) -> None:
    headers = push.bearer(RELAY, "Presence.Read", "User.ReadBasic.All")
    answer = await push.client.post("/v1.0/subscriptions", json=push.body(ADA), headers=headers)

    assert answer.status_code == 403
    assert "The request is not authorized for this user or application." in answer.json()["error"]["message"]


async def test_an_application_by_itself_does_not_subscribe(push: Push) -> None:
    made = await push.subscribe(ADA)
    application = push.cloud.world.applications[CLIENT_ID]
    tenant = push.cloud.person(ADA).tenant
    token = push.cloud.tokens.app_token(tenant, application, ["Presence.Read.All"], 3599)
    headers = {"authorization": f"Bearer {token}"}

    refused = await push.client.post("/v1.0/subscriptions", json=push.body(BEN), headers=headers)
    listed = await push.client.get("/v1.0/subscriptions", headers=headers)

    assert refused.status_code == 403
    assert [each["id"] for each in listed.json()["value"]] == [made["id"]]


async def test_national_clouds_have_no_subscriptions_to_presence(push: Push) -> None:
    push.cloud.person(ADA).tenant.cloud = "us_gov"

    answer = await push.post(push.body(ADA))

    assert answer.status_code == 400
    assert "not supported in this cloud" in answer.json()["error"]["message"]


async def test_ids_of_nobody_are_accepted_unless_the_switch_says_otherwise(push: Push) -> None:
    resource = "communications/presences/00000000-0000-0000-0000-000000000001"
    push.cloud.set_switches(subscription_unknown_ids="refuse_400")
    refused = await push.post(push.body(resource=resource))
    push.cloud.set_switches(subscription_unknown_ids="accept")
    accepted = await push.post(push.body(resource=resource))

    assert (refused.status_code, accepted.status_code) == (400, 201)


async def test_the_client_state_can_be_demanded(push: Push) -> None:
    push.cloud.set_switches(client_state_required=True)
    refused = await push.post(push.body(ADA, clientState=None))
    push.cloud.set_switches(client_state_required=False)
    accepted = await push.post(push.body(ADA, clientState=None))

    assert (refused.status_code, accepted.status_code) == (400, 201)


# One for each application and account


async def test_an_account_has_one_subscription_an_application(push: Push) -> None:
    await push.subscribe(ADA)

    second = await push.post(push.body(BEN))
    of_another_account = await push.post(push.body(BEN), ADMIN)

    error = second.json()["error"]
    assert (second.status_code, error["code"], error["message"]) == (
        409,
        "ExtensionError",
        "Operation: Create; Exception: [Status Code: Conflict; Reason: A subscripton already exists. "
        "It must be deleted before a another can be made.]",
    )
    assert of_another_account.status_code == 201


async def test_another_application_has_its_own(push: Push) -> None:
    await push.subscribe(ADA)
    other = push.cloud.world.add_application(
        Application(client_id="22222222-0000-4000-8000-000000000000", name="Other")
    )
    token = push.cloud.tokens.access_token(push.cloud.person(RELAY), other, {"Presence.Read.All"}, 3599)

    answer = await push.client.post(
        "/v1.0/subscriptions", json=push.body(BEN), headers={"authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 201


async def test_the_whole_tenant_can_have_one_only(push: Push) -> None:
    push.cloud.set_switches(subscription_scope="tenant")
    await push.subscribe(ADA)

    assert (await push.post(push.body(BEN), ADMIN)).status_code == 409


async def test_a_second_one_can_be_refused_as_a_quota(push: Push) -> None:
    push.cloud.set_switches(second_subscription="forbidden_403")
    await push.subscribe(ADA)

    second = await push.post(push.body(BEN))

    assert second.status_code == 403
    assert "has reached its limit of '1'" in second.json()["error"]["message"]


async def test_of_two_at_the_same_time_one_is_made(push: Push) -> None:
    answers = await asyncio.gather(push.post(push.body(ADA)), push.post(push.body(BEN)))

    assert sorted(answer.status_code for answer in answers) == [201, 409]


# Read


async def test_an_application_sees_its_own_subscriptions_without_their_secret(push: Push) -> None:
    made = await push.subscribe(ADA)
    await push.subscribe(BEN, account=ADMIN)

    listed = (await push.get()).json()
    single = (await push.get(f"/{made['id']}")).json()

    assert listed["@odata.context"] == f"{push.cloud.url}/v1.0/$metadata#subscriptions"
    assert [(each["id"], each["clientState"]) for each in listed["value"]] == [(made["id"], None)]
    assert (single["id"], single["clientState"]) == (made["id"], None)


async def test_whoever_may_read_subscriptions_sees_those_of_all_accounts_as_an_administrator(push: Push) -> None:
    await push.subscribe(ADA)
    await push.subscribe(BEN, account=ADMIN)

    counts = []
    for account in (RELAY, ADMIN):
        headers = push.bearer(account, "Subscription.Read.All")
        counts.append(len((await push.client.get("/v1.0/subscriptions", headers=headers)).json()["value"]))

    assert counts == [1, 2]


async def test_the_list_has_pages(push: Push) -> None:
    push.cloud.set_switches(subscription_page_size=1)
    made = [(await push.subscribe(ADA, account=account))["id"] for account in (RELAY, ADMIN)]
    headers = push.bearer(ADMIN, "Subscription.Read.All")

    first = (await push.client.get("/v1.0/subscriptions", headers=headers)).json()
    second = (await push.client.get(first["@odata.nextLink"], headers=headers)).json()

    assert [each["id"] for each in (*first["value"], *second["value"])] == made
    assert "@odata.nextLink" not in second


async def test_nobody_reaches_a_subscription_of_somebody_else(push: Push) -> None:
    made = await push.subscribe(ADA)

    answers = [
        await push.get(f"/{made['id']}", ADMIN),
        await push.patch(made["id"], ADMIN, expirationDateTime=soon(50)),
        await push.delete(made["id"], ADMIN),
        await push.reauthorize(made["id"], ADMIN),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert answers[0].json()["error"]["code"] == "ResourceNotFound"
    assert (await push.get(f"/{made['id']}")).status_code == 200


# Renewed, deleted, expired


async def test_a_renewal_extends_a_subscription(push: Push) -> None:
    made = await push.subscribe(ADA, minutes=45)
    push.cloud.clock.advance(30 * 60)

    answer = await push.patch(made["id"], expirationDateTime=soon(59))
    push.cloud.clock.advance(50 * 60)

    left = date_of(answer.json()["expirationDateTime"]) - datetime.now(UTC)
    assert answer.status_code == 200
    assert timedelta(minutes=58) < left < timedelta(minutes=60)
    assert (await push.get(f"/{made['id']}")).status_code == 200


async def test_a_renewal_can_be_answered_with_204(push: Push) -> None:
    push.cloud.set_switches(renewal_status=204)
    made = await push.subscribe(ADA)

    answer = await push.patch(made["id"], expirationDateTime=soon(59))

    assert (answer.status_code, answer.content) == (204, b"")


UNCHANGEABLE: list[dict[str, str]] = [
    {},
    {"resource": "communications/presences/00000000-0000-0000-0000-000000000001"},
    {"notificationUrl": "https://127.0.0.1/other"},
    {"clientState": "another"},
    {"lifecycleNotificationUrl": "https://127.0.0.1/other"},
    {"expirationDateTime": "soon"},
    {"encryptionCertificate": "AAAA", "encryptionCertificateId": "second"},
    {"encryptionCertificateId": "second"},
]


async def test_nothing_else_of_a_subscription_can_be_changed(push: Push) -> None:
    made = await push.subscribe(ADA)
    before = (await push.get(f"/{made['id']}")).json()

    for change in UNCHANGEABLE:
        assert (await push.patch(made["id"], **change)).status_code == 400, change

    after = (await push.get(f"/{made['id']}")).json()
    del before["expirationDateTime"], after["expirationDateTime"]
    assert after == before


async def test_another_certificate_is_used_from_its_renewal_on(push: Push) -> None:
    made = await push.subscribe(ADA)
    another = encryption(another=True)

    await push.patch(made["id"], encryptionCertificate=another.public, encryptionCertificateId="second")
    push.cloud.act(ADA, "call")

    [item] = await push.receiver.wait_for(1)
    assert item["encryptedContent"]["encryptionCertificateId"] == "second"
    assert another.opened(item)["activity"] == "InACall"


async def test_a_basic_subscription_has_no_certificate_to_change(push: Push) -> None:
    made = await push.subscribe(ADA, includeResourceData=None)

    answer = await push.patch(made["id"], encryptionCertificate=encryption().public, encryptionCertificateId="second")

    assert answer.status_code == 400


async def test_a_renewal_asks_the_url_again_only_when_the_switch_says_so(push: Push) -> None:
    made = await push.subscribe(ADA)
    await push.patch(made["id"], expirationDateTime=soon(59))
    asked = len(push.receiver.handshakes)
    push.cloud.set_switches(renewal_handshake=True)

    await push.patch(made["id"], expirationDateTime=soon(59))

    assert (asked, len(push.receiver.handshakes)) == (1, 2)


async def test_what_was_deleted_is_gone_and_makes_room(push: Push) -> None:
    made = await push.subscribe(ADA)

    first, second = await push.delete(made["id"]), await push.delete(made["id"])

    assert (first.status_code, first.content, second.status_code) == (204, b"", 404)
    assert (await push.patch(made["id"], expirationDateTime=soon(50))).status_code == 404
    await push.subscribe(ADA)


async def test_a_subscription_that_is_not_renewed_ends_without_a_word(push: Push) -> None:
    made = await push.subscribe(ADA, minutes=45)

    push.cloud.clock.advance(45 * 60 + 1)
    push.cloud.act(ADA, "call")

    assert (await push.get(f"/{made['id']}")).status_code == 404
    assert push.receiver.posts == []
    await push.subscribe(ADA)


async def test_a_ghost_cannot_be_found_but_is_in_the_way_for_a_while(push: Push) -> None:
    made = await push.subscribe(ADA)
    push.cloud.end_subscription(made["id"], haunts_s=3600)

    answers = [
        await push.get(f"/{made['id']}"),
        await push.patch(made["id"], expirationDateTime=soon(50)),
        await push.delete(made["id"]),
        await push.post(push.body(ADA)),
    ]
    listed = (await push.get()).json()["value"]
    push.cloud.clock.advance(3601)

    assert [answer.status_code for answer in answers] == [404, 404, 404, 409]
    assert listed == []
    await push.subscribe(ADA)


async def test_renewals_can_be_refused_by_a_fault(push: Push) -> None:
    made = await push.subscribe(ADA)
    fault = {"kind": "renewal_refused", "subscription": made["id"], "status": 503, "count": 1}
    assert (await push.client.post("/_emulator/notifications/faults", json=fault)).status_code == 200

    answers = [await push.patch(made["id"], expirationDateTime=soon(50)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 200]


async def test_in_a_batch_subscriptions_work_as_alone(push: Push) -> None:
    requests = [
        {
            "id": "1",
            "method": "POST",
            "url": "/subscriptions",
            "body": push.body(ADA),
            "headers": {"content-type": "application/json"},
        },
        {"id": "2", "method": "GET", "url": "/subscriptions", "dependsOn": ["1"]},
    ]

    answer = await push.client.post("/v1.0/$batch", json={"requests": requests}, headers=push.bearer())

    found = {each["id"]: each for each in answer.json()["responses"]}
    assert {name: each["status"] for name, each in found.items()} == {"1": 201, "2": 200}
    assert found["2"]["body"]["value"][0]["id"] == found["1"]["body"]["id"]


# What the emulator tells of them


async def test_the_whole_life_of_a_subscription_is_told(push: Push) -> None:
    first = await push.subscribe(ADA)
    push.cloud.clock.advance(600)
    await push.patch(first["id"], expirationDateTime=soon(50))
    assert (await push.reauthorize(first["id"])).status_code == 204
    await push.delete(first["id"])
    second = await push.subscribe(BEN)

    lives = (await push.client.get("/_emulator/subscriptions")).json()["subscriptions"]
    live = (await push.client.get("/_emulator/subscriptions?live=true")).json()["subscriptions"]

    assert [[event["what"] for event in life["events"]] for life in lives] == [
        ["created", "renewed", "reauthorised", "deleted"],
        ["created"],
    ]
    assert lives[0]["events"][1]["at_s"] - lives[0]["created_s"] >= 600
    assert lives[0]["ended_s"] <= lives[1]["created_s"]
    assert (lives[0]["creator"], lives[0]["users"], lives[0]["rich"]) == (push.cloud.person(RELAY).oid, 1, True)
    assert [life["id"] for life in live] == [second["id"]]


async def test_a_snapshot_holds_the_subscriptions(push: Push) -> None:
    kept = await push.subscribe(ADA)
    push.cloud.snapshots.take("before")
    await push.delete(kept["id"])
    made_since = await push.subscribe(BEN)

    push.cloud.snapshots.restore("before")
    push.cloud.act(ADA, "call")
    push.cloud.act(BEN, "call")

    [item] = await push.receiver.wait_for(1)
    assert item["subscriptionId"] == kept["id"]
    assert (await push.get(f"/{made_since['id']}")).status_code == 404
    assert [life.id for life in push.cloud.subscriptions()] == [kept["id"]]
    push.cloud.clock.advance(3601)
    assert (await push.get(f"/{kept['id']}")).status_code == 404


async def test_a_reset_ends_every_subscription(push: Push) -> None:
    made = await push.subscribe(ADA)

    push.cloud.reset()

    assert (await push.get(f"/{made['id']}")).status_code == 404
    assert push.cloud.subscriptions() == []


async def test_control_ends_a_subscription_as_if_it_had_expired(push: Push) -> None:
    made = await push.subscribe(ADA)

    ended = await push.client.delete(f"/_emulator/subscriptions/{made['id']}")
    again = await push.client.delete(f"/_emulator/subscriptions/{made['id']}")

    assert (ended.status_code, again.status_code) == (204, 404)
    assert (await push.get(f"/{made['id']}")).status_code == 404
    assert push.cloud.subscriptions()[0].events[-1].what == "expired"
