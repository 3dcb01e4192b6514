"""The token endpoint: redeems codes, device codes and refresh tokens, and issues tokens for the application itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from emulator.entra import consents, credentials, grant_checks, national, parameters, refusals
from emulator.entra.delegated import Delegated
from emulator.entra.issuing import Grant, token_answer
from emulator.entra.refusals import DEATHS, Refused
from emulator.entra.scopes import of_openid, read, split
from emulator.entra.tokens import UNUSED_S, identity_provider

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.device import Devices
    from emulator.entra.flows import Code, Shelf
    from emulator.entra.issuing import Issuer
    from emulator.entra.scopes import RequestedScopes
    from emulator.entra.tokens import RefreshToken
    from emulator.exchange import Answer, Request
    from emulator.world import Application, Person, Tenant

_MOST_FAMILIES: Final = 10_000
_ON_BEHALF_OF: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_DEVICE: Final = {"urn:ietf:params:oauth:grant-type:device_code", "device_code"}
_OF_CONFIDENTIAL: Final = {"client_credentials", _ON_BEHALF_OF}
"""The grant types that a public client cannot use."""


class TokenEndpoint:
    """Redeems codes (once) and refresh tokens (any number of times while valid), and answers client credentials."""

    def __init__(self, cloud: Cloud, codes: Shelf[Code], devices: Devices, issuer: Issuer) -> None:
        self._cloud = cloud
        self._codes = codes
        self._devices = devices
        self._issuer = issuer
        self._delegated = Delegated(cloud, issuer)
        self._ended: dict[str, None] = {}  # families of refresh tokens that a replayed code ended, oldest first

    def redeem(self, request: Request, segment: str, tenant: Tenant | None, *, version: int = 2) -> Answer:
        """Answer a token request; version 1 has `resource` instead of `scope`.

        Raises:
            Refused: it is refused.
        """
        form, application = self._client(request, segment, tenant, version)
        kind = parameters.demand(form, "grant_type")
        credentials.prove(
            application, form, _audiences(request, segment, tenant), request.utc, always=kind in _OF_CONFIDENTIAL
        )
        national.check_resources(request, split(form.get("scope", "")))
        if kind == "authorization_code":
            return self._code(request, form, segment, application)
        if kind == "refresh_token":
            return self._refresh(request, form, tenant, application)
        if kind == "client_credentials":
            return self._itself(request, form, segment, tenant, application)
        if kind in _DEVICE:
            return self._answer(request, form, self._devices.poll(form, application))
        if kind == _ON_BEHALF_OF:
            return self._delegated.on_behalf_of(request, form, application)
        if kind == "password":
            return self._delegated.by_password(request, form, segment, tenant, application)
        raise Refused(refusals.GRANT_TYPE, name=kind[:200])

    def device_code(self, request: Request, segment: str, tenant: Tenant | None, *, version: int = 2) -> Answer:
        """Answer a device's request for its codes; the check for a public client follows at the token request.

        Raises:
            Refused: it is refused.
        """
        form, application = self._client(request, segment, tenant, version)
        return self._devices.begin(request, form, segment, tenant, application)

    def _client(
        self, request: Request, segment: str, tenant: Tenant | None, version: int
    ) -> tuple[dict[str, str], Application]:
        """Return a request's parameters in the form of version 2, and its application, whose credential is not checked."""
        form = parameters.of_body(request)
        if version == 1:
            form = parameters.of_version_1(form)
        application = credentials.client_of(
            self._cloud.world, request, form, tenant.name if tenant is not None else segment
        )
        request.app_id = application.client_id
        return form, application

    def tenant_of(self, request: Request) -> str:
        """Return the tenant of the refresh token in a request, for conditions of one tenant; empty if there is none."""
        if len(request.body) > parameters.MOST_BODY_BYTES:
            return ""
        content = self._cloud.tokens.read_refresh_token(request.form().get("refresh_token", ""))
        return content.tenant_id if content is not None else ""

    def _code(self, request: Request, form: dict[str, str], segment: str, application: Application) -> Answer:
        code = self._codes.get(parameters.demand(form, "code"))
        if code is None:
            raise Refused(refusals.CODE_UNKNOWN)
        request.tenant_id = code.person.tenant.tenant_id
        self._check_code(code, form, segment, application)
        return self._answer(request, form, code)

    def _answer(self, request: Request, form: dict[str, str], code: Code) -> Answer:
        """Return the tokens of a sign-in, for the requested and all earlier permissions."""
        person, application, flow = code.person, code.flow.application, code.flow
        asked = split(form.get("scope", "")) or [*flow.scopes]
        wanted = read(asked, application, single=bool(form.get("scope")))
        code.redeemed = True
        grant_checks.check_tenant(person.tenant, application)
        grant_checks.check_person(self._cloud, person, application, code.issued, code.amr)
        grant_checks.check_consent(person, application, wanted.permissions & flow.permissions or flow.permissions)
        grant = Grant(
            person=person, application=application, permissions=consents.granted(application, person), own=wanted.own,
            openid=of_openid([*flow.scopes, *asked]), amr=code.amr, family=code.family, nonce=flow.nonce,
            auth_time=self._issuer.auth_time(flow), capabilities=parameters.capabilities(form) or flow.capabilities,
        )  # fmt: skip
        return self._issuer.answer(request, grant, asked)

    def _check_code(self, code: Code, form: dict[str, str], segment: str, application: Application) -> None:
        flow = code.flow
        if flow.application is not application:
            raise Refused(refusals.CODE_OTHER_CLIENT)
        if code.redeemed:
            self._replayed(code)
            raise Refused(refusals.CODE_REUSED)
        if self._codes.expired(form["code"]):
            raise Refused(refusals.CODE_EXPIRED)
        if flow.segment.lower() != segment.lower():
            raise Refused(refusals.CODE_OTHER_TENANT)
        if form.get("redirect_uri", "") != flow.redirect_uri:
            raise Refused(refusals.CODE_OTHER_REDIRECT, uri=form.get("redirect_uri", "")[:2000])
        if not _verified(form.get("code_verifier", ""), flow.challenge, flow.challenge_method):
            raise Refused(refusals.VERIFIER)

    def _replayed(self, code: Code) -> None:
        """End the tokens of a code that was redeemed twice, if the switches specify it: an attacker may have been first."""
        if self._cloud.switches.replayed_code_ends_grant:
            while len(self._ended) >= _MOST_FAMILIES:
                del self._ended[next(iter(self._ended))]
            self._ended[code.family] = None

    def _refresh(
        self, request: Request, form: dict[str, str], tenant: Tenant | None, application: Application
    ) -> Answer:
        content = self._cloud.tokens.read_refresh_token(parameters.demand(form, "refresh_token"))
        if content is None or content.family in self._ended:
            raise Refused(refusals.REFRESH_INVALID)
        request.tenant_id = content.tenant_id
        if content.client_id != application.client_id:
            raise Refused(refusals.CODE_OTHER_CLIENT)
        person = self._owner(content, tenant, application)
        request.tenant_id = person.tenant.tenant_id
        national.check(request, person.tenant)
        if content.issued < request.utc - UNUSED_S:
            raise Refused(refusals.UNUSED, issued=grant_checks.instant(content.issued))
        asked = split(form.get("scope", ""))
        wanted = read(asked, application, single=True)
        grant_checks.check_tenant(person.tenant, application)
        grant_checks.check_person(self._cloud, person, application, content.issued, content.amr)
        permissions = self._granted(person, application, wanted, content)
        grant = Grant(
            person=person, application=application, permissions=permissions, own=wanted.own, amr=content.amr,
            openid=of_openid([*content.openid, *asked]), family=content.family,
            capabilities=parameters.capabilities(form),
        )  # fmt: skip
        return self._issuer.answer(request, grant, asked)

    def _granted(
        self, person: Person, application: Application, wanted: RequestedScopes, content: RefreshToken
    ) -> set[str]:
        """Return the permissions of a refreshed token: all with a consent, which must include the requested ones."""
        if not wanted.default:
            grant_checks.check_consent(person, application, wanted.permissions)
        granted = consents.granted(application, person)
        if content.graph and not granted and not wanted.own:
            raise Refused(refusals.NOT_CONSENTED, client=application.client_id)
        return granted

    def _owner(self, content: RefreshToken, tenant: Tenant | None, application: Application) -> Person:
        """Return the person of a refresh token; at another tenant, its guest there."""
        home = self._cloud.world.tenant(content.tenant_id)
        person = home.people.get(content.oid.lower()) if home is not None else None
        if home is None or person is None:
            raise Refused(DEATHS["account_deleted"], tenant=home.name if home is not None else "")
        if tenant is None or tenant is home:
            return person
        guest = tenant.guest(person.upn)
        if guest is not None:
            return guest
        raise Refused(
            refusals.USER_OF_ANOTHER_TENANT, who=person.upn, tenant=tenant.name, client=application.client_id,
            idp=identity_provider(person, tenant),
        )  # fmt: skip

    def _itself(
        self, request: Request, form: dict[str, str], segment: str, tenant: Tenant | None, application: Application
    ) -> Answer:
        """Answer client credentials: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"""
        if segment.lower() in {"common", "consumers"}:
            raise Refused(refusals.GRANT_TYPE_NOT_HERE)
        if tenant is None:
            raise Refused(refusals.TENANT_MISSING)
        request.tenant_id = tenant.tenant_id
        scope = parameters.demand(form, "scope")
        if not scope.lower().endswith("/.default") or len(split(scope)) > 1:
            raise Refused(refusals.SCOPE_NOT_DEFAULT, name=scope[:200])
        wanted = read([scope], application, single=True)
        grant_checks.check_tenant(tenant, application)
        if not tenant.knows(application.client_id):
            raise Refused(refusals.APP_UNKNOWN, client=application.client_id, tenant=tenant.name)
        capabilities = parameters.capabilities(form)
        lifetime_s = self._issuer.lifetime_s(capabilities)
        roles = set() if wanted.own else tenant.app_consents.get(application.client_id, set())
        token = self._cloud.tokens.app_token(
            tenant, application, roles, lifetime_s, version=self._issuer.version(application, own=wanted.own),
            authority=request.authority, capabilities=capabilities, own=wanted.own,
        )  # fmt: skip
        return token_answer(
            {"token_type": "Bearer", "expires_in": lifetime_s, "ext_expires_in": lifetime_s, "access_token": token}
        )


def _audiences(request: Request, segment: str, tenant: Tenant | None) -> set[str]:
    """Return the accepted audiences of an assertion: the token endpoint or the issuer, by any name of the tenant and of Entra."""
    names = {segment, *((tenant.tenant_id, tenant.domain) if tenant is not None else ())}
    bases, paths = {request.base, request.authority}, ("oauth2/v2.0/token", "oauth2/token", "v2.0")
    return {f"{base}/{name}/{path}" for base in bases for name in names for path in paths}


def _verified(verifier: str, challenge: str, method: str) -> bool:
    """Return whether a PKCE verifier matches its challenge; a verifier without a challenge does not."""
    if not challenge:
        return not verifier
    if method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(verifier.encode(), challenge.encode())
