"""Whom a refused page is refused for, and how many requests it takes to know."""

from __future__ import annotations

import pytest

from emulator import Cloud, Fault
from relay.core.presence import Status, UserId
from relay.core.reading.sizes import PageSize
from relay.errors import AccessDenied, RequestRefused, SourceUnreachable
from relay.graph.client import GraphClient
from relay.graph.presence.presences import PATH
from relay.worker.reads import poller
from tests.graph.conftest import Tokens, client, cloud, settings, tokens

__all__ = ["client", "cloud", "settings", "tokens"]

USERS = [UserId(f"99999999-0000-4000-8000-{number:012}") for number in range(650)]


@pytest.fixture
def page(cloud: Cloud) -> list[UserId]:
    tenant = cloud.person("ada@contoso.example").tenant.tenant_id
    for user in USERS:
        cloud.add_person(tenant, user, f"{user}@contoso.example", "Somebody")
    return USERS


async def _at_once() -> None:
    pass


async def _paid(_users: int) -> None:
    pass


def _requests(cloud: Cloud) -> int:
    return sum(line.path == PATH for line in cloud.journal.search(limit=1000))


@pytest.mark.fault("B5", "B7")
@pytest.mark.parametrize("was_well", [True, False])
@pytest.mark.parametrize(("status", "means"), [(400, Status.NOT_REPORTED), (403, Status.ACCESS_DENIED)])
async def test_one_bad_id_among_650_is_found(
    cloud: Cloud, client: GraphClient, tokens: Tokens, page: list[UserId], was_well: bool, status: int, means: Status
):
    bad = page[137]
    cloud.add_fault(Fault(path=PATH, in_body=bad, status=status))
    found = await poller.read(client, tokens, page, None, _paid, lambda _: was_well, _at_once)
    assert found.refused == {bad: means}
    assert {observation.user_id for observation in found.observations} == set(page) - {bad}
    assert (found.unanswered, found.trouble) == ([], None)
    assert _requests(cloud) <= 56


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("status", "error"), [(400, RequestRefused), (403, AccessDenied), (418, RequestRefused), (500, SourceUnreachable)]
)
async def test_a_page_that_is_refused_whoever_is_asked_for_takes_three_requests(
    cloud: Cloud, client: GraphClient, tokens: Tokens, page: list[UserId], status: int, error: type[Exception]
):
    cloud.add_fault(Fault(path=PATH, status=status))
    with pytest.raises(error):
        await poller.read(client, tokens, page, None, _paid, lambda _: True, _at_once, is_stubborn=True)
    assert _requests(cloud) == 3


@pytest.mark.long
@pytest.mark.fault("B7")
async def test_looking_for_many_bad_ids_is_bounded_and_goes_on_with_the_next_read(
    cloud: Cloud, client: GraphClient, tokens: Tokens, page: list[UserId]
):
    bad = set(page[::20])
    for user in bad:
        cloud.add_fault(Fault(path=PATH, in_body=user, status=404))
    refused: set[UserId] = set()
    left, reads = page, 0
    while left:
        before, reads = _requests(cloud), reads + 1
        found = await poller.read(client, tokens, left, None, _paid, lambda user: user not in bad, _at_once)
        assert _requests(cloud) - before <= poller.MOST_REQUESTS + 3
        refused |= found.refused.keys()
        left = found.unanswered
    assert refused == bad
    assert reads <= 12


@pytest.mark.fault("B7")
async def test_a_page_that_is_refused_only_for_its_size_is_not_taken_apart_again_with_each_read(
    cloud: Cloud, client: GraphClient, tokens: Tokens, page: list[UserId]
):
    size, now, requests = PageSize(), 0.0, []
    for _ in range(6):
        cloud.faults.remove()
        most = size.most(now)
        if most is None or most > 300:  # more than 300 users are refused
            cloud.add_fault(Fault(path=PATH, status=413, count=1))
        before = _requests(cloud)
        found = await poller.read(client, tokens, page, None, _paid, lambda _: True, _at_once, most=most)
        assert {observation.user_id for observation in found.observations} == set(page)
        assert found.refused == {}
        if found.too_many:
            size.refused(found.too_many, found.at_once, now)
        else:
            size.answered(found.at_once)
        requests.append(_requests(cloud) - before)
    assert sum(requests) < len(requests) / 2 * requests[0]
    assert requests[-1] <= 4
    assert size.most(now + 1) is not None
    assert size.most(now + 601) is None
