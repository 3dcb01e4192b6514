"""Signing in: the choice of the account, its password, and a second factor if one is required.

choice of remembered accounts ──► password ──► second factor, or its registration ──► `proven`
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from emulator.entra import national, pages, refusals, replies
from emulator.entra.refusals import Refused
from emulator.world import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emulator.cloud import Cloud
    from emulator.entra.flows import Flow, Flows
    from emulator.entra.sessions import Session, Sessions
    from emulator.exchange import Answer, Request
    from emulator.world import Application, Person, Tenant

MFA = "mfa"


class SignIn:
    """The steps until a person's identity is proven; `proven` continues from there."""

    def __init__(
        self, cloud: Cloud, flows: Flows, sessions: Sessions, proven: Callable[[Request, Flow, Person], Answer]
    ) -> None:
        self._cloud = cloud
        self._flows = flows
        self._sessions = sessions
        self._proven = proven

    def begin(self, request: Request, flow: Flow, tenant: Tenant | None) -> Answer:
        """Return the first page, or go on to the next step if the browser is signed in and no input is needed."""
        self._flows.put(flow.flow_id, flow)
        known = self._sessions.of(request, tenant)
        if flow.prompt == "login":
            return self._form(flow, tenant)
        if flow.prompt == "select_account":
            return self._form(flow, tenant, known)
        fitting = hinted(flow, known)
        if len(fitting) == 1 and is_recent(flow, fitting[0], request.utc):
            return self._with(request, flow, fitting[0].person, fitting[0].amr, fitting[0].since)
        return self._form(flow, tenant, known)

    def choose(self, request: Request, tenant: Tenant | None) -> Answer:
        """Process the choice of a remembered account."""
        form = request.form()
        flow = self._flows.go_on(form)
        if flow is None:
            return replies.refusal_page(request, Refused(refusals.FORM_EXPIRED))
        request.app_id = flow.application.client_id
        wanted = form.get("account", "").lower()
        for session in self._sessions.of(request, tenant):
            if session.person.oid.lower() == wanted:
                if not is_recent(flow, session, request.utc):
                    return self._form(flow, tenant, username=session.person.upn)
                return self._with(request, flow, session.person, session.amr, session.since)
        return self._form(flow, tenant)

    def password(self, request: Request, tenant: Tenant | None) -> Answer:
        """Process the form with account and password."""
        form = request.form()
        flow = self._flows.go_on(form)
        if flow is None:
            return replies.refusal_page(request, Refused(refusals.FORM_EXPIRED))
        request.app_id = flow.application.client_id
        username = form.get("username", "").strip()
        try:
            person = authenticate(
                self._cloud, flow.segment, flow.application, username, form.get("password", ""), tenant
            )
            national.check(request, person.tenant)
        except Refused as refused:
            refusals.parameters(refused, request)
            return self._form(flow, tenant, trouble=refusals.shown(refused), username=username)
        return self._with(request, flow, person, ("pwd",), request.utc)

    def second_factor(self, request: Request) -> Answer:
        """Process the form with the code of the second factor, which may register it."""
        form = request.form()
        flow = self._flows.go_on(form)
        if flow is None or flow.person is None or flow.proven:
            return replies.refusal_page(request, Refused(refusals.FORM_EXPIRED))
        person = flow.person
        request.app_id, request.tenant_id = flow.application.client_id, person.tenant.tenant_id
        account = self._cloud.world.home_of(person)
        if not secrets.compare_digest(account.mfa_code.encode(), form.get("code", "").strip().encode()):
            refused = Refused(refusals.CODE_WRONG)
            refusals.parameters(refused, request)
            return pages.second_factor(flow, person, account, trouble=refusals.shown(refused))
        if not account.mfa:
            account.mfa = True
            self._cloud.on_change()
        return self._with(request, flow, person, (*flow.amr, MFA), flow.auth_time)

    def _with(self, request: Request, flow: Flow, person: Person, amr: tuple[str, ...], since: float) -> Answer:
        """Continue with a person who used the methods `amr` and typed the password at `since`."""
        request.tenant_id = person.tenant.tenant_id
        flow.person, flow.amr, flow.auth_time = person, amr, since
        account = self._cloud.world.home_of(person)
        if MFA not in amr and (account.mfa or person.tenant.mfa_required):
            return pages.second_factor(flow, person, account)
        flow.proven = True
        answer = self._proven(request, flow, person)
        self._sessions.remember(request, answer, account, amr, since)
        return answer

    def _form(
        self, flow: Flow, tenant: Tenant | None, known: Iterable[Session] = (), *, trouble: str = "", username: str = ""
    ) -> Answer:
        remembered = [session.person for session in known]
        return pages.sign_in(flow, self._offered(flow, tenant), remembered, trouble=trouble, username=username)

    def _offered(self, flow: Flow, tenant: Tenant | None) -> Iterable[Person]:
        """Return the people that the sign-in page offers: guests only in their home tenant."""
        hinted_tenant = self._cloud.world.tenant(flow.domain_hint) if flow.domain_hint else None
        tenant = tenant or hinted_tenant
        people = tenant.people.values() if tenant is not None else self._cloud.world.people()
        return (person for person in people if not person.home)


def authenticate(
    cloud: Cloud, segment: str, application: Application, username: str, password: str, tenant: Tenant | None
) -> Person:
    """Return the person with this name and password: at another tenant, the account's guest there.

    Args:
        cloud: the cloud.
        segment: the tenant as the path names it.
        application: the application of the sign-in.
        username: the account's UPN.
        password: its password.
        tenant: the path's; None for the paths of many tenants.

    Raises:
        Refused: name or password is unknown, or the person may not sign in there.
    """
    person = cloud.world.account(username)
    if person is None or person.refusal == "account_deleted":
        raise Refused(refusals.USER_UNKNOWN, who=username[:200], tenant="")
    if not secrets.compare_digest(person.password.encode(), password.encode()):
        raise Refused(refusals.PASSWORD_WRONG)
    if not person.enabled:
        raise Refused(refusals.USER_DISABLED)
    if segment.lower() == "organizations" and person.tenant.tenant_id == PERSONAL:
        if cloud.switches.personal_accounts == "refused":
            raise Refused(refusals.PERSONAL_ACCOUNT, who=username[:200])
    elif tenant is not None and person.tenant is not tenant:
        return _guest(application, person, tenant)
    return person


def _guest(application: Application, person: Person, tenant: Tenant) -> Person:
    """Return the account's guest in another tenant."""
    guest = tenant.guest(person.upn)
    if guest is not None:
        if not guest.enabled:
            raise Refused(refusals.USER_DISABLED)
        return guest
    if tenant.tenant_id == PERSONAL:
        raise Refused(refusals.WORK_ACCOUNT, who=person.upn)
    if person.tenant.tenant_id == PERSONAL:
        raise Refused(refusals.PERSONAL_ACCOUNT, who=person.upn)
    raise Refused(
        refusals.USER_OF_ANOTHER_TENANT, who=person.upn, tenant=tenant.name, client=application.client_id,
        idp=f"https://sts.windows.net/{person.tenant.tenant_id}/",
    )  # fmt: skip


def is_recent(flow: Flow, session: Session, now: float) -> bool:
    """Return whether the password of a session was typed as recently as the application requires (`max_age`)."""
    return flow.max_age_s is None or 0 <= now - session.since < flow.max_age_s


def hinted(flow: Flow, known: list[Session]) -> list[Session]:
    """Return the sessions that match the application's hints."""
    name, domain = flow.login_hint.lower(), flow.domain_hint.lower()
    if name:
        known = [session for session in known if name in {session.person.upn.lower(), session.person.home.lower()}]
    if domain and domain not in {"organizations", "consumers"}:
        known = [
            session
            for session in known
            if domain in {session.person.tenant.domain.lower(), session.person.tenant.tenant_id.lower()}
        ]
    return known
