"""Entra's routes. The first part of each path is a tenant: a GUID, a domain, `organizations`, `common` or `consumers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.entra import device, discovery, national, refusals, replies
from emulator.entra.admin_consent import PURPOSE, AdminConsent
from emulator.entra.authorize import Authorize
from emulator.entra.device import Devices
from emulator.entra.flows import Flows
from emulator.entra.issuing import Issuer
from emulator.entra.refusals import Refused
from emulator.entra.sessions import Sessions
from emulator.entra.signin import SignIn
from emulator.entra.signout import sign_out
from emulator.entra.token import TokenEndpoint
from emulator.exchange import json_answer
from emulator.world import PERSONAL

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.flows import Flow
    from emulator.exchange import Answer, Request
    from emulator.world import Person, Tenant

MANY: Final = {"organizations", "common"}
TOKEN_PATH: Final = "/oauth2/v2.0/token"
_FORMS: Final = {"login", "select", "mfa", "consent", "approval", "admin_consent"}
_ENDPOINTS: Final = {
    "v2.0/.well-known/openid-configuration": ("configuration", 2), ".well-known/openid-configuration": ("configuration", 1),
    "discovery/v2.0/keys": ("keys", 2), "discovery/keys": ("keys", 1),
    "v2.0/adminconsent": ("adminconsent", 2), "adminconsent": ("adminconsent", 1),
    device.PAGE: ("deviceauth", 2),
    **{f"oauth2/v2.0/{name}": (name, 2) for name in ("authorize", "token", "devicecode", "logout")},
    **{f"oauth2/{name}": (name, 1) for name in ("authorize", "token", "devicecode", "logout")},
}  # fmt: skip
"""Below a tenant: path -> endpoint and version."""
_POSTED: Final = {"token", "devicecode"}
_INTERACTIVE: Final = {
    "oauth2/v2.0/authorize", "oauth2/authorize", "oauth2/v2.0/logout", "oauth2/logout", "v2.0/adminconsent", "adminconsent",
    device.PAGE, *_FORMS,
}  # fmt: skip
"""Endpoints whose answer is for a person, not for a program."""


class Entra:
    """Entra ID's endpoints, pages and documents."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._flows = Flows(cloud.clock.utc)
        self._sessions = Sessions()
        issuer = Issuer(cloud)
        self._devices = Devices(cloud)
        self._authorize = Authorize(cloud, self._flows, self._sessions, issuer)
        self._admin_consent = AdminConsent(cloud, self._flows)
        self._sign_in = SignIn(cloud, self._flows, self._sessions, self._proven)
        self._token = TokenEndpoint(cloud, self._authorize.codes, self._devices, issuer)

    def tenant_of(self, request: Request) -> str:
        """Return the tenant of a request, from its path or refresh token; empty if neither has one."""
        tenant = self._cloud.world.tenant(request.path.split("/", 2)[1])
        if tenant is not None:
            return tenant.tenant_id
        return self._token.tenant_of(request) if request.path.endswith(TOKEN_PATH) else ""

    def handle(self, request: Request) -> Answer:
        """Answer one request to Entra."""
        segment, _, rest = request.path.removeprefix("/").partition("/")
        try:
            if rest == "discovery/instance":
                return json_answer(discovery.instance(request))
            tenant = self._tenant(segment)
            national.check(request, tenant)
            return self._route(request, segment, tenant, rest)
        except Refused as refused:
            return replies.refusal_page(request, refused) if rest in _INTERACTIVE else refusals.answer(refused, request)

    def _tenant(self, segment: str) -> Tenant | None:
        """Return the tenant of a path; None for the multi-tenant paths."""
        if segment.lower() in MANY:
            return None
        tenant = self._cloud.world.tenant(PERSONAL if segment.lower() == "consumers" else segment)
        if tenant is None or tenant.refusal == "tenant_not_found":
            raise Refused(refusals.TENANT_UNKNOWN, tenant=segment[:200])
        return tenant

    def _route(self, request: Request, segment: str, tenant: Tenant | None, rest: str) -> Answer:
        if rest in _FORMS and request.method == "POST":
            return self._form(request, tenant, rest)
        name, version = _ENDPOINTS.get(rest, ("", 0))
        if name in _POSTED and request.method != "POST":
            raise Refused(refusals.METHOD, name="POST")
        match name:
            case "configuration":
                return json_answer(discovery.configuration(request, segment, tenant, version=version))
            case "keys":
                return json_answer(discovery.keys(request, tenant, self._cloud.tokens.key, version=version))
            case "token":
                return self._token.redeem(request, segment, tenant, version=version)
            case "devicecode":
                return self._token.device_code(request, segment, tenant, version=version)
            case "deviceauth":
                return self._devices.page(request, self._sign_in)
            case "authorize":
                return self._authorize.begin(request, segment, tenant, self._sign_in, version=version)
            case "adminconsent":
                return self._admin_consent.begin(request, segment, tenant, self._sign_in, everything=version == 1)
            case "logout":
                return sign_out(request, self._cloud.world, self._sessions)
        raise Refused(refusals.NOTHING_THERE, name=rest[:200])

    def _form(self, request: Request, tenant: Tenant | None, name: str) -> Answer:
        """Process a form of one of the pages."""
        match name:
            case "login":
                return self._sign_in.password(request, tenant)
            case "select":
                return self._sign_in.choose(request, tenant)
            case "mfa":
                return self._sign_in.second_factor(request)
            case "consent":
                return self._authorize.consent(request)
            case "approval":
                return self._authorize.approval(request)
        return self._admin_consent.decide(request)

    def _proven(self, request: Request, flow: Flow, person: Person) -> Answer:
        """Continue with a person whose identity is proven."""
        surface = self._admin_consent if flow.purpose == PURPOSE else self._authorize
        return surface.signed_in(request, flow, person)
