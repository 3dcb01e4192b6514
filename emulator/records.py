"""A world as a file: for `--world FILE` and for the state that is kept between runs."""

from __future__ import annotations

import msgspec

from emulator.entra.refusals import DEATHS
from emulator.hosts import CloudName
from emulator.plan import VISITS
from emulator.world import Application, ConsentRequest, Person, Tenant, UserConsent, World


class PersonRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One person in the file."""

    oid: str
    upn: str
    name: str
    password: str = ""
    role: str = "user"
    licensed: bool = True
    enabled: bool = True
    refusal: str = ""
    tokens_valid_from: float = 0.0
    cookies_valid_from: float = 0.0
    home: str = ""
    mfa: bool = False
    visits: str = ""
    """A name of `plan.VISITS`: instead of living a day, the person repeatedly comes, does this and switches off."""
    groups: list[str] = []
    utc_offset_s: int = 0
    """Offset of the person's clock from UTC."""


class ConsentRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A consent: the permissions of an application, for one person or (`*`) for the whole tenant."""

    client_id: str
    person: str
    scopes: list[str]


class ConsentRequestRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request for an administrator's approval."""

    client_id: str
    oid: str
    scopes: list[str]
    reason: str = ""


class TenantRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One tenant with its people."""

    tenant_id: str
    domain: str
    name: str
    people: list[PersonRecord] = []
    consents: list[ConsentRecord] = []
    admin_consent_only: bool = False
    """In older files: the same as `user_consent` off."""
    cloud: CloudName = "global"
    user_consent: UserConsent = "allowed"
    mfa_required: bool = False
    app_consents: dict[str, list[str]] = {}
    consent_requests: list[ConsentRequestRecord] = []
    assignments: dict[str, list[str]] = {}
    given_roles: dict[str, dict[str, list[str]]] = {}
    refusal: str = ""
    app_refusals: dict[str, str] = {}


class ApplicationRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One app registration in the file."""

    client_id: str
    name: str
    publisher: str = ""
    verified: bool = False
    redirect_uris: list[str] = []
    secrets: list[str] = []
    certificates: list[str] = []
    scopes: list[str] = []
    app_roles: list[str] = []
    access_token_version: int = 2
    refusal: str = ""
    public: bool = False
    id_tokens: bool = False
    groups_claim: bool = False
    access_tokens: bool = False


class WorldRecord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole world in the file."""

    tenants: list[TenantRecord] = []
    applications: list[ApplicationRecord] = []


def from_record(record: WorldRecord) -> World:
    """Build the world that a record describes.

    Raises:
        ValueError: two people of a tenant share a UPN or an object id.
    """
    world = World()
    for tenant in record.tenants:
        world.add_tenant(_tenant(tenant))
    for application in record.applications:
        world.add_application(Application(**msgspec.structs.asdict(application)))
    return world


def to_record(world: World) -> WorldRecord:
    """Return a world as its file form."""
    return WorldRecord(
        tenants=[_tenant_record(tenant) for tenant in world.tenants.values()],
        applications=[application_record(application) for application in world.applications.values()],
    )


def application_record(application: Application) -> ApplicationRecord:
    """Return an application as its file form."""
    return msgspec.convert(application, ApplicationRecord, from_attributes=True)


def _tenant(record: TenantRecord) -> Tenant:
    tenant = Tenant(
        tenant_id=record.tenant_id,
        domain=record.domain,
        name=record.name,
        cloud=record.cloud,
        user_consent="off" if record.admin_consent_only else record.user_consent,
        mfa_required=record.mfa_required,
        app_consents={client_id: set(roles) for client_id, roles in record.app_consents.items()},
        consent_requests=[
            ConsentRequest(client_id=each.client_id, oid=each.oid, scopes=set(each.scopes), reason=each.reason)
            for each in record.consent_requests
        ],
        assignments={client_id: set(oids) for client_id, oids in record.assignments.items()},
        given_roles={
            client_id: {oid: set(roles) for oid, roles in given.items()}
            for client_id, given in record.given_roles.items()
        },
        refusal=record.refusal,
        app_refusals=dict(record.app_refusals),
    )
    for each in record.people:
        tenant.add(_person(tenant, each))
    for consent in record.consents:
        tenant.consents[consent.client_id, consent.person] = set(consent.scopes)
    return tenant


def _person(tenant: Tenant, record: PersonRecord) -> Person:
    person = Person(
        tenant,
        record.oid,
        record.upn,
        record.name,
        password=record.password,
        role=record.role,
        licensed=record.licensed,
        home=record.home,
        mfa=record.mfa,
        visits=record.visits if record.visits in VISITS else "",
    )
    person.zone_s, person.groups = record.utc_offset_s, list(record.groups)
    person.enabled, person.refusal = record.enabled, record.refusal if record.refusal in DEATHS else ""
    person.tokens_valid_from, person.cookies_valid_from = record.tokens_valid_from, record.cookies_valid_from
    return person


def _tenant_record(tenant: Tenant) -> TenantRecord:
    return TenantRecord(
        tenant_id=tenant.tenant_id,
        domain=tenant.domain,
        name=tenant.name,
        cloud=tenant.cloud,
        user_consent=tenant.user_consent,
        mfa_required=tenant.mfa_required,
        app_consents={client_id: sorted(roles) for client_id, roles in tenant.app_consents.items()},
        consent_requests=[
            ConsentRequestRecord(client_id=each.client_id, oid=each.oid, scopes=sorted(each.scopes), reason=each.reason)
            for each in tenant.consent_requests
        ],
        assignments={client_id: sorted(oids) for client_id, oids in tenant.assignments.items()},
        given_roles={
            client_id: {oid: sorted(roles) for oid, roles in given.items()}
            for client_id, given in tenant.given_roles.items()
        },
        refusal=tenant.refusal,
        app_refusals=dict(tenant.app_refusals),
        people=[_person_record(person) for person in tenant.people.values()],
        consents=[
            ConsentRecord(client_id=client_id, person=person, scopes=sorted(scopes))
            for (client_id, person), scopes in tenant.consents.items()
        ],
    )


def _person_record(person: Person) -> PersonRecord:
    return PersonRecord(
        oid=person.oid, upn=person.upn, name=person.display_name, password=person.password, role=person.role,
        licensed=person.licensed, enabled=person.enabled, refusal=person.refusal,
        tokens_valid_from=person.tokens_valid_from, cookies_valid_from=person.cookies_valid_from, home=person.home,
        mfa=person.mfa, visits=person.visits, groups=list(person.groups), utc_offset_s=person.zone_s,
    )  # fmt: skip
