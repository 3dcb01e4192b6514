"""Microsoft's Graph SDK for Python under Microsoft's host names, unmodified; its own models take everything in.

The SDK runs in a thread with an event loop of its own, so that credentials that block do not stop the emulator.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AuthorizationCodeCredential, ClientSecretCredential

from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from emulator.faults import Fault
from tests.emulator.driver import RELAY
from tests.emulator.test_hosts import HOME, everywhere
from tests.emulator.test_microsoft_clients import GRAPH, code_for, let_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from msgraph import GraphServiceClient

    from emulator import Cloud, Fault

    Work = Callable[[GraphServiceClient], Awaitable[Any]]

T = TypeVar("T")

# Importing the SDK's modules warns about the SDK's own older names.
pytestmark = [pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"), pytest.mark.long]

ADA = "ada@contoso.example"


async def by_sdk(work: Work, credential: Any, *, graph: str = "https://graph.microsoft.com") -> Any:
    """Do some work with the SDK and return what it returns."""

    async def in_its_own_loop() -> Any:
        async with sdk(credential, graph) as client:
            return await work(client)

    return await asyncio.to_thread(asyncio.run, in_its_own_loop())


@asynccontextmanager
async def sdk(credential: Any, graph: str) -> AsyncIterator[GraphServiceClient]:
    """A client as the SDK's documentation makes one; its connections are closed at the end."""
    from msgraph import GraphServiceClient  # here and below: it takes a second to import, and few runs use it

    client = GraphServiceClient(credential, [f"{graph}/.default"])
    client.request_adapter.base_url = f"{graph}/v1.0"
    http = client.request_adapter._http_client
    try:
        yield client
    finally:
        credential.close()
        for outer in (http._transport, *http._mounts.values()):
            await outer.transport.aclose()  # closing the client does not reach them: its transports do not pass it on


async def delegated() -> AuthorizationCodeCredential:
    """The credential of somebody who signed in."""
    code = await code_for(f"offline_access {GRAPH}")
    return AuthorizationCodeCredential("contoso.example", CLIENT_ID, code, REDIRECT_URI, client_secret=SECRET)


def left_over(thing: Any, path: str = "") -> Iterator[str]:
    """Where an answer has something that the SDK's models do not know; OData's own annotations apart."""
    from kiota_abstractions.serialization import Parsable

    if isinstance(thing, list | tuple):
        for each in thing:
            yield from left_over(each, f"{path}[]")
    elif isinstance(thing, Parsable):
        for field in dataclasses.fields(thing):  # not `vars`: some models keep their values in a store behind them
            value = getattr(thing, field.name)
            if field.name == "additional_data":
                yield from (f"{path}/{key}" for key in value if not key.startswith("@odata."))
            else:
                yield from left_over(value, f"{path}/{field.name}")


def parsed(body: Any, model: type[T]) -> T:
    """JSON as one of the SDK's models."""
    from kiota_abstractions.serialization import ParseNodeFactoryRegistry

    node = ParseNodeFactoryRegistry().get_root_parse_node("application/json", json.dumps(body).encode())
    return node.get_object_value(model)


def bulk(*ids: str) -> Any:
    from msgraph.generated.communications.get_presences_by_user_id.get_presences_by_user_id_post_request_body import (
        GetPresencesByUserIdPostRequestBody,
    )

    return GetPresencesByUserIdPostRequestBody(ids=list(ids))


def batch(**requests: Any) -> Any:
    """A batch: the id of each request -> what is asked."""
    from msgraph_core.requests.batch_request_content import BatchRequestContent
    from msgraph_core.requests.batch_request_item import BatchRequestItem

    content = BatchRequestContent()
    for name, information in requests.items():
        content.add_request(name, BatchRequestItem(information, id=name))
    return content


async def test_users_are_read_by_id_and_by_upn(microsoft: Cloud) -> None:
    async def work(client: GraphServiceClient) -> Any:
        by_upn = await client.users.by_user_id(ADA).get()
        return by_upn, await client.users.by_user_id(by_upn.id).get(), await client.me.get()

    by_upn, by_id, me = await by_sdk(work, await delegated())

    assert (by_upn.display_name, by_upn.user_principal_name) == ("Ada Adler", ADA)
    assert by_upn.id == by_id.id == microsoft.person(ADA).oid
    assert me.user_principal_name == RELAY
    assert list(left_over([by_upn, by_id, me])) == []


async def test_a_list_is_walked_page_by_page(microsoft: Cloud) -> None:
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.users.users_request_builder import UsersRequestBuilder
    from msgraph_core.tasks.page_iterator import PageIterator

    async def work(client: GraphServiceClient) -> Any:
        query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(top=4, select=["id", "displayName"])
        page = await client.users.get(RequestConfiguration(query_parameters=query))
        found: list[Any] = []
        iterator = PageIterator(page, client.request_adapter)
        await iterator.iterate(lambda user: found.append(user) or True)
        return page, found

    page, found = await by_sdk(work, await delegated())

    people = microsoft.person(ADA).tenant.people
    assert {user.id for user in found} == {person.oid for person in people.values()}
    assert len(found) == len(people)
    assert page.odata_next_link.startswith("https://graph.microsoft.com/v1.0/users?")
    assert len(microsoft.journal.search(path="/users")) == -(-len(people) // 4)
    assert list(left_over([page, found])) == []


async def test_presence_is_read_alone_and_in_bulk(microsoft: Cloud) -> None:
    ada, ben = microsoft.person(ADA), microsoft.person("ben@contoso.example")
    microsoft.act(ada, "call")
    microsoft.set_presence(ben, "Away", status_message="back soon", out_of_office=True, out_of_office_message="Sunday")

    async def work(client: GraphServiceClient) -> Any:
        return (
            await client.communications.presences.by_presence_id(ada.oid).get(),
            await client.users.by_user_id(ada.oid).presence.get(),
            await client.communications.get_presences_by_user_id.post(bulk(ada.oid, ben.oid)),
        )

    alone, of_user, many = await by_sdk(work, await delegated())

    assert (alone.availability, alone.activity) == ("Busy", "InACall")
    assert (of_user.id, of_user.activity) == (ada.oid, "InACall")
    assert [presence.id for presence in many.value] == [ada.oid, ben.oid]
    (told,) = (presence for presence in many.value if presence.id == ben.oid)
    assert told.status_message.message.content == "back soon"
    assert (told.out_of_office_settings.is_out_of_office, told.out_of_office_settings.message) == (True, "Sunday")
    assert list(left_over([alone, of_user, many])) == []


async def test_a_field_that_the_models_do_not_know_is_left_over(microsoft: Cloud) -> None:
    """Else the other tests would see nothing."""
    microsoft.set_switches(extra_fields=True)
    oid = microsoft.person(ADA).oid

    async def work(client: GraphServiceClient) -> Any:
        return await client.communications.get_presences_by_user_id.post(bulk(oid))

    many = await by_sdk(work, await delegated())

    assert list(left_over(many)) == ["/value[]/mood@emulator.unexpected"]
    assert many.value[0].work_location.work_location_type == "unspecified"


async def test_requests_are_sent_together(microsoft: Cloud) -> None:
    """Before its first request alone the SDK writes relative addresses, as they have to be."""
    from msgraph.generated.communications.get_presences_by_user_id.get_presences_by_user_id_post_response import (
        GetPresencesByUserIdPostResponse,
    )
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.models.presence import Presence
    from msgraph.generated.models.user import User

    oid = microsoft.person(ADA).oid

    async def work(client: GraphServiceClient) -> Any:
        presences = client.communications
        content = batch(
            user=client.users.by_user_id(ADA).to_get_request_information(),
            presence=presences.presences.by_presence_id(oid).to_get_request_information(),
            many=presences.get_presences_by_user_id.to_post_request_information(bulk(oid)),
            nobody=client.users.by_user_id("nobody@contoso.example").to_get_request_information(),
        )
        # The bodies are taken as they came: https://github.com/microsoft/kiota-python/issues/737
        sent = await client.batch.to_post_request_information(content)
        raw = await client.request_adapter.send_primitive_async(sent, "bytes", {})
        return await client.batch.post(content), json.loads(raw)

    answer, raw = await by_sdk(work, await delegated())

    assert answer.get_response_status_codes() == {"user": 200, "presence": 200, "many": 200, "nobody": 404}
    bodies = {part["id"]: part["body"] for part in raw["responses"]}
    user, presence = parsed(bodies["user"], User), parsed(bodies["presence"], Presence)
    many = parsed(bodies["many"], GetPresencesByUserIdPostResponse)
    assert bodies["user"]["@odata.context"] == "https://graph.microsoft.com/v1.0/$metadata#users/$entity"
    assert (user.user_principal_name, presence.id, many.value[0].id) == (ADA, oid, oid)
    assert list(left_over([user, presence, many, parsed(bodies["nobody"], ODataError).error])) == []


async def test_absolute_addresses_in_a_batch_are_refused_as_by_microsoft(microsoft: Cloud) -> None:
    """Which the SDK sends once it has made a request: https://github.com/microsoftgraph/msgraph-sdk-python/issues/1015"""

    async def work(client: GraphServiceClient) -> Any:
        await client.me.get()
        user = client.users.by_user_id(ADA)
        content = batch(absolute=user.to_get_request_information(), relative=user.to_get_request_information())
        item = content.requests["relative"]
        item.url = item.url.removeprefix("https://graph.microsoft.com/v1.0")  # as the issue advises
        return await client.batch.post(content)

    answer = await by_sdk(work, await delegated())

    assert answer.get_response_status_codes() == {"absolute": 400, "relative": 200}


async def test_a_throttled_read_is_repeated_by_the_sdks_own_handler(microsoft: Cloud) -> None:
    oid = microsoft.person(ADA).oid
    # A fault rather than the limit: whether two reads fall into one window of it is a matter of the machine's speed.
    microsoft.add_fault(
        Fault(path="/v1.0/communications/getPresencesByUserId", status=429, headers={"Retry-After": "1"}, count=1)
    )

    async def work(client: GraphServiceClient) -> Any:
        return [await client.communications.get_presences_by_user_id.post(bulk(oid)) for _ in range(2)]

    answers = await by_sdk(work, await delegated())

    assert [[each.id for each in answer.value] for answer in answers] == [[oid], [oid]]
    statuses = [entry.status for entry in microsoft.journal.search(path="getPresencesByUserId")]
    assert statuses == [429, 200, 200]


async def test_errors_are_the_sdks_own(microsoft: Cloud) -> None:
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError

    async def error_of(work: Awaitable[Any]) -> ODataError:
        with pytest.raises(ODataError) as caught:
            await work
        return caught.value

    async def work(client: GraphServiceClient) -> Any:
        presences = client.communications.presences
        return [
            await error_of(client.users.by_user_id("nobody@contoso.example").get()),
            await error_of(presences.by_presence_id("no-id").get()),
            await error_of(client.communications.get_presences_by_user_id.post(bulk())),
        ]

    errors = await by_sdk(work, await delegated())

    assert [error.response_status_code for error in errors] == [404, 400, 400]
    assert errors[0].error.code == "Request_ResourceNotFound"
    assert all(error.error.message and error.error.inner_error.request_id for error in errors)
    assert [list(left_over(error.error)) for error in errors] == [[], [], []]


class Handed:
    """The credential of somebody who was handed a token and does not look at it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)

    def close(self) -> None: ...


async def test_a_token_that_graph_does_not_take_is_a_401(microsoft: Cloud) -> None:
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError

    async def work(client: GraphServiceClient) -> Any:
        with pytest.raises(ODataError) as caught:
            await client.me.get()
        return caught.value

    refused = await by_sdk(work, Handed("eyJhbGciOiJub25lIn0.e30."))

    assert refused.response_status_code == 401
    assert refused.error.code == "InvalidAuthenticationToken"


async def test_a_claims_challenge_is_taken_to_entra(microsoft: Cloud) -> None:
    """The SDK asks for tokens with continuous access evaluation; a revoked session ends them at once."""

    async def work(client: GraphServiceClient) -> Any:
        before = await client.me.get()
        microsoft.directory.revoke(RELAY, "sessions_revoked")
        with pytest.raises(ClientAuthenticationError, match="AADSTS50173"):
            await client.me.get()
        return before

    before = await by_sdk(work, await delegated())

    assert before.user_principal_name == RELAY
    (refused,) = microsoft.journal.search(path="/me", status=401)
    assert "InteractionRequired" in refused.reason


async def test_the_application_itself_reads_presence(microsoft: Cloud) -> None:
    let_in(microsoft)
    oid = microsoft.person(ADA).oid

    async def work(client: GraphServiceClient) -> Any:
        return await client.communications.get_presences_by_user_id.post(bulk(oid))

    many = await by_sdk(work, ClientSecretCredential("contoso.example", CLIENT_ID, SECRET))

    assert [presence.id for presence in many.value] == [oid]
    assert list(left_over(many)) == []


@everywhere
async def test_an_american_tenant_is_read_in_its_own_cloud(microsoft: Cloud) -> None:
    let_in(microsoft, HOME["us_gov"])
    (person,) = microsoft.world.tenant(HOME["us_gov"]).people.values()

    async def work(client: GraphServiceClient) -> Any:
        return await client.communications.get_presences_by_user_id.post(bulk(person.oid))

    credential = ClientSecretCredential(HOME["us_gov"], CLIENT_ID, SECRET, authority="login.microsoftonline.us")
    many = await by_sdk(work, credential, graph="https://graph.microsoft.us")
    (told,) = many.value

    assert told.id == person.oid
    assert list(left_over(many)) == []


@pytest.mark.fault("F5")
async def test_a_delta_query_is_walked(microsoft: Cloud) -> None:
    async def work(client: GraphServiceClient) -> Any:
        first = await client.users.delta.get()
        microsoft.remove_person(ADA)
        return first, await client.users.delta.with_url(first.odata_delta_link).get()

    ada = microsoft.person(ADA)
    first, second = await by_sdk(work, await delegated())

    assert ada.oid in {user.id for user in first.value}
    assert [user.id for user in second.value] == [ada.oid]
    assert second.value[0].additional_data["@removed"] == {"reason": "changed"}
