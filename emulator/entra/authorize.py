"""The authorize endpoint: a request checked, sign-in, consent, and the answer sent back to the application.

    GET  /{tenant}/oauth2/v2.0/authorize   → sign-in page, or straight on when a session is known
    POST /{tenant}/login                   → consent page, or straight on when all was consented before
    POST /{tenant}/consent                 → redirect (or form_post) with code and state
    POST /{tenant}/approval                → back to the application without a consent, where an administrator is needed

An unknown application or redirect URI is told to the person only: nothing is ever sent to an address that is not
registered. Everything else that is wrong goes back to the application.
"""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

from emulator.entra import pages, refusals
from emulator.entra.codes import CODE_S, FLOW_S, Code, Flow, Shelf
from emulator.entra.refusals import Refused
from emulator.entra.scopes import PERMISSIONS, permissions, split
from emulator.exchange import Answer, redirect
from emulator.world import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulator.cloud import Cloud
    from emulator.exchange import Request
    from emulator.world import Application, Person, Tenant

SESSION_COOKIE: Final = "ESTSAUTH"
_PROMPTS: Final = {"", "login", "none", "consent", "select_account"}


class Authorize:
    """Sign-ins under way, and who is signed in in which browser (a cookie)."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.codes: Shelf[Code] = Shelf(CODE_S)
        self._flows: Shelf[Flow] = Shelf(FLOW_S)
        self._sessions: dict[str, tuple[Person, float]] = {}  # cookie -> who, and when (seconds since 1970)

    def begin(self, request: Request, segment: str, tenant: Tenant | None) -> Answer:
        """Take an authorize request."""
        asked = request.form() if request.method == "POST" else request.queries()
        try:
            application, uri = self._trusted(asked)
        except Refused as refused:
            return self._tell(request, refused)
        request.app_id = application.client_id
        try:
            flow = self._flow(asked, segment, application, uri)
            return self._first_page(request, flow, tenant)
        except Refused as refused:
            return _send(uri, _mode(asked), asked.get("state"), refusals.parameters(refused, request))

    def sign_in(self, request: Request, tenant: Tenant | None) -> Answer:
        """Take the sign-in form."""
        form = request.form()
        flow = self._continue(form)
        if flow is None:
            return self._tell(request, Refused(refusals.FORM_EXPIRED))
        request.app_id = flow.application.client_id
        username = form.get("username", "").strip()
        try:
            person = self._authenticate(flow, username, form.get("password", ""), tenant)
        except Refused as refused:
            refusals.parameters(refused, request)
            return pages.sign_in(flow, self._offered(tenant), trouble=_shown(refused), username=username)
        request.tenant_id = person.tenant.tenant_id
        flow.person = person
        return self._signed_in(request, flow, person)

    def consent(self, request: Request) -> Answer:
        """Take the consent form."""
        form = request.form()
        flow = self._continue(form)
        if flow is None or flow.person is None:
            return self._tell(request, Refused(refusals.FORM_EXPIRED))
        person = flow.person
        request.app_id, request.tenant_id = flow.application.client_id, person.tenant.tenant_id
        decision = form.get("decision")
        if decision == "accept":
            whole = bool(form.get("organization")) and person.role == "admin"
            self._cloud.consent(person, flow.application, flow.permissions, everybody=whole)
            return self._finish(flow, person)
        if decision == "decline":
            return self._give_up(request, flow, Refused(refusals.DECLINED))
        return pages.consent(flow, person)

    def approval(self, request: Request) -> Answer:
        """Take the form of the page that says that an administrator is needed."""
        flow = self._continue(request.form())
        if flow is None or flow.person is None:
            return self._tell(request, Refused(refusals.FORM_EXPIRED))
        request.app_id, request.tenant_id = flow.application.client_id, flow.person.tenant.tenant_id
        return self._give_up(request, flow, Refused(refusals.ADMIN_NEEDED))

    def _trusted(self, asked: dict[str, str]) -> tuple[Application, str]:
        """The application and its redirect URI, once both are known to belong together."""
        client_id, uri = asked.get("client_id", ""), asked.get("redirect_uri", "")
        application = self._cloud.world.application(client_id)
        if application is None or application.refusal in {"removed", "disabled"}:
            raise Refused(refusals.APP_UNKNOWN, client=client_id)
        if not uri and len(application.redirect_uris) == 1:
            uri = application.redirect_uris[0]
        if not any(_same_address(uri, known) for known in application.redirect_uris):
            raise Refused(refusals.REDIRECT_UNKNOWN, uri=uri, client=client_id)
        return application, uri

    def _flow(self, asked: dict[str, str], segment: str, application: Application, uri: str) -> Flow:
        if asked.get("response_type", "code") != "code":
            raise Refused(refusals.RESPONSE_TYPE, name=asked["response_type"])
        mode = asked.get("response_mode") or "query"
        if mode not in {"query", "form_post"}:
            raise Refused(refusals.RESPONSE_MODE, name=mode)
        if asked.get("prompt", "") not in _PROMPTS:
            raise Refused(refusals.PROMPT, name=asked["prompt"])
        challenge, method = _challenge(asked)
        scopes = split(asked.get("scope", ""))
        if not scopes:
            raise Refused(refusals.MISSING, name="scope")
        return Flow(
            segment=segment, application=application, redirect_uri=uri, response_mode=mode, state=asked.get("state"),
            scopes=scopes, permissions=permissions(scopes, application), nonce=asked.get("nonce", ""),
            challenge=challenge, challenge_method=method, prompt=asked.get("prompt", ""),
            login_hint=asked.get("login_hint", ""),
        )  # fmt: skip

    def _first_page(self, request: Request, flow: Flow, tenant: Tenant | None) -> Answer:
        session = self._session(request, tenant)
        if flow.prompt == "none":
            return self._silently(flow, session)
        self._flows.put(flow.flow_id, flow)
        if session is not None and flow.prompt in {"", "consent"}:
            flow.person = session
            return self._signed_in(request, flow, session)
        return pages.sign_in(flow, self._offered(tenant))

    def _silently(self, flow: Flow, session: Person | None) -> Answer:
        if session is None:
            raise Refused(refusals.NOT_SIGNED_IN)
        if session.refusal and session.refusal not in refusals.BY_TIME:
            raise Refused(refusals.DEATHS[session.refusal], client=flow.application.client_id)
        if _missing(flow, session):
            raise Refused(refusals.CONSENT_NEEDED, client=flow.application.client_id)
        return self._finish(flow, session)

    def _signed_in(self, request: Request, flow: Flow, person: Person) -> Answer:
        """Go on with somebody whose identity is proven."""
        if person.refusal == "conditional_access":
            return self._give_up(request, flow, Refused(refusals.BLOCKED))
        if flow.prompt != "consent" and not _missing(flow, person):
            return self._with_session(self._finish(flow, person), person)
        needs_admin = any(PERMISSIONS[name][1] for name in flow.permissions)
        if (needs_admin or person.tenant.admin_consent_only) and person.role != "admin":
            return self._with_session(pages.approval(flow, person), person)
        return self._with_session(pages.consent(flow, person), person)

    def _finish(self, flow: Flow, person: Person) -> Answer:
        """Send a code to the application."""
        self._flows.drop(flow.flow_id)
        code = f"1.{secrets.token_urlsafe(48)}"
        self.codes.put(code, Code(flow=flow, person=person))
        found = {"code": code, "session_state": str(uuid.uuid4())}
        return _send(flow.redirect_uri, flow.response_mode, flow.state, found)

    def _give_up(self, request: Request, flow: Flow, refused: Refused) -> Answer:
        self._flows.drop(flow.flow_id)
        return _send(flow.redirect_uri, flow.response_mode, flow.state, refusals.parameters(refused, request))

    def _tell(self, request: Request, refused: Refused) -> Answer:
        """Tell the person, not the application."""
        return pages.refused(refusals.parameters(refused, request)["error_description"])

    def _continue(self, form: dict[str, str]) -> Flow | None:
        """The flow that a form belongs to, if it is the form that was last shown; the next page gets a new token."""
        flow = self._flows.fresh(form.get("flow", ""))
        if flow is None or not secrets.compare_digest(flow.form_token.encode(), form.get("form_token", "").encode()):
            return None
        flow.form_token = secrets.token_urlsafe(24)
        return flow

    def _authenticate(self, flow: Flow, username: str, password: str, tenant: Tenant | None) -> Person:
        person = self._cloud.world.account(username)
        if person is None or person.refusal == "account_deleted":
            raise Refused(refusals.USER_UNKNOWN, who=username)
        if not secrets.compare_digest(person.password.encode(), password.encode()):
            raise Refused(refusals.PASSWORD_WRONG)
        if flow.segment.lower() == "organizations" and person.tenant.tenant_id == PERSONAL:
            if self._cloud.switches.personal_accounts == "refused":
                raise Refused(refusals.PERSONAL_ACCOUNT, who=username)
        elif tenant is not None and person.tenant is not tenant:
            guest = tenant.guest(person.upn)
            if guest is not None and person.enabled and guest.enabled:
                return guest
            raise Refused(refusals.USER_OF_ANOTHER_TENANT, who=username, tenant=tenant.name)
        if not person.enabled:
            raise Refused(refusals.USER_DISABLED)
        return person

    def _offered(self, tenant: Tenant | None) -> Iterable[Person]:
        """Whom the sign-in page names: with a guest's password, only where the guest is at home."""
        people = tenant.people.values() if tenant is not None else self._cloud.world.people()
        return (person for person in people if not person.home)

    def _session(self, request: Request, tenant: Tenant | None) -> Person | None:
        person, since = self._sessions.get(request.cookie(SESSION_COOKIE), (None, 0.0))
        if person is None or not person.enabled or (tenant is not None and person.tenant is not tenant):
            return None
        return None if since < person.tokens_valid_from else person

    def _with_session(self, answer: Answer, person: Person) -> Answer:
        """Remember in the browser who signed in. Old sessions are forgotten when there are many."""
        if len(self._sessions) > 10_000:
            self._sessions.clear()
        session = secrets.token_urlsafe(24)
        self._sessions[session] = (person, time.time())
        cookie = f"{SESSION_COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=None"
        answer.headers.append((b"set-cookie", cookie.encode()))
        return answer


def _missing(flow: Flow, person: Person) -> set[str]:
    """The permissions that were not consented to before."""
    given = person.tenant.consented(flow.application.client_id, person)
    return {name for name in flow.permissions if name.lower() not in given}


def _challenge(asked: dict[str, str]) -> tuple[str, str]:
    challenge = asked.get("code_challenge", "")
    method = asked.get("code_challenge_method") or "plain"
    if challenge and (method not in {"S256", "plain"} or not 43 <= len(challenge) <= 128):
        raise Refused(refusals.CHALLENGE)
    return challenge, method


def _mode(asked: dict[str, str]) -> str:
    return "form_post" if asked.get("response_mode") == "form_post" else "query"


def _send(uri: str, mode: str, state: str | None, found: dict[str, str]) -> Answer:
    """Send parameters to the application in the way that it asked for."""
    if state is not None:
        found = {**found, "state": state}
    if mode == "form_post":
        return pages.form_post(uri, found)
    return redirect(f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(found, quote_via=quote)}")


def _same_address(uri: str, known: str) -> bool:
    """Whether a redirect URI is the registered one; for http://localhost the port does not count, as in Entra."""
    if uri == known:
        return bool(uri)
    a, b = urlsplit(uri), urlsplit(known)
    local = a.scheme == b.scheme == "http" and a.hostname == b.hostname == "localhost"
    return local and (a.path, a.query) == (b.path, b.query)


def _shown(refused: Refused) -> str:
    return f"AADSTS{refused.refusal.code}: {refused}"
