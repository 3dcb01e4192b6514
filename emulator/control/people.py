"""Operations on people: list them, let them act, and set the presence that others see."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from emulator.control.operation import Area, Body, ControlRequest, Name, Text
from emulator.presence import spell
from emulator.sessions import teams_icon

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulator.cloud import Cloud
    from emulator.world import Person

area = Area("people", "People, their actions, and the presence that others see.")

MOST_AT_ONCE = 1000


class Presence(Body):
    """The presence that others see; omitted fields do not change."""

    availability: Name | None = None
    activity: Name | None = None
    status_message: Text | None = None
    out_of_office: bool | None = None
    out_of_office_message: Text | None = None
    sequence_number: Name | None = None


class Act(Body):
    """One action of a person."""

    action: Name
    """`GET /_emulator/` lists them; `live` returns to the day."""
    device: Name = ""
    """`desktop` or `mobile`; for `switch_off` also `all`."""
    text: Text = ""
    """A message, or the state of an application's session."""
    for_s: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] | None = None
    """The world's seconds after which it ends automatically, for actions that can end."""


class NewPerson(Body):
    """A person who joins a tenant."""

    tenant: Name
    upn: Name
    oid: Name
    name: Name = ""
    password: Name = ""
    role: Name = "user"
    licensed: bool = True


class Rename(Body):
    """The new UPN of a person."""

    upn: Name


class PeopleSearch(Body):
    """The people to list, and the page of the list."""

    tenant: Name = ""
    """Tenant id or domain; empty: all tenants."""
    search: Name = ""
    """Part of a name or UPN, case-insensitive."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_AT_ONCE)] = MOST_AT_ONCE
    offset: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    since: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of these, only those who changed after the `change` of an earlier answer."""


class PersonDetails(msgspec.Struct, kw_only=True):
    """A person in an answer: the presence that others see, and the devices and settings behind it."""

    id: str
    upn: str
    name: str
    tenant: str
    availability: str
    activity: str
    look: str
    """Teams' icon, independent of the spelling: available, busy, dnd, away, offline, out_of_office or unknown."""
    sequence_number: str
    status_message: str
    out_of_office: bool
    out_of_office_message: str
    desktop: str
    """Empty when it is off, else active, idle or locked."""
    mobile: bool
    doing: str
    preferred: str
    app_session: str
    licensed: bool
    enabled: bool
    refusal: str
    living: bool
    utc_offset_s: int
    change: int


class PeoplePage(msgspec.Struct, kw_only=True):
    """A page of people. `total`: the number of people over all pages; for a search, only those found so far."""

    people: list[PersonDetails]
    total: int
    change: int


@area.operation("GET", "people", query=PeopleSearch, answer=PeoplePage)
def list_people(cloud: Cloud, asked: ControlRequest) -> PeoplePage:
    """List people: of a tenant or of all, a page of them, or only the people of the page who changed since an earlier answer."""
    which: PeopleSearch = asked.query
    change = cloud.life.changes
    chosen = _chosen(cloud, which)
    people: Iterable[Person]
    if which.search:
        word = which.search.lower()
        found = [each for each in chosen if word in each.upn.lower() or word in each.display_name.lower()]
        people, total = found[which.offset : which.offset + which.limit], len(found)
    else:
        people = islice(chosen, which.offset, which.offset + which.limit)
        tenant = cloud.world.tenant(which.tenant) if which.tenant else None
        total = len(tenant.people) if tenant is not None else sum(len(t.people) for t in cloud.world.tenants.values())
    return PeoplePage(
        people=[shown(cloud, each) for each in people if each.changed > which.since or not which.since],
        total=total,
        change=change,
    )


def _chosen(cloud: Cloud, which: PeopleSearch) -> Iterable[Person]:
    if not which.tenant:
        return cloud.world.people()
    tenant = cloud.world.tenant(which.tenant)
    if tenant is None:
        raise LookupError(f"there is no tenant {which.tenant}")
    return tenant.people.values()


@area.operation("POST", "people", body=NewPerson, answer=PersonDetails)
def add_person(cloud: Cloud, asked: ControlRequest) -> PersonDetails:
    """Add a person to a tenant."""
    body: NewPerson = asked.body
    return shown(cloud, cloud.add_person(
        body.tenant, body.oid, body.upn, body.name or body.upn, password=body.password, role=body.role,
        licensed=body.licensed,
    ))  # fmt: skip


@area.operation("GET", "people/{who}", answer=PersonDetails)
def get_person(cloud: Cloud, asked: ControlRequest) -> PersonDetails:
    """Show one person, by UPN or object id."""
    return shown(cloud, cloud.person(asked.where["who"]))


@area.operation("PUT", "people/{who}", body=Rename, answer=PersonDetails)
def rename_person(cloud: Cloud, asked: ControlRequest) -> PersonDetails:
    """Change the UPN of a person."""
    return shown(cloud, cloud.rename_person(asked.where["who"], asked.body.upn))


@area.operation("DELETE", "people/{who}")
def remove_person(cloud: Cloud, asked: ControlRequest) -> None:
    """Delete a person: the id becomes unknown, and grants of the account become invalid."""
    cloud.remove_person(asked.where["who"])


@area.operation("GET", "people/{who}/presence", answer=PersonDetails)
def get_presence(cloud: Cloud, asked: ControlRequest) -> PersonDetails:
    """Show one person; the same as without `/presence`."""
    return shown(cloud, cloud.person(asked.where["who"]))


@area.operation("PUT", "people/{who}/presence", body=Presence, answer=PersonDetails)
def set_presence(cloud: Cloud, asked: ControlRequest) -> PersonDetails:
    """Show exactly this presence until the person does something."""
    return shown(cloud, cloud.set_presence(asked.where["who"], **msgspec.structs.asdict(asked.body)))


@area.operation("POST", "people/{who}/actions", body=Act, answer=PersonDetails)
def act(cloud: Cloud, asked: ControlRequest) -> PersonDetails:
    """Let a person do an action and stop living the day; `live` returns to the day."""
    who, body = asked.where["who"], asked.body
    if body.action == "live":
        cloud.live(who)
        return shown(cloud, cloud.person(who))
    return shown(cloud, cloud.act(who, body.action, device=body.device, text=body.text, for_s=body.for_s))


def shown(cloud: Cloud, person: Person) -> PersonDetails:
    """Return the details of a person for an answer."""
    seen = spell(person.shown, cloud.switches)
    session: Any = person.app_session
    return PersonDetails(
        id=person.oid, upn=person.upn, name=person.display_name, tenant=person.tenant.tenant_id,
        availability=seen.availability, activity=seen.activity, look=teams_icon(person), sequence_number=person.sequence,
        status_message=person.status_message, out_of_office=person.out_of_office,
        out_of_office_message=person.out_of_office_message, desktop=person.desktop, mobile=person.mobile,
        doing=person.doing, preferred=person.preferred, app_session="/".join(session) if session else "",
        licensed=person.licensed, enabled=person.enabled, refusal=person.refusal, living=person.living,
        utc_offset_s=person.zone_s, change=person.changed,
    )  # fmt: skip
