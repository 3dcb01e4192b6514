"""When a tenant's push status is stored."""

from __future__ import annotations

import pytest

from relay.errors import StoreUnavailable
from relay.store.presence.push import PushStatus
from relay.worker.push.book import SubscriptionBook
from relay.worker.push.status import PushStatusWriter


async def test_a_status_is_stored_when_it_has_changed():
    stored: list[PushStatus] = []

    async def put(status: PushStatus) -> None:
        stored.append(status)

    writer = PushStatusWriter(put, SubscriptionBook())
    for pushed in (1, 1, 2):
        await writer.write(pushed=pushed, polled=0)
    assert [one.pushed for one in stored] == [1, 2]


async def test_a_store_that_loses_its_data_while_a_status_is_stored_is_given_it_again():
    stored: list[PushStatus] = []

    async def put(status: PushStatus) -> None:
        stored.append(status)
        if len(stored) == 1:
            writer.forget()

    writer = PushStatusWriter(put, SubscriptionBook())
    for _ in range(3):
        await writer.write(pushed=1, polled=0)
    assert len(stored) == 2


async def test_a_status_that_could_not_be_stored_is_stored_the_next_time():
    asked = 0

    async def put(_: PushStatus) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("away")

    writer = PushStatusWriter(put, SubscriptionBook())
    with pytest.raises(StoreUnavailable):
        await writer.write(pushed=1, polled=0)
    for _ in range(2):
        await writer.write(pushed=1, polled=0)
    assert asked == 2
