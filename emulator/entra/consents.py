"""The rules of consent: missing permissions, and who may consent to them.

https://learn.microsoft.com/entra/identity/enterprise-apps/configure-user-consent and
https://learn.microsoft.com/entra/identity/enterprise-apps/configure-admin-consent-workflow
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from emulator.entra.scopes import PERMISSIONS, known

if TYPE_CHECKING:
    from emulator.entra.flows import Flow
    from emulator.switches import Switches
    from emulator.world import Application, ConsentRequest, Person, Tenant

Who = Literal["self", "administrator", "request"]


def missing(flow: Flow, person: Person) -> set[str]:
    """Return the permissions of a flow without a consent yet."""
    given = person.tenant.consented(flow.application.client_id, person)
    return {name for name in flow.permissions if name.lower() not in given}


def granted(application: Application, person: Person) -> set[str]:
    """Return all Graph permissions that an application has for a person."""
    return known(person.tenant.consented(application.client_id, person))


def who_may(flow: Flow, person: Person, switches: Switches) -> Who:
    """Return who may consent to a flow's permissions: the person, or an administrator, with or without requests to one."""
    if person.role == "admin" or _may_consent(flow, person.tenant, switches):
        return "self"
    return "request" if person.tenant.user_consent == "request_approval" else "administrator"


def _may_consent(flow: Flow, tenant: Tenant, switches: Switches) -> bool:
    application = flow.application
    if any(PERMISSIONS[name].admin for name in flow.permissions) or tenant.admin_consent_only:
        return False
    if application.client_id in tenant.assignments:
        return False  # https://learn.microsoft.com/entra/identity/enterprise-apps/what-is-access-management
    if application.verified:
        return True
    return tenant.user_consent == "allowed" and switches.unverified_publishers == "allowed"


def requested(tenant: Tenant, application: Application, person: Person) -> ConsentRequest | None:
    """Return a person's unanswered request for an administrator's approval; None if there is none."""
    return next(
        (
            request
            for request in tenant.consent_requests
            if (request.client_id, request.oid) == (application.client_id, person.oid)
        ),
        None,
    )
