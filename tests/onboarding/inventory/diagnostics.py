"""Diagnostics: what a worker would have left in Redis is put there, so that every picture is the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relay.core.names import normalise
from relay.core.presence import Name, Presence, Source, Status, UserId
from relay.core.reading.ordering import Order
from relay.core.showing.mapping import map_presence
from relay.diagnosis import minute
from relay.http.paths import TENANT
from relay.store.presence.entries import TenantContact
from relay.store.presence.interest import Interest
from relay.store.presence.leases import Lease, Leases
from relay.store.presence.presences import Presences
from relay.store.presence.values import DirectoryEntry, Observed
from relay.store.server import keys
from relay.wire.encode import encode_presence, encode_status
from tests.onboarding.inventory import Visit, row
from tests.onboarding.site import Site

DIAGNOSTICS = f"{TENANT}/diagnostics"
SHOWN = {
    "ada@contoso.example": ("Available", "Available"),
    "ben@contoso.example": ("Busy", "InACall"),
    "chloe@contoso.example": ("DoNotDisturb", "Presenting"),
    "dan@contoso.example": ("AvailableIdle", "Inactive"),
    "eve@contoso.example": ("Offline", "Offline"),
    "a-very-long-name.of-somebody.who-is-shown-in-full@a-long-subdomain.contoso.example": ("Away", "Away"),
    "fay@contoso.example": Status.NOT_REPORTED,
    "gil@contoso.example": Status.NOT_PERMITTED,
    "hal@contoso.example": Status.STALE,
}
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def user(number: int) -> UserId:
    return UserId(f"99999999-0000-4000-8000-{number:012d}")


async def lease_of(site: Site) -> Lease:
    lease = await Leases(site.store).acquire(keys.partition_of(site.tenant_id()), "worker", timedelta(minutes=5))
    assert lease is not None
    return lease


async def populate(site: Site, status: Status = Status.NONE, more: int = 0) -> Lease:
    """Suites watch, and a worker has read."""
    tenant, presences, lease = site.tenant_id(), Presences(site.store), await lease_of(site)
    shown = {**SHOWN, **{f"user{n:06d}@contoso.example": ("Available", "Available") for n in range(more)}}
    meanings: dict[Name, DirectoryEntry] = {}
    answers: list[Observed] = []
    for number, (upn, given) in enumerate(shown.items()):
        meanings[Name(upn)] = DirectoryEntry(user(number), FAR)
        item = (
            encode_status(user(number), given)
            if isinstance(given, Status)
            else encode_presence(presence(user(number), upn, *given))
        )
        answers.append(Observed(user(number), item, Order(lease.fence, 1)))
    nobody = Name("nobody@contoso.example")
    await presences.name(lease, tenant, {**meanings, nobody: DirectoryEntry(Status.NOT_FOUND, FAR)})
    await presences.accept(lease, tenant, answers)
    await Interest(site.store).add(tenant, "edge-1", [*meanings, nobody, Name("new@contoso.example")])
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    await presences.contact(lease, [TenantContact(tenant, now_ms, 5000, status)])
    return lease


def presence(user_id: UserId, upn: str, availability: str, activity: str) -> Presence:
    mapped = map_presence(availability, activity)
    now = datetime.now(UTC)
    return Presence(
        user_id=user_id,
        upn=upn,
        availability=mapped.availability,
        raw_availability=availability,
        raw_activity=activity,
        idle=mapped.idle,
        idle_time=now if mapped.idle else None,
        console_status=mapped.console_status,
        status_message=None,
        out_of_office=None,
        observe_time=now,
        source=Source.NOTIFICATION if activity == "InACall" else Source.POLL,
        sequence_number="",
    )


async def enter(visit: Visit) -> None:
    await visit.grant()
    await visit.person.enter_at_once()


@row("tenant/diagnostics", "nobody-watched")
async def _(visit: Visit) -> None:
    await enter(visit)
    await visit.show(DIAGNOSTICS)


@row("tenant/diagnostics", "everything")
async def _(visit: Visit) -> None:
    await enter(visit)
    await populate(visit.site)
    await visit.show(DIAGNOSTICS)


@row("tenant/diagnostics", "filtered-and-in-trouble")
async def _(visit: Visit) -> None:
    await enter(visit)
    await populate(visit.site, Status.THROTTLED)
    await visit.show(f"{DIAGNOSTICS}?q=contoso&state=error")


@row("tenant/diagnostics", "very-many")
async def _(visit: Visit) -> None:
    await enter(visit)
    await populate(visit.site, more=1000)
    await visit.show(f"{DIAGNOSTICS}?q=user0000&state=nonsense")


@row("tenant/user", "present-without-a-worker")
async def _(visit: Visit) -> None:
    await enter(visit)
    await populate(visit.site)
    await visit.show(f"{TENANT}/users/{user(1)}")


@row("tenant/user", "not-permitted")
async def _(visit: Visit) -> None:
    await enter(visit)
    await populate(visit.site)
    await visit.show(f"{TENANT}/users?name=gil@contoso.example")


@row("tenant/user", "not-requested")
async def _(visit: Visit) -> None:
    await enter(visit)
    await populate(visit.site)
    await visit.show(f"{TENANT}/users?name=zoe@contoso.example")


@row("tenant/user", "too-many-from-here")
async def _(visit: Visit) -> None:
    await enter(visit)
    for number in range(minute.MOST_AT_ONCE):
        name = normalise(f"user{number}@contoso.example")
        assert name is not None
        await minute.watch(visit.site.store, visit.site.tenant_id(), name)
    await visit.show(DIAGNOSTICS)
    await visit.page.fill("#watch-name", "ada@contoso.example")
    await visit.page.click("#watch button")
    await visit.page.wait_for_selector("#notice-title")
