"""The token endpoint: codes and refresh tokens redeemed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from emulator.entra import credentials, refusals
from emulator.entra.refusals import BY_TIME, DEATHS, Refused
from emulator.entra.scopes import OPENID, permissions, split
from emulator.entra.tokens import UNUSED_S, client_info
from emulator.exchange import Answer, json_answer

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.entra.codes import Code, Shelf
    from emulator.exchange import Request
    from emulator.world import Application, Person, Tenant


class Token:
    """Redeems codes (once) and refresh tokens (as often as they live)."""

    def __init__(self, cloud: Cloud, codes: Shelf[Code]) -> None:
        self._cloud = cloud
        self._codes = codes

    def redeem(self, request: Request, segment: str, tenant: Tenant | None) -> Answer:
        """Take a token request.

        Raises:
            Refused: it is refused.
        """
        form = request.form()
        application = credentials.client_of(self._cloud.world, request, form)
        request.app_id = application.client_id
        credentials.prove(application, form, self._audiences(segment, tenant))
        kind = form.get("grant_type", "")
        if kind == "authorization_code":
            return self._code(request, form, segment, application)
        if kind == "refresh_token":
            return self._refresh(request, form, tenant, application)
        raise Refused(refusals.GRANT_TYPE, name=kind)

    def tenant_of(self, request: Request) -> str:
        """The tenant of the refresh token in a request, for what concerns one tenant only; empty when there is none."""
        content = self._cloud.tokens.read_refresh_token(request.form().get("refresh_token", ""))
        return content.tenant_id if content is not None else ""

    def _audiences(self, segment: str, tenant: Tenant | None) -> set[str]:
        """What an assertion may be meant for: the token endpoint or the issuer, by any name of the tenant."""
        names = {segment, *((tenant.tenant_id, tenant.domain) if tenant is not None else ())}
        paths = ("oauth2/v2.0/token", "v2.0")
        return {f"{self._cloud.url}/{name}/{path}" for name in names for path in paths}

    def _code(self, request: Request, form: dict[str, str], segment: str, application: Application) -> Answer:
        code = self._codes.get(form.get("code", ""))
        if code is None:
            raise Refused(refusals.CODE_UNKNOWN)
        request.tenant_id = code.person.tenant.tenant_id
        self._check_code(code, form, segment, application)
        code.redeemed = True
        self._check_alive(code.person, application, code.flow.permissions, code.issued)
        asked = split(form.get("scope", "")) or code.flow.scopes
        granted = permissions(asked, application) & code.flow.permissions or code.flow.permissions
        return self._tokens(code.person, application, granted, code.flow.scopes, asked, nonce=code.flow.nonce)

    def _check_code(self, code: Code, form: dict[str, str], segment: str, application: Application) -> None:
        flow = code.flow
        if flow.application is not application:
            raise Refused(refusals.CODE_OTHER_CLIENT)
        if code.redeemed:
            raise Refused(refusals.CODE_REUSED)
        if self._codes.stale(code):
            raise Refused(refusals.CODE_EXPIRED)
        if flow.segment.lower() != segment.lower():
            raise Refused(refusals.CODE_OTHER_TENANT)
        if form.get("redirect_uri", "") != flow.redirect_uri:
            raise Refused(refusals.CODE_OTHER_REDIRECT, uri=form.get("redirect_uri", ""))
        if not _verified(form.get("code_verifier", ""), flow.challenge, flow.challenge_method):
            raise Refused(refusals.VERIFIER)

    def _refresh(
        self, request: Request, form: dict[str, str], tenant: Tenant | None, application: Application
    ) -> Answer:
        content = self._cloud.tokens.read_refresh_token(form.get("refresh_token", ""))
        if content is None:
            raise Refused(refusals.REFRESH_INVALID)
        request.tenant_id = content.tenant_id
        if content.client_id != application.client_id:
            raise Refused(refusals.CODE_OTHER_CLIENT)
        person = self._owner(content.tenant_id, content.oid, tenant)
        if content.issued < time.time() - UNUSED_S:
            raise Refused(refusals.UNUSED, issued=f"{datetime.fromtimestamp(content.issued, UTC):%Y-%m-%dT%H:%M:%SZ}")
        consented = person.tenant.consented(application.client_id, person)
        asked = split(form.get("scope", ""))
        wanted = permissions(asked, application) or {
            name for name in permissions([".default"], application) if name.lower() in consented
        }
        self._check_alive(person, application, wanted, content.issued)
        return self._tokens(person, application, wanted, ["openid", "offline_access"], asked)

    def _owner(self, tenant_id: str, oid: str, tenant: Tenant | None) -> Person:
        home = self._cloud.world.tenant(tenant_id)
        person = home.people.get(oid.lower()) if home is not None else None
        if person is None:
            raise Refused(DEATHS["account_deleted"])
        if tenant is not None and tenant is not home:
            raise Refused(refusals.USER_OF_ANOTHER_TENANT, who=person.upn, tenant=tenant.name)
        return person

    def _check_alive(self, person: Person, application: Application, wanted: set[str], issued: float) -> None:
        """Check everything that can have happened to a grant since it was given."""
        if not person.enabled:
            raise Refused(refusals.USER_DISABLED)
        if person.refusal and (person.refusal not in BY_TIME or issued < person.tokens_valid_from):
            raise Refused(DEATHS[person.refusal], client=application.client_id)
        consented = person.tenant.consented(application.client_id, person)
        if not wanted or any(name.lower() not in consented for name in wanted):
            raise Refused(refusals.NOT_CONSENTED, client=application.client_id)

    def _tokens(
        self, person: Person, application: Application, granted: set[str], allowed: list[str], asked: list[str], *,
        nonce: str = "",
    ) -> Answer:  # fmt: skip
        tokens, lifetime_s = self._cloud.tokens, self._cloud.switches.access_token_s
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(_told(asked, granted)),
            "expires_in": lifetime_s,
            "ext_expires_in": lifetime_s,
            "access_token": tokens.access_token(person, application, granted, lifetime_s),
            "client_info": client_info(person),
        }
        lower = {scope.lower() for scope in (*allowed, *asked)}
        if "offline_access" in lower:
            body["refresh_token"] = tokens.refresh_token(person, application)
        if "openid" in lower:
            body["id_token"] = tokens.id_token(person, application, nonce)
        answer = json_answer(body)
        answer.headers += [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
        return answer


def _told(asked: list[str], granted: set[str]) -> list[str]:
    """The scopes as the answer names them: Graph's as they were asked for, so that MSAL's cache finds them again."""
    lower = {name.lower() for name in granted}
    graph = [scope for scope in asked if scope.rpartition("/")[2].lower() in lower] or sorted(granted)
    return [*graph, *(scope for scope in asked if scope.lower() in OPENID - {"offline_access"})]


def _verified(verifier: str, challenge: str, method: str) -> bool:
    """Whether a PKCE verifier fits; a verifier without a challenge fits none."""
    if not challenge:
        return not verifier
    if method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(verifier.encode(), challenge.encode())
