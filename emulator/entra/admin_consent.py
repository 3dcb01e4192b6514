"""The admin consent endpoint: an administrator consents for the whole tenant, without a code or token.

    GET  /{tenant}/v2.0/adminconsent   the scopes of the request; `.default` for everything that is registered
    GET  /{tenant}/adminconsent        everything that is registered
    POST /{tenant}/admin_consent       → back with `admin_consent=True`, `tenant`, `scope`, `state`

A failure has `admin_consent=True` too, in addition to `error`. Nothing in the answer is signed.
https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.entra import pages, parameters, refusals, replies
from emulator.entra.flows import Flow
from emulator.entra.refusals import Refused
from emulator.entra.scopes import OPENID, read, registered, split

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.flows import Flows
    from emulator.entra.signin import SignIn
    from emulator.exchange import Answer, Request
    from emulator.world import Application, Person, Tenant

PURPOSE = "admin_consent"


class AdminConsent:
    """Requests for an administrator's consent."""

    def __init__(self, cloud: Cloud, flows: Flows) -> None:
        self._cloud = cloud
        self._flows = flows

    def begin(
        self, request: Request, segment: str, tenant: Tenant | None, sign_in: SignIn, *, everything: bool
    ) -> Answer:
        """Process a request; `everything` is for the older endpoint."""
        try:
            asked = parameters.of_query_or_body(request)
            application, uri = replies.trusted(self._cloud.world, asked, tenant.name if tenant else segment)
            if segment.lower() in {"common", "consumers"}:
                raise Refused(refusals.NOT_OVER_COMMON, client=application.client_id)
        except Refused as refused:
            return replies.refusal_page(request, refused)
        request.app_id = application.client_id
        common: dict[str, Any] = {
            "segment": segment, "application": application, "redirect_uri": uri, "state": asked.get("state"),
            "purpose": PURPOSE, "login_hint": asked.get("login_hint", "").strip(),
        }  # fmt: skip
        try:
            flow = self._flow(asked, application, common, everything=everything)
        except Refused as refused:
            nothing = Flow(**common, scopes=[], permissions=set())
            return replies.give_up(request, nothing, refused)
        return sign_in.begin(request, flow, tenant)

    def signed_in(self, request: Request, flow: Flow, person: Person) -> Answer:
        """Continue with a person whose identity is proven."""
        if person.role != "admin":
            refusals.parameters(Refused(refusals.ADMIN_NEEDED), request)
            return pages.admin_only(flow, person)
        return pages.admin_consent(flow, person)

    def decide(self, request: Request) -> Answer:
        """Process the administrator's decision, or the form of a person who is not an administrator."""
        form = request.form()
        flow = self._flows.go_on(form, PURPOSE)
        if flow is None or flow.person is None or not flow.proven:
            return replies.refusal_page(request, Refused(refusals.FORM_EXPIRED))
        person, application = flow.person, flow.application
        request.app_id, request.tenant_id = application.client_id, person.tenant.tenant_id
        decision = form.get("decision")
        if decision not in {"accept", "decline"}:
            return self.signed_in(request, flow, person)
        self._flows.drop(flow.flow_id)
        if person.role != "admin":
            return replies.give_up(request, flow, Refused(refusals.ADMIN_NEEDED))
        if decision == "decline":
            return replies.give_up(request, flow, Refused(refusals.ADMIN_DECLINED))
        self._cloud.directory.consent(person, application, flow.permissions, everybody=True)
        self._cloud.directory.consent_app(person.tenant, application, flow.roles)
        found = {"admin_consent": "True", "tenant": person.tenant.tenant_id}
        if flow.scopes:
            found["scope"] = " ".join(scope for scope in flow.scopes if scope.lower() not in OPENID)
        return replies.send(flow.redirect_uri, "query", flow.state, found)

    def _flow(
        self, asked: dict[str, str], application: Application, common: dict[str, Any], *, everything: bool
    ) -> Flow:
        if everything:
            roles = set(application.app_roles)
            return Flow(**common, scopes=[], permissions=registered(application), roles=roles)
        scopes = split(parameters.demand(asked, "scope"))
        wanted = read(scopes, application)
        roles = set(application.app_roles) if wanted.default else set()
        return Flow(**common, scopes=scopes, permissions=wanted.permissions, roles=roles)
