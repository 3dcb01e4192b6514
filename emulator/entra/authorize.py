"""The authorize endpoint: checks the request, signs in, gets the consent, and answers the application.

    GET  /{tenant}/oauth2/v2.0/authorize   → sign-in page, or the next step if a session is known
    POST /{tenant}/login, select, mfa      → signin.py
    POST /{tenant}/consent                 → back to the application with code and state
    POST /{tenant}/approval                → back without a consent, if an administrator is needed

An unknown application or redirect URI is reported to the person only: nothing is ever sent to an address that is not
registered. Every other error goes back to the application.
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Final

from emulator.entra import consents, device, national, pages, parameters, refusals, replies
from emulator.entra.flows import Code, Flow, Flows, Shelf
from emulator.entra.issuing import Grant
from emulator.entra.refusals import BY_TIME, DEATHS, Refused
from emulator.entra.scopes import of_openid, read, split
from emulator.entra.signin import MFA, hinted, is_recent

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.issuing import Issuer
    from emulator.entra.sessions import Session, Sessions
    from emulator.entra.signin import SignIn
    from emulator.exchange import Answer, Request
    from emulator.world import Application, Person, Tenant

_MAX_AGE_DIGITS: Final = 9
_RESPONSE_TYPES: Final = {
    frozenset(each.split()) for each in ("code", "id_token", "code id_token", "id_token token", "token")
}
_PROMPTS: Final = {"", "login", "none", "consent", "select_account"}


class Authorize:
    """The authorize endpoint: requests for a code or for tokens."""

    def __init__(self, cloud: Cloud, flows: Flows, sessions: Sessions, issuer: Issuer) -> None:
        self._cloud = cloud
        self._issuer = issuer
        self._flows = flows
        self._sessions = sessions
        self.codes: Shelf[Code] = Shelf(lambda: cloud.switches.authorization_code_s, cloud.clock.utc)

    def begin(
        self, request: Request, segment: str, tenant: Tenant | None, sign_in: SignIn, *, version: int = 2
    ) -> Answer:
        """Process an authorize request; version 1 has `resource` instead of `scope`."""
        try:
            asked = parameters.of_query_or_body(request)
            if version == 1:
                asked = parameters.of_version_1(asked)
            application, uri = replies.trusted(self._cloud.world, asked, tenant.name if tenant else segment)
        except Refused as refused:
            return replies.refusal_page(request, refused)
        request.app_id = application.client_id
        try:
            flow = self._flow(asked, segment, application, uri)
            national.check_resources(request, flow.scopes)
            if flow.prompt == "none":
                return self._silently(request, flow, self._sessions.of(request, tenant))
        except Refused as refused:
            return replies.send(uri, _mode(asked), asked.get("state"), refusals.parameters(refused, request))
        return sign_in.begin(request, flow, tenant)

    def signed_in(self, request: Request, flow: Flow, person: Person) -> Answer:
        """Continue with a person whose identity is proven."""
        blocked = self._blocked(flow, person)
        if blocked is not None:
            self._flows.drop(flow.flow_id)
            if self._cloud.switches.blocked_sign_in == "page" and flow.device is None:
                return replies.refusal_page(request, blocked)
            return self._give_up(request, flow, blocked)
        if flow.prompt != "consent" and not consents.missing(flow, person):
            return self._finish(request, flow, person)
        who = consents.who_may(flow, person, self._cloud.switches)
        if who == "self":
            return pages.consent(flow, person)
        asked = consents.requested(person.tenant, flow.application, person)
        return pages.approval(flow, person, can_ask=who == "request", asked=asked is not None)

    def consent(self, request: Request) -> Answer:
        """Process the form of the consent page."""
        form = request.form()
        flow = self._flows.go_on(form, "code")
        if flow is None or flow.person is None or not flow.proven:
            return replies.refusal_page(request, Refused(refusals.FORM_EXPIRED))
        person = flow.person
        request.app_id, request.tenant_id = flow.application.client_id, person.tenant.tenant_id
        decision = form.get("decision")
        if decision == "decline":
            return self._give_up(request, flow, Refused(refusals.DECLINED))
        if decision != "accept":
            return pages.consent(flow, person)
        if consents.who_may(flow, person, self._cloud.switches) != "self":
            return self._give_up(request, flow, Refused(refusals.ADMIN_NEEDED))
        whole = bool(form.get("organization")) and person.role == "admin"
        self._cloud.directory.consent(person, flow.application, flow.permissions, everybody=whole)
        return self._finish(request, flow, person)

    def approval(self, request: Request) -> Answer:
        """Process the form of the approval page, shown if an administrator is needed; it may contain a request to one."""
        form = request.form()
        flow = self._flows.go_on(form, "code")
        if flow is None or flow.person is None or not flow.proven:
            return replies.refusal_page(request, Refused(refusals.FORM_EXPIRED))
        person, application = flow.person, flow.application
        request.app_id, request.tenant_id = application.client_id, person.tenant.tenant_id
        if consents.who_may(flow, person, self._cloud.switches) != "request":
            return self._give_up(request, flow, Refused(refusals.ADMIN_NEEDED))
        if form.get("decision") != "back":
            self._cloud.directory.request_consent(person, application, flow.permissions, form.get("reason", "")[:500])
        return self._give_up(request, flow, Refused(refusals.APPROVAL_NEEDED))

    def _flow(self, asked: dict[str, str], segment: str, application: Application, uri: str) -> Flow:
        types = _response_types(asked, application)
        mode = asked.get("response_mode") or ("query" if types == {"code"} else "fragment")
        if mode not in replies.MODES:
            raise Refused(refusals.RESPONSE_MODE, name=mode[:200])
        if types != {"code"} and mode == "query":
            raise Refused(refusals.RESPONSE_MODE_OF_TOKENS, name=mode)
        if asked.get("prompt", "") not in _PROMPTS:
            raise Refused(refusals.PROMPT, name=asked["prompt"][:200])
        max_age = asked.get("max_age", "")
        if max_age and not (max_age.isascii() and max_age.isdigit() and len(max_age) <= _MAX_AGE_DIGITS):
            raise Refused(refusals.MAX_AGE, name=max_age[:200])
        challenge, method = _challenge(asked)
        scopes = split(parameters.demand(asked, "scope"))
        wanted = read(scopes, application)
        if "id_token" in types:
            parameters.demand(asked, "nonce")
            if "openid" not in of_openid(scopes):
                raise Refused(refusals.OPENID_NEEDED)
        return Flow(
            segment=segment, response_types=types, application=application, redirect_uri=uri, response_mode=mode, state=asked.get("state"),
            scopes=scopes, permissions=wanted.permissions, own=wanted.own, nonce=asked.get("nonce", ""),
            challenge=challenge, challenge_method=method, prompt=asked.get("prompt", ""),
            login_hint=asked.get("login_hint", "").strip(), domain_hint=asked.get("domain_hint", "").strip(),
            capabilities=parameters.capabilities(asked), max_age_s=float(max_age) if max_age else None,
        )  # fmt: skip

    def _silently(self, request: Request, flow: Flow, known: list[Session]) -> Answer:
        """Answer `prompt=none`: a code, or an error for the interaction that would be necessary."""
        fitting = [session for session in hinted(flow, known) if is_recent(flow, session, request.utc)]
        if not fitting:
            raise Refused(refusals.NOT_SIGNED_IN)
        session = fitting[0]
        person = session.person
        account = self._cloud.world.home_of(person)
        if MFA not in session.amr and (account.mfa or person.tenant.mfa_required):
            raise Refused(DEATHS["mfa_required" if account.mfa else "mfa_enrolment_required"])
        if person.refusal and person.refusal not in BY_TIME:
            raise Refused(DEATHS[person.refusal], client=flow.application.client_id, who=person.upn)
        blocked = self._blocked(flow, person)
        if blocked is not None:
            raise blocked
        if consents.missing(flow, person):
            raise Refused(refusals.CONSENT_NEEDED, client=flow.application.client_id)
        flow.amr, flow.auth_time = session.amr, session.since
        return self._finish(request, flow, person)

    def _blocked(self, flow: Flow, person: Person) -> Refused | None:
        """Return the refusal for a person who may not sign in despite the right password; None if there is none."""
        client = flow.application.client_id
        if not person.tenant.may_use(client, person):
            return Refused(refusals.at_sign_in(refusals.NOT_ASSIGNED), client=client, who=person.upn)
        if person.refusal and person.refusal not in BY_TIME:
            return Refused(refusals.at_sign_in(DEATHS[person.refusal]), client=client, who=person.upn)
        return None

    def _finish(self, request: Request, flow: Flow, person: Person) -> Answer:
        """Send the requested code or tokens to the application."""
        self._flows.drop(flow.flow_id)
        if flow.device is not None:
            return device.approve(flow, flow.device, person, self._cloud.clock.utc())
        code = ""
        if "code" in flow.response_types:
            code = f"1.{secrets.token_urlsafe(48)}"
            self.codes.put(code, Code(flow=flow, person=person, amr=flow.amr, issued=self._cloud.clock.utc()))
        sent = {"code": code} if code else {}
        found = {**sent, **self._tokens(request, flow, person, code), "session_state": str(uuid.uuid4())}
        return replies.send(flow.redirect_uri, flow.response_mode, flow.state, found)

    def _tokens(self, request: Request, flow: Flow, person: Person, code: str) -> dict[str, str]:
        """Return the tokens that the authorize endpoint itself sends, which the registration allows."""
        if flow.response_types == {"code"}:
            return {}
        grant = Grant(
            person=person, application=flow.application, permissions=consents.granted(flow.application, person),
            openid=of_openid(flow.scopes), own=flow.own, amr=flow.amr, capabilities=flow.capabilities, nonce=flow.nonce,
            auth_time=self._issuer.auth_time(flow),
        )  # fmt: skip
        found: dict[str, str] = {}
        if "token" in flow.response_types:
            found = {name: str(value) for name, value in self._issuer.access(request, grant, flow.scopes).items()}
            del found["ext_expires_in"]
        if "id_token" in flow.response_types:
            found["id_token"] = self._issuer.id_token(
                request, grant, access_token=found.get("access_token", ""), code=code
            )
        return found

    def _give_up(self, request: Request, flow: Flow, refused: Refused) -> Answer:
        self._flows.drop(flow.flow_id)
        if flow.device is not None:
            device.decline(flow.device, refused)
            return replies.refusal_page(request, refused)
        return replies.give_up(request, flow, refused)


def _challenge(asked: dict[str, str]) -> tuple[str, str]:
    challenge = asked.get("code_challenge", "")
    method = asked.get("code_challenge_method") or "plain"
    if challenge and (method not in {"S256", "plain"} or not 43 <= len(challenge) <= 128):
        raise Refused(refusals.CHALLENGE)
    if not challenge and asked.get("code_challenge_method"):
        raise Refused(refusals.MISSING, name="code_challenge")
    return challenge, method


def _response_types(asked: dict[str, str], application: Application) -> frozenset[str]:
    """Return the response types that the authorize endpoint is to send.

    Raises:
        Refused: there is no such combination, or the registration does not allow it.
    """
    types = frozenset(asked.get("response_type", "code").split())
    allowed = {
        "code",
        *(["id_token"] if application.id_tokens else []),
        *(["token"] if application.access_tokens else []),
    }
    if types not in _RESPONSE_TYPES or types - allowed:
        raise Refused(refusals.RESPONSE_TYPE, name=asked["response_type"][:200])
    return types


def _mode(asked: dict[str, str]) -> str:
    """Return the response mode of a refusal: the requested one, but never the query if tokens were requested."""
    usual = "fragment" if "token" in asked.get("response_type", "") else "query"
    mode = asked.get("response_mode", "")
    return mode if mode in replies.MODES and mode != "query" else usual
