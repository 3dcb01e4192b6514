"""Operations on tenants' policies, requests for approval, second factors, and the keys that sign tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from emulator.control.operation import Area, Body, ControlRequest, Few, Name
from emulator.entra.directory import KEY_OVERLAP_S
from emulator.world import UserConsent

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.world import Tenant

area = Area("directory", "Tenants' policies, requests for approval, second factors, and the keys that sign tokens.")


class Policies(Body):
    """A tenant's policies; omitted fields do not change."""

    user_consent: UserConsent | None = None
    mfa_required: bool | None = None


class TenantRefusal(Body):
    """The refusal that a tenant's people get instead of tokens; an empty kind ends it."""

    kind: Name = ""


class AppRefusal(Body):
    """The refusal of an application in one tenant; an empty kind ends it."""

    client_id: Name
    kind: Name = ""


class Assignment(Body):
    """The people who may use an application; null: all."""

    client_id: Name
    people: Few | None = None


class AppConsent(Body):
    """Application permissions, given by an administrator."""

    client_id: Name
    roles: Few


class Decision(Body):
    """An administrator's answer to all requests of a tenant for one application."""

    tenant: Name
    client_id: Name
    approve: bool = True


class SecondFactor(Body):
    """The registration of a second factor."""

    registered: bool = True


class GivenRoles(Body):
    """The app roles of an application that a person has; an empty list removes all."""

    client_id: Name
    roles: Few


class Groups(Body):
    """The groups of a person, by their object ids."""

    groups: Few


class Rotation(Body):
    """The time that the former key stays published, in the world's seconds."""

    overlap_s: Annotated[float, msgspec.Meta(ge=0, le=31_536_000)] = KEY_OVERLAP_S


class TenantDetails(msgspec.Struct, kw_only=True):
    """A tenant's policies, refusals, assignments and application permissions."""

    id: str
    domain: str
    name: str
    user_consent: UserConsent
    mfa_required: bool
    refusal: str
    app_refusals: dict[str, str]
    assignments: dict[str, list[str]]
    """Client id -> object ids."""
    app_consents: dict[str, list[str]]
    """Client id -> application permissions."""


class ConsentRequested(msgspec.Struct, kw_only=True):
    """One request for approval; `person` is an object id."""

    tenant: str
    client_id: str
    person: str
    scopes: list[str]
    reason: str
    upn: str


class ConsentRequests(msgspec.Struct):
    """The requests for approval that no administrator has answered."""

    requests: list[ConsentRequested]


class SecondFactorDetails(msgspec.Struct, kw_only=True):
    """A person's second factor and its code."""

    upn: str
    registered: bool
    code: str


class Keys(msgspec.Struct):
    """The names of the published keys; the first one signs."""

    kids: list[str]


@area.operation("GET", "tenants/{tenant}", answer=TenantDetails)
def get_tenant(cloud: Cloud, asked: ControlRequest) -> TenantDetails:
    """Show a tenant's policies and refusals."""
    return _shown(cloud.directory.set_policies(asked.where["tenant"]))


@area.operation("PUT", "tenants/{tenant}/policies", body=Policies, answer=TenantDetails)
def set_policies(cloud: Cloud, asked: ControlRequest) -> TenantDetails:
    """Set whether users may consent, and whether all people need a second factor."""
    return _shown(cloud.directory.set_policies(asked.where["tenant"], **msgspec.structs.asdict(asked.body)))


@area.operation("POST", "tenants/{tenant}/refuse", body=TenantRefusal)
def refuse_tenant(cloud: Cloud, asked: ControlRequest) -> None:
    """Refuse tokens to a tenant's people, or stop refusing with an empty `kind`."""
    cloud.directory.refuse_tenant(asked.where["tenant"], asked.body.kind)


@area.operation("POST", "tenants/{tenant}/refuse_application", body=AppRefusal)
def refuse_app(cloud: Cloud, asked: ControlRequest) -> None:
    """Refuse an application in one tenant: remove it, disable it, or stop refusing it with an empty `kind`."""
    cloud.directory.refuse_application(asked.body.client_id, asked.body.kind, asked.where["tenant"])


@area.operation("PUT", "tenants/{tenant}/assignments", body=Assignment)
def assign(cloud: Cloud, asked: ControlRequest) -> None:
    """Require assignment to an application, and assign people to it."""
    cloud.directory.assign(asked.where["tenant"], asked.body.client_id, asked.body.people)


@area.operation("POST", "tenants/{tenant}/app_consents", body=AppConsent)
def consent_app(cloud: Cloud, asked: ControlRequest) -> None:
    """Grant application permissions, as an administrator does."""
    application = cloud.world.application(asked.body.client_id)
    if application is None:
        raise LookupError(f"there is no application {asked.body.client_id}")
    cloud.directory.consent_app(asked.where["tenant"], application, asked.body.roles)


@area.operation("GET", "consents/requests", answer=ConsentRequests)
def consent_requests(cloud: Cloud, _asked: ControlRequest) -> ConsentRequests:
    """List the unanswered requests for an administrator's approval."""
    return ConsentRequests([ConsentRequested(**each) for each in cloud.directory.consent_requests()])


@area.operation("POST", "consents/requests", body=Decision)
def answer_consent_request(cloud: Cloud, asked: ControlRequest) -> None:
    """Approve the requests of a tenant's users for an application, for the whole tenant, or deny them."""
    body: Decision = asked.body
    cloud.directory.answer_consent_request(body.tenant, body.client_id, approve=body.approve)


@area.operation("GET", "people/{who}/second_factor", answer=SecondFactorDetails)
def second_factor(cloud: Cloud, asked: ControlRequest) -> SecondFactorDetails:
    """Show a person's second factor and its code."""
    person = cloud.person(asked.where["who"])
    return SecondFactorDetails(upn=person.upn, registered=person.mfa, code=person.mfa_code)


@area.operation("PUT", "people/{who}/second_factor", body=SecondFactor, answer=SecondFactorDetails)
def set_second_factor(cloud: Cloud, asked: ControlRequest) -> SecondFactorDetails:
    """Register or remove a person's second factor."""
    person = cloud.directory.set_second_factor(asked.where["who"], registered=asked.body.registered)
    return SecondFactorDetails(upn=person.upn, registered=person.mfa, code=person.mfa_code)


@area.operation("PUT", "people/{who}/app_roles", body=GivenRoles)
def give_roles(cloud: Cloud, asked: ControlRequest) -> None:
    """Replace a person's app roles of an application, which id tokens contain (`roles`)."""
    cloud.directory.give_roles(asked.where["who"], asked.body.client_id, asked.body.roles)


@area.operation("PUT", "people/{who}/groups", body=Groups)
def put_in_groups(cloud: Cloud, asked: ControlRequest) -> None:
    """Replace a person's groups, which id tokens contain if the registration requests them (`groups`)."""
    cloud.directory.put_in_groups(asked.where["who"], asked.body.groups)


@area.operation("POST", "keys/rotate", body=Rotation, answer=Keys)
def rotate_keys(cloud: Cloud, asked: ControlRequest) -> Keys:
    """Rotate the signing keys; the next one signs from now on."""
    return Keys(cloud.directory.rotate_keys(asked.body.overlap_s))


def _shown(tenant: Tenant) -> TenantDetails:
    return TenantDetails(
        id=tenant.tenant_id, domain=tenant.domain, name=tenant.name, user_consent=tenant.user_consent,
        mfa_required=tenant.mfa_required, refusal=tenant.refusal, app_refusals=tenant.app_refusals,
        assignments={client_id: sorted(oids) for client_id, oids in tenant.assignments.items()},
        app_consents={client_id: sorted(roles) for client_id, roles in tenant.app_consents.items()},
    )  # fmt: skip
