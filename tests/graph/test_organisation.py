"""Whose a domain is, and some of its users."""

from __future__ import annotations

import json

import pytest

from emulator import Cloud, Fault
from relay.errors import AccessDenied, SourceThrottled, SourceUnreachable
from relay.graph.client import GraphClient
from relay.graph.presence.organisation import some_users, tenant_of
from tests.graph.conftest import Tokens

DISCOVERY = "openid-configuration"


async def test_a_domain_leads_to_its_tenant(cloud: Cloud, client: GraphClient):
    contoso = cloud.world.tenant("contoso.example")
    assert contoso is not None
    assert await tenant_of(client, "contoso.example") == contoso.tenant_id
    assert await tenant_of(client, "CONTOSO.example") == contoso.tenant_id
    assert await tenant_of(client, contoso.tenant_id) == contoso.tenant_id


@pytest.mark.parametrize("domain", ["nowhere.example", "../common", "organizations/../x", "a b", "%2e%2e"])
async def test_a_domain_of_nobody_leads_nowhere(client: GraphClient, domain: str):
    assert await tenant_of(client, domain) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "body": "no JSON"},
        {"status": 200, "body": "{}"},
        {"status": 200, "body": '{"issuer": "https://evil.example/common/v2.0"}'},
        {"status": 200, "body": '{"issuer": 7}'},
        {"status": 503},
    ],
)
async def test_discovery_that_makes_no_sense_is_no_answer(cloud: Cloud, client: GraphClient, answer: dict[str, object]):
    cloud.add_fault(Fault(contains=DISCOVERY, **answer))  # type: ignore[arg-type]
    with pytest.raises(SourceUnreachable):
        await tenant_of(client, "contoso.example")


async def test_some_users_are_named(client: GraphClient, tokens: Tokens):
    found = await some_users(client, tokens, 3)
    assert [(one.display_name, one.upn) for one in found] == [
        ("Ada Adler", "ada@contoso.example"),
        ("Ben Brandt", "ben@contoso.example"),
        ("Chloe Costa", "chloe@contoso.example"),
    ]


async def test_users_that_cannot_be_read_are_left_out(cloud: Cloud, client: GraphClient, tokens: Tokens):
    users = [
        {"id": "no guid"},
        {"displayName": "nobody"},
        7,
        {"id": "AAAAAAAA-0000-4000-8000-000000000001", "displayName": None, "userPrincipalName": "a@b.de", "more": 1},
        {"id": "aaaaaaaa-0000-4000-8000-000000000002", "displayName": "x" * 5000},
    ]
    cloud.add_fault(Fault(path="/v1.0/users", status=200, body=json.dumps({"value": users})))
    named, long = await some_users(client, tokens, 10)
    assert (named.user_id, named.display_name, named.upn) == (
        "aaaaaaaa-0000-4000-8000-000000000001",
        "a@b.de",
        "a@b.de",
    )
    assert len(long.display_name) == 256


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 200, "body": "[]"}, SourceUnreachable),
        ({"status": 403}, AccessDenied),
        ({"status": 429}, SourceThrottled),
    ],
)
async def test_a_list_that_cannot_be_had(
    cloud: Cloud, client: GraphClient, tokens: Tokens, answer: dict[str, object], error: type[Exception]
):
    cloud.add_fault(Fault(path="/v1.0/users", **answer))  # type: ignore[arg-type]
    with pytest.raises(error):
        await some_users(client, tokens, 3)
