"""A large tenant leaves the others of its worker their turn: no pass of the event loop is longer because it has more users.

Each test does the same for few and for many users. What a pass does is counted in calls, see `tests.support.passes`.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from relay.core.consent.tenant import TenantState
from relay.core.presence import Name, Observation, Status, TenantId, UserId
from relay.store.custody.tenants import Tenant
from relay.store.presence.leases import Leases
from relay.store.presence.values import DirectoryEntry
from relay.store.server import keys
from relay.wire.decode import decode
from relay.worker.reads.answers import AnswerBook
from tests.support.passes import watched_passes
from tests.support.waiting import eventually
from tests.worker.conftest import EDGE, SETTINGS, Relay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.passes import Passes

pytestmark = pytest.mark.long

FEW: Final = 2_000
MANY: Final = 6_000
"""More than the largest part of any work, and three times as many."""
MOST: Final = 1.5
"""How many times longer the longest pass may be with many users."""
TENANT: Final = TenantId("6b5f4a3e-1111-4222-8333-944445555666")


def people(count: int) -> dict[Name, UserId]:
    return {Name(f"p{n}@contoso.example"): UserId(f"00000000-0000-4000-8000-{n:012x}") for n in range(count)}


async def leave_behind(relay: Relay, everybody: Mapping[Name, UserId]) -> None:
    """Store what an earlier owner leaves: interest, names, and a presence of everybody."""
    leases = Leases(relay.store)
    lease = await leases.acquire(keys.partition_of(TENANT), "earlier", timedelta(minutes=1))
    assert lease is not None
    epoch = await relay.presences.renew_epoch(lease, [TENANT])
    later = datetime.now(UTC) + timedelta(hours=1)
    await relay.presences.name(lease, TENANT, {name: DirectoryEntry(user, later) for name, user in everybody.items()})
    answers = AnswerBook(TENANT, relay.presences)
    said = answers.judge_read([Observation(user, "Available", "Available") for user in everybody.values()])
    await answers.accept(lease, epoch, answers.next_order(lease), said.changed)
    await relay.interest.add(TENANT, EDGE, everybody)
    await leases.release(lease)


async def longest_pass_of_a_takeover(relay: Relay, count: int) -> Passes:
    """Watch a worker that takes a tenant over, finds that it has no consent, and tells everybody so."""
    everybody = people(count)
    await relay.tenants.put(Tenant(tenant_id=TENANT, state=TenantState.ACTIVE, created=datetime.now(UTC)))
    await leave_behind(relay, everybody)

    async def is_everybody_told() -> bool:
        stored = await relay.presences.load_some(TENANT, random.sample(list(everybody.values()), 20))
        return all(decode(found.item) is Status.CONSENT_REQUIRED for found in stored.values())

    with watched_passes() as passes:
        async with relay.working(worker_id=f"worker-{count}"):
            await eventually(is_everybody_told, timeout=120)
    return passes


async def test_no_pass_of_a_takeover_is_longer_for_more_users(relay: Relay) -> None:
    few, many = [await longest_pass_of_a_takeover(relay, count) for count in (FEW, MANY)]
    assert many.longest <= MOST * few.longest, many.functions


async def test_answers_of_one_tenant_that_arrive_together_are_taken_in_by_a_pass_each(relay: Relay) -> None:
    tenant = await relay.onboard()
    people = [person.upn for person in relay.microsoft.world.people() if person.upn.endswith("contoso.example")][:6]
    relay.microsoft.set_switches(graph_latency_ms=300)  # they begin together, so they end together
    with watched_passes() as passes:
        async with relay.working(settings=replace(SETTINGS, page_size=1)):
            await relay.watch(tenant, *people)
            for person in people:
                await eventually(lambda person=person: relay.answer(tenant, person))
    assert passes.most["Acceptance.present"] == 1, (
        "a page without news takes no turn, so calls of `judge_read` say nothing"
    )
