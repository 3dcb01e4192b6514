"""Graph's limits: windows, resource units, what a 429 says, what counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from emulator import Switches
from emulator.graph.errors import GraphError
from emulator.graph.throttle import Throttle
from tests.emulator.driver import RELAY, bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from emulator import Cloud

BULK = "/v1.0/communications/getPresencesByUserId"
ADA = "ada@contoso.example"


class Hands:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def waits(count: Callable[[], Any]) -> int | None:
    """What a request has to wait; None: it was taken."""
    try:
        count()
    except GraphError as error:
        return error.retry_after_s
    return None


@pytest.mark.parametrize(("window", "after_s", "taken"), [("fixed", 16, 3), ("sliding", 16, 1)])
def test_a_window_ends_whole_or_goes_along(window: Any, after_s: float, taken: int) -> None:
    """One request at first and two 15 s later fill a limit of 3; when 31 s are over, the first alone is forgotten."""
    hands = Hands()
    throttle = Throttle(
        lambda: Switches(presence_limit=3, presence_window=window, throttled_requests_count=False), hands
    )

    def count() -> None:
        throttle.count_presence("app", "tenant")

    assert waits(count) is None
    hands.now += 15
    assert [waits(count), waits(count)] == [None, None]
    assert waits(count) == 15
    hands.now += after_s
    assert [waits(count) is None for _ in range(4)] == [True] * taken + [False] * (4 - taken)


@pytest.mark.parametrize(("counts", "expected"), [(True, [False, False]), (False, [False, True])])
def test_requests_that_are_refused_may_count_as_well(counts: bool, expected: list[bool]) -> None:
    """Of two requests in two seconds, the limit being one: the second is refused, and so is a third 0.9 windows later."""
    hands = Hands()
    throttle = Throttle(
        lambda: Switches(presence_limit=1, presence_window="sliding", throttled_requests_count=counts), hands
    )

    def taken() -> bool:
        return waits(lambda: throttle.count_presence("app", "tenant")) is None

    assert taken()
    hands.now += 2
    found = [taken()]
    hands.now += 29
    assert [*found, taken()] == expected


@pytest.mark.parametrize(("people", "units"), [(49, 3_500), (50, 5_000), (500, 5_000), (501, 8_000)])
def test_larger_tenants_have_more_resource_units(people: int, units: int) -> None:
    throttle = Throttle(lambda: Switches(throttled_requests_count=False), Hands())

    assert waits(lambda: throttle.count_units("app", "tenant", units, people)) is None
    assert waits(lambda: throttle.count_units("app", "tenant", 1, people)) == 1
    assert waits(lambda: throttle.count_units("app", "other", 1, people)) is None


def test_resource_units_come_back_steadily_and_a_share_above_four_fifths_is_told() -> None:
    hands = Hands()
    throttle = Throttle(lambda: Switches(resource_units=100), hands)

    def percentage(cost: int) -> bytes | None:
        return dict(throttle.count_units("app", "tenant", cost, 10)).get(b"x-ms-throttle-limit-percentage")

    assert [percentage(80), percentage(10)] == [None, b"0.9"]
    hands.now += 5
    assert percentage(1) is None


def test_an_application_has_units_for_all_its_tenants_together() -> None:
    throttle = Throttle(Switches, Hands())
    for number in range(18):
        throttle.count_units("app", f"tenant{number}", 8_000, 1_000)

    with pytest.raises(GraphError) as refused:
        throttle.count_units("app", "another", 8_000, 1_000)
    assert dict(refused.value.headers)[b"x-ms-throttle-scope"] == b"Application/ReadWrite/app/app"


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("GET", "users", 2),
        ("GET", "users?$select=id", 1),
        ("GET", "users?$top=19", 1),
        ("GET", "users?$top=20", 2),
        ("GET", "users?$select=id&$top=1", 1),
        ("GET", f"users/{ADA}", 1),
        ("GET", "users/nobody@contoso.example", 1),
        ("POST", "directoryObjects/getByIds", 3),
    ],
)
async def test_a_call_of_the_directory_says_what_it_costs(
    cloud: Cloud, client: httpx.AsyncClient, method: str, path: str, cost: int
) -> None:
    headers = bearer(cloud) | {"x-ms-throttle-priority": "high"}
    answer = await client.request(
        method, f"/v1.0/{path}", headers=headers, json={"ids": []} if method == "POST" else None
    )

    assert answer.headers["x-ms-resource-unit"] == str(cost)


async def test_a_directory_that_is_used_up_says_whose_units_are(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(resource_units=2)
    ada = cloud.person(ADA)
    answers = [await client.get("/v1.0/users", headers=bearer(cloud)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0].headers["x-ms-throttle-limit-percentage"] == "1"
    assert answers[1].headers["x-ms-throttle-scope"].endswith(f"/{ada.tenant.tenant_id}")
    assert answers[1].headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    assert int(answers[1].headers["retry-after"]) >= 1
    assert (await client.post(BULK, json={"ids": [ada.oid]}, headers=bearer(cloud))).status_code == 200


async def test_all_requests_of_an_application_have_one_limit(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(global_limit=2)
    ada, mia = bearer(cloud, ADA, "User.Read"), bearer(cloud, "mia@fabrikam.example", "User.Read")

    statuses = [(await client.get("/v1.0/me", headers=header)).status_code for header in (ada, mia, mia)]

    assert statuses == [200, 200, 429]


async def test_a_429_may_not_say_when_to_come_back(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(presence_limit=0, retry_after=False)

    answer = await client.post(BULK, json={"ids": [cloud.person(ADA).oid]}, headers=bearer(cloud))

    assert answer.status_code == 429
    assert "retry-after" not in answer.headers


async def test_a_reset_forgets_all_counts(cloud: Cloud, client: httpx.AsyncClient) -> None:
    cloud.set_switches(presence_limit=0, resource_units=1)
    header = bearer(cloud, RELAY, "User.Read")
    assert [(await client.get("/v1.0/me", headers=header)).status_code for _ in range(3)][-1] == 429

    cloud.reset()

    assert (await client.get("/v1.0/me", headers=header)).status_code == 200
