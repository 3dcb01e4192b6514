"""Operations on grants and how they become invalid, on consents, and on app registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from emulator.control.operation import Area, Body, ControlRequest, Few, Name
from emulator.records import ApplicationRecord, application_record
from emulator.world import Application

if TYPE_CHECKING:
    from emulator.cloud import Cloud

area = Area("grants", "Grants and the ways they die, consents, and app registrations.")

MOST_APPLICATIONS = 10_000


class GrantRequest(Body):
    """A request for an account's grant without a sign-in."""

    account: Name
    client_id: Name
    scopes: Few


class ConsentGiven(Body):
    """A consent to permissions for an application."""

    account: Name
    """The person who consents; for a consent for the whole tenant, any person of the tenant."""
    client_id: Name
    scopes: Few
    everybody: bool = False


class Revoke(Body):
    """The way in which an account's grants become invalid."""

    account: Name
    kind: Name = "sessions_revoked"
    access_tokens: bool = False


class Restore(Body):
    """The account whose grants become valid again."""

    account: Name


class Refuse(Body):
    """The refusal of an application; an empty kind ends it."""

    kind: Name = ""


class Consented(msgspec.Struct, kw_only=True):
    """One consent; `person` is an object id, or `*` for the whole tenant."""

    tenant: str
    client_id: str
    person: str
    scopes: list[str]
    upn: str


class Grants(msgspec.Struct):
    """All consents of all tenants."""

    grants: list[Consented]


class Granted(msgspec.Struct):
    """A refresh token of a new grant."""

    refresh_token: str


class Applications(msgspec.Struct):
    """The app registrations, with their secrets, because nothing here is secret."""

    applications: list[ApplicationRecord]


@area.operation("GET", "grants", answer=Grants)
def list_grants(cloud: Cloud, _asked: ControlRequest) -> Any:
    """List all consents."""
    return {"grants": cloud.directory.grants()}


@area.operation("POST", "grants", body=GrantRequest, answer=Granted)
def grant(cloud: Cloud, asked: ControlRequest) -> Granted:
    """Consent and return a refresh token, without a sign-in."""
    body: GrantRequest = asked.body
    return Granted(cloud.directory.grant(body.account, body.client_id, set(body.scopes)))


@area.operation("POST", "grants/revoke", body=Revoke)
def revoke(cloud: Cloud, asked: ControlRequest) -> None:
    """Invalidate an account's grants in one of the documented ways; `GET /_emulator/` lists them as `deaths`."""
    body: Revoke = asked.body
    cloud.directory.revoke(body.account, body.kind, access_tokens=body.access_tokens)


@area.operation("POST", "grants/restore", body=Restore)
def restore(cloud: Cloud, asked: ControlRequest) -> None:
    """Undo `revoke`, except for a consent, which must be given again."""
    cloud.directory.restore(asked.body.account)


@area.operation("POST", "consents", body=ConsentGiven)
def consent(cloud: Cloud, asked: ControlRequest) -> None:
    """Consent to an application, for one person or the whole tenant."""
    body: ConsentGiven = asked.body
    application = cloud.world.application(body.client_id)
    if application is None:
        raise LookupError(f"there is no application {body.client_id}")
    cloud.directory.consent(body.account, application, set(body.scopes), everybody=body.everybody)


@area.operation("GET", "applications", answer=Applications)
def list_applications(cloud: Cloud, _asked: ControlRequest) -> Applications:
    """List the app registrations, with their secrets."""
    return Applications([application_record(each) for each in cloud.world.applications.values()])


@area.operation("PUT", "applications", body=ApplicationRecord, answer=ApplicationRecord)
def put_application(cloud: Cloud, asked: ControlRequest) -> ApplicationRecord:
    """Register or replace an application, with its redirect URIs, secrets and certificates."""
    record: ApplicationRecord = asked.body
    if len(cloud.world.applications) >= MOST_APPLICATIONS:
        raise ValueError(f"there are {MOST_APPLICATIONS} applications already")
    cloud.directory.put_application(Application(**msgspec.structs.asdict(record)))
    return record


@area.operation("POST", "applications/{client_id}/refuse", body=Refuse)
def refuse_application(cloud: Cloud, asked: ControlRequest) -> None:
    """Refuse every credential of an application, or stop refusing it with an empty `kind`."""
    cloud.directory.refuse_application(asked.where["client_id"], asked.body.kind)
