from __future__ import annotations

import json
from copy import copy
from datetime import timedelta

import pytest

from emulator import Cloud
from emulator.faults import Fault
from relay.core.names import normalise
from relay.core.presence import DirectoryNames, Name, Status, UserId
from relay.errors import AccessDenied, RequestRefused, SourceThrottled, SourceUnreachable
from relay.graph.client import GraphClient
from relay.graph.presence.directory import NAMES_PER_BATCH, PATH, DirectoryUser, Resolution, resolve, upns_of
from tests.graph.conftest import Tokens, ids

NOBODY = Name("nobody@contoso.example")
ADA = Name("ada@contoso.example")
BEN = Name("ben@contoso.example")


def found(cloud: Cloud, who: str) -> DirectoryUser:
    person = cloud.person(who)
    return DirectoryUser(UserId(person.oid), person.upn)


def batches(cloud: Cloud) -> int:
    return len([line for line in cloud.journal.search() if line.path == PATH])


def fill(cloud: Cloud, count: int) -> list[Name]:
    """Lets `count` people join, and names them."""
    tenant = cloud.person(ADA).tenant.tenant_id
    for number in range(count):
        cloud.add_person(tenant, f"22222222-0000-4000-8000-{number:012}", f"P{number}@contoso.example", f"P{number}")
    return [Name(f"p{number}@contoso.example") for number in range(count)]


async def test_what_people_call_users_is_told_only_when_it_is_asked_for(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    person = cloud.person(ADA)
    (plain,) = (await resolve(client, tokens, [ADA])).meanings.values()
    (called,) = (await resolve(client, tokens, [ADA], asks_called=True)).meanings.values()
    assert isinstance(plain, DirectoryUser)
    assert isinstance(called, DirectoryUser)
    assert (plain.called, called.called) == (None, DirectoryNames(person.display_name, person.upn))


async def test_upns_and_object_ids_are_resolved_together(cloud: Cloud, client: GraphClient, tokens: Tokens):
    (ben,) = ids(cloud, "ben")
    unknown = Name("11111111-0000-4000-8000-000000000001")
    cloud.person(ADA).tenant.rename(cloud.person(ADA), "Ada@Contoso.Example")

    resolution = await resolve(client, tokens, [ADA, Name(ben), NOBODY, unknown])

    assert resolution.meanings == {
        ADA: found(cloud, ADA),
        Name(ben): found(cloud, BEN),
        NOBODY: Status.NOT_FOUND,
        unknown: Status.NOT_FOUND,
    }
    assert found(cloud, ADA).upn == "Ada@Contoso.Example"
    assert not resolution.unresolved
    assert batches(cloud) == 1


@pytest.mark.parametrize(
    "upn",
    [
        "o'brien@contoso.example",
        "$money@contoso.example",
        "ada_fabrikam.com#EXT#@contoso.example",
        "a+b=c@contoso.example",
        "ünal@contoso.example",
        "''@contoso.example",
    ],
)
async def test_names_with_letters_that_mean_something_elsewhere(
    cloud: Cloud, client: GraphClient, tokens: Tokens, upn: str
):
    cloud.add_person(cloud.person(ADA).tenant.tenant_id, "22222222-0000-4000-8000-000000000001", upn, "Somebody")
    name = normalise(upn)
    assert name is not None
    resolution = await resolve(client, tokens, [name, ADA])
    assert resolution.meanings == {name: found(cloud, upn), ADA: found(cloud, ADA)}


async def test_300_names_take_one_call_and_more_take_more(cloud: Cloud, client: GraphClient, tokens: Tokens):
    wanted = fill(cloud, NAMES_PER_BATCH + 1)
    assert (await resolve(client, tokens, wanted[:-1])).meanings == {name: found(cloud, name) for name in wanted[:-1]}
    assert batches(cloud) == 1
    assert len((await resolve(client, tokens, wanted)).meanings) == NAMES_PER_BATCH + 1
    assert batches(cloud) == 3


async def test_no_names_make_no_call(cloud: Cloud, client: GraphClient, tokens: Tokens):
    assert await resolve(client, tokens, []) == Resolution()
    assert batches(cloud) == 0


async def test_canonical_upns_of_object_ids(cloud: Cloud, client: GraphClient, tokens: Tokens):
    wanted = ids(cloud, "ada", "ben")
    resolution = await upns_of(client, tokens, wanted)
    assert resolution.meanings == {Name(wanted[0]): found(cloud, ADA), Name(wanted[1]): found(cloud, BEN)}


def users(*people: DirectoryUser) -> dict[str, object]:
    return {"value": [{"id": person.user_id, "userPrincipalName": person.upn} for person in people]}


def responses(*parts: object) -> str:
    return json.dumps({"responses": parts})


def say(cloud: Cloud, body: str, count: int = 1) -> None:
    cloud.add_fault(Fault(path=PATH, status=200, body=body, count=count))


@pytest.mark.parametrize(
    ("refusal", "throttled", "wait"),
    [
        ({"id": "1", "status": 429, "headers": {"Retry-After": "9"}, "body": {"error": {"code": "x"}}}, True, 9),
        ({"id": "1", "status": 503, "body": "unavailable"}, False, None),
        ({"id": "1", "status": 200, "body": {"value": "?"}}, False, None),
        ({"id": "1", "status": 200, "body": {"value": [{"id": 7}]}}, False, None),
        ({"id": "1", "status": 401, "body": {"error": {"code": "InvalidAuthenticationToken"}}}, False, None),
        ({"id": "7", "status": 200, "body": {"value": []}}, False, None),
        ({"id": 1, "status": 200, "body": {"value": []}}, False, None),
        ("?", False, None),
        (None, False, None),
    ],
)
async def test_trouble_of_one_part_costs_the_others_nothing(
    cloud: Cloud, client: GraphClient, tokens: Tokens, refusal: object, throttled: bool, wait: int | None
):
    (ben,) = ids(cloud, "ben")
    say(cloud, responses(refusal, {"id": "0", "status": 200, "body": users(found(cloud, ADA))}))

    resolution = await resolve(client, tokens, [ADA, Name(ben)])

    assert resolution.meanings == {ADA: found(cloud, ADA)}
    assert resolution.unresolved == [ben]
    assert resolution.is_throttled is throttled
    assert resolution.retry_after == (None if wait is None else timedelta(seconds=wait))


async def test_one_bad_name_is_found_among_fifteen(cloud: Cloud, client: GraphClient, tokens: Tokens):
    wanted = fill(cloud, 3)
    say(cloud, responses({"id": "0", "status": 400, "body": {"error": {"code": "Request_BadRequest"}}}))
    single = [
        {"id": str(number), "status": 200, "body": users(found(cloud, name))} for number, name in enumerate(wanted)
    ]
    single[1] = {"id": "1", "status": 400, "body": {"error": {"code": "Request_BadRequest"}}}
    say(cloud, responses(*single))

    resolution = await resolve(client, tokens, wanted)

    assert resolution.meanings == {
        wanted[0]: found(cloud, wanted[0]),
        wanted[2]: found(cloud, wanted[2]),
    }
    assert resolution.refused == [wanted[1]], "a refusal is not the answer that there is nobody"


ROSA = Name("rosa@contoso.example")
A_PAGE_IN_THE_JSON = '{"responses":[{"id":"0","status":503,"body": <html><h1>503</h1></html> }]}'


@pytest.mark.fault("B12")
@pytest.mark.parametrize(
    "fault",
    [
        Fault(path=PATH, in_body=ROSA, status=200, body=A_PAGE_IN_THE_JSON),
        Fault(path=PATH, in_body=ROSA, status=400, body='{"error": {"code": "BadRequest"}}'),
        Fault(path=PATH, in_body=ROSA, status=413),
    ],
    ids=["page", "400", "413"],
)
@pytest.mark.parametrize("place", [0, 137, NAMES_PER_BATCH - 1])
async def test_one_name_because_of_which_a_batch_fails_costs_the_others_nothing(
    cloud: Cloud, client: GraphClient, tokens: Tokens, fault: Fault, place: int
):
    wanted = fill(cloud, NAMES_PER_BATCH - 1)
    cloud.add_fault(copy(fault))

    resolution = await resolve(client, tokens, [*wanted[:place], ROSA, *wanted[place:]])

    assert resolution.meanings == {name: found(cloud, name) for name in wanted}
    assert (resolution.refused, resolution.unresolved) == ([ROSA], [])
    assert batches(cloud) <= 20


@pytest.mark.fault("B12")
@pytest.mark.parametrize("status", [500, 502, 504])
async def test_one_name_because_of_which_a_batch_fails_again_and_again_costs_the_others_nothing(
    cloud: Cloud, client: GraphClient, tokens: Tokens, status: int
):
    wanted = fill(cloud, NAMES_PER_BATCH - 1)
    cloud.add_fault(Fault(path=PATH, in_body=ROSA, status=status))

    with pytest.raises(SourceUnreachable):
        await resolve(client, tokens, [*wanted, ROSA])
    assert batches(cloud) == 1, "a failure that may pass is not asked for in pieces"
    resolution = await resolve(client, tokens, [*wanted, ROSA], suspects_names=True)

    assert resolution.meanings == {name: found(cloud, name) for name in wanted}
    assert (resolution.refused, resolution.unresolved) == ([ROSA], [])


@pytest.mark.fault("B12")
async def test_a_graph_that_is_away_for_long_is_asked_few_requests(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.add_fault(Fault(path=PATH, status=503))
    with pytest.raises(SourceUnreachable):
        await resolve(client, tokens, fill(cloud, NAMES_PER_BATCH), suspects_names=True)
    assert batches(cloud) <= 30


@pytest.mark.fault("B12", "B5")
async def test_a_name_for_which_a_whole_batch_is_forbidden_is_denied_by_itself(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    cloud.add_fault(Fault(path=PATH, in_body=ROSA, status=403))
    resolution = await resolve(client, tokens, [ROSA, ADA, BEN])
    assert resolution.meanings == {ROSA: Status.ACCESS_DENIED, ADA: found(cloud, ADA), BEN: found(cloud, BEN)}


@pytest.mark.fault("B12")
async def test_when_everything_is_refused_the_names_are_not_the_reason_and_few_requests_are_made(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    wanted = fill(cloud, NAMES_PER_BATCH)
    cloud.add_fault(Fault(path=PATH, status=400))
    with pytest.raises(RequestRefused):
        await resolve(client, tokens, wanted)
    assert batches(cloud) <= 30


@pytest.mark.fault("B13")
async def test_a_filter_that_is_refused_for_each_name_says_nothing_of_any(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    cloud.add_fault(Fault(path="/v1.0/users", status=400, body='{"error": {"code": "Request_UnsupportedQuery"}}'))
    resolution = await resolve(client, tokens, [ADA, BEN])
    assert (resolution.meanings, set(resolution.refused)) == ({}, {ADA, BEN})


@pytest.mark.fault("B4")
async def test_parts_that_are_all_forbidden_say_nothing_of_the_names(cloud: Cloud, client: GraphClient, tokens: Tokens):
    say(cloud, responses({"id": "0", "status": 403, "body": {"error": {"code": "Authorization_RequestDenied"}}}))
    with pytest.raises(AccessDenied):
        await resolve(client, tokens, [ADA, BEN])


async def test_a_grant_without_the_permission_is_denied(cloud: Cloud, client: GraphClient):
    with pytest.raises(AccessDenied):
        await resolve(client, Tokens(cloud, scopes={"Presence.Read"}), [ADA])


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"responses": 5}', '"\\ud800"'])
async def test_an_answer_that_makes_no_sense_is_unreachable(
    cloud: Cloud, client: GraphClient, tokens: Tokens, body: str
):
    say(cloud, body)
    with pytest.raises(SourceUnreachable):
        await resolve(client, tokens, [ADA])


async def test_throttling_of_the_whole_call_is_told(cloud: Cloud, client: GraphClient, tokens: Tokens):
    cloud.add_fault(Fault(path=PATH, status=429, headers={"Retry-After": "5"}))
    with pytest.raises(SourceThrottled):
        await resolve(client, tokens, [ADA])


async def test_what_was_resolved_before_trouble_is_kept(cloud: Cloud, client: GraphClient, tokens: Tokens):
    wanted = fill(cloud, NAMES_PER_BATCH + 20)
    first = [
        {
            "id": str(part),
            "status": 200,
            "body": users(*(found(cloud, name) for name in wanted[part * 15 : part * 15 + 15])),
        }
        for part in range(20)
    ]
    say(cloud, responses(*first))
    cloud.add_fault(Fault(path=PATH, status=429, headers={"Retry-After": "5"}))

    resolution = await resolve(client, tokens, wanted)

    assert set(resolution.meanings) == set(wanted[:NAMES_PER_BATCH])
    assert resolution.unresolved == wanted[NAMES_PER_BATCH:]
    assert resolution.retry_after == timedelta(seconds=5)


async def test_users_that_were_not_asked_for_and_senseless_ones_are_ignored(
    cloud: Cloud, client: GraphClient, tokens: Tokens
):
    strange = [
        {"id": "x", "userPrincipalName": str(ADA)},
        {"id": found(cloud, BEN).user_id, "userPrincipalName": str(BEN)},
    ]
    say(cloud, responses({"id": "0", "status": 200, "body": {"value": strange}}))
    assert (await resolve(client, tokens, [ADA])).meanings == {ADA: Status.NOT_FOUND}
