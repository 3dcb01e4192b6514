"""The checks of a grant before tokens are issued for it: tenant, account, second factor, assignment, consent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from emulator.entra import refusals
from emulator.entra.refusals import APPLICATION_DEATHS, BY_TIME, DEATHS, TENANT_DEATHS, Refused
from emulator.entra.signin import MFA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulator.cloud import Cloud
    from emulator.world import Application, Person, Tenant


def check_tenant(tenant: Tenant, application: Application) -> None:
    """Check the tenant, and the application in it.

    Raises:
        Refused: one of them is refused.
    """
    values = {"client": application.client_id, "tenant": tenant.name}
    if tenant.refusal:
        raise Refused(TENANT_DEATHS[tenant.refusal], **values)
    refusal = tenant.app_refusals.get(application.client_id)
    if refusal:
        raise Refused(APPLICATION_DEATHS[refusal], **values)


def check_person(
    cloud: Cloud, person: Person, application: Application, issued: float, amr: Sequence[str]
) -> None:  # fmt: skip
    """Check one account; for a guest, also the account in the home tenant.

    A revocation by time counts in the home tenant only: https://learn.microsoft.com/entra/identity-platform/refresh-tokens

    Args:
        cloud: the cloud.
        person: the person of the grant.
        application: the application of the grant.
        issued: the time of issue, in seconds since 1970.
        amr: the methods of the sign-in.

    Raises:
        Refused: the account is refused.
    """
    home = cloud.world.home_of(person)
    values = {
        "client": application.client_id, "who": person.upn, "tenant": person.tenant.name, "issued": instant(issued),
    }  # fmt: skip
    if not (person.enabled and home.enabled):
        raise Refused(refusals.USER_DISABLED)
    for one in {person, home}:
        if one.refusal and _holds(one, issued, is_home=one is home):
            raise Refused(_spelled(cloud, one.refusal), **values)
    if person.tenant.mfa_required and MFA not in amr:
        raise Refused(_spelled(cloud, "mfa_required" if home.mfa else "mfa_enrolment_required"), **values)
    if not person.tenant.may_use(application.client_id, person):
        raise Refused(refusals.NOT_ASSIGNED, **values)


def check_consent(person: Person, application: Application, wanted: set[str]) -> None:
    """Check that every permission was consented to.

    Raises:
        Refused: one was not.
    """
    consented = person.tenant.consented(application.client_id, person)
    if any(name.lower() not in consented for name in wanted):
        raise Refused(refusals.NOT_CONSENTED, client=application.client_id)


def instant(seconds: float) -> str:
    """Return a time in the format of Entra's texts."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _holds(person: Person, issued: float, *, is_home: bool) -> bool:
    if person.refusal not in BY_TIME:
        return True
    return is_home and issued < person.tokens_valid_from


def _spelled(cloud: Cloud, kind: str) -> refusals.Refusal:
    """Return a refusal in the form of the switches: if a new sign-in helps, either of two errors has been seen."""
    death = DEATHS[kind]
    if death.error == "interaction_required" and cloud.switches.strong_authentication_error == "invalid_grant":
        return refusals.spelled(death, "invalid_grant")
    return death
