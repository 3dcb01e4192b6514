"""Delegated tokens without a browser: on behalf of the user who called the application, and by an account's password.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow and
https://learn.microsoft.com/entra/identity-platform/v2-oauth-ropc
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.entra import consents, grant_checks, parameters, refusals
from emulator.entra.issuing import Grant
from emulator.entra.refusals import DEATHS, Refused
from emulator.entra.scopes import of_openid, read, split
from emulator.entra.signin import authenticate
from emulator.entra.tokens import PASSWORD_ONLY

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.issuing import Issuer
    from emulator.exchange import Answer, Request
    from emulator.world import Application, Person, Tenant


class Delegated:
    """Grants without interaction: they cover only permissions with an earlier consent."""

    def __init__(self, cloud: Cloud, issuer: Issuer) -> None:
        self._cloud = cloud
        self._issuer = issuer

    def on_behalf_of(self, request: Request, form: dict[str, str], application: Application) -> Answer:
        """Exchange an access token for the application for one for Graph.

        Raises:
            Refused: the token is not a user's token for this application, or the consent is missing.
        """
        if parameters.demand(form, "requested_token_use") != "on_behalf_of":
            raise Refused(refusals.TOKEN_USE)
        claims = self._called_with(parameters.demand(form, "assertion"), application, request.utc)
        tenant = self._cloud.world.tenant(str(claims.get("tid")))
        person = tenant.people.get(str(claims.get("oid")).lower()) if tenant is not None else None
        if person is None:
            raise Refused(refusals.ASSERTION_INVALID)
        amr = tuple(claims.get("amr") or claims["amr_exact"])
        return self._given(request, form, person, application, float(claims["iat_exact"]), amr)

    def by_password(
        self, request: Request, form: dict[str, str], segment: str, tenant: Tenant | None, application: Application
    ) -> Answer:
        """Sign a person in by password only; fails if more is required.

        Raises:
            Refused: the account or its password is wrong, more than a password is required, or the consent is missing.
        """
        if segment.lower() in {"common", "consumers"}:
            raise Refused(refusals.GRANT_TYPE_NOT_HERE)
        if not self._cloud.switches.password_grant:
            raise Refused(refusals.GRANT_TYPE, name="password")
        name, password = parameters.demand(form, "username").strip(), parameters.demand(form, "password")
        person = authenticate(self._cloud, segment, application, name, password, tenant)
        if self._cloud.world.home_of(person).mfa:
            raise Refused(DEATHS["mfa_required"])
        return self._given(request, form, person, application, request.utc, PASSWORD_ONLY)

    def _given(
        self, request: Request, form: dict[str, str], person: Person, application: Application, issued: float,
        amr: tuple[str, ...],
    ) -> Answer:  # fmt: skip
        request.tenant_id = person.tenant.tenant_id
        asked = split(parameters.demand(form, "scope"))
        wanted = read(asked, application, single=True)
        grant_checks.check_tenant(person.tenant, application)
        grant_checks.check_person(self._cloud, person, application, issued, amr)
        if not wanted.default:
            grant_checks.check_consent(person, application, wanted.permissions)
        permissions = consents.granted(application, person)
        if wanted.default and not permissions:
            raise Refused(refusals.NOT_CONSENTED, client=application.client_id)
        grant = Grant(
            person=person, application=application, permissions=permissions, own=wanted.own, openid=of_openid(asked),
            amr=amr, capabilities=parameters.capabilities(form),
        )  # fmt: skip
        return self._issuer.answer(request, grant, asked)

    def _called_with(self, assertion: str, application: Application, now: float) -> dict[str, Any]:
        """Return the claims of a user's access token for an application."""
        claims = self._cloud.tokens.key.verify(assertion)
        if claims is None or "scp" not in claims:
            raise Refused(refusals.ASSERTION_INVALID)
        if str(claims.get("aud")).lower().removeprefix("api://") != application.client_id.lower():
            raise Refused(refusals.ASSERTION_OF_OTHERS)
        if float(claims["exp"]) <= now:
            raise Refused(refusals.ASSERTION_OVER)
        return claims
