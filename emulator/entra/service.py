"""Entra's routes. The first part of each path is a tenant: a GUID, a domain, `organizations` or `common`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emulator.entra import refusals
from emulator.entra.authorize import Authorize
from emulator.entra.refusals import Refused
from emulator.entra.token import Token
from emulator.exchange import Answer, Request, json_answer

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.world import Tenant

MANY: Final = {"organizations", "common"}
TOKEN_PATH: Final = "/oauth2/v2.0/token"


class Entra:
    """Entra ID's public surface."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._authorize = Authorize(cloud)
        self._token = Token(cloud, self._authorize.codes)

    def tenant_of(self, request: Request) -> str:
        """The tenant that a request is about, as far as path and refresh token tell; empty when they do not."""
        tenant = self._cloud.world.tenant(request.path.split("/", 2)[1])
        if tenant is not None:
            return tenant.tenant_id
        return self._token.tenant_of(request) if request.path.endswith(TOKEN_PATH) else ""

    def handle(self, request: Request) -> Answer:
        """Answer a request."""
        segment, _, rest = request.path.removeprefix("/").partition("/")
        try:
            tenant = self._tenant(segment)
            return self._route(request, segment, tenant, rest)
        except Refused as refused:
            return refusals.answer(refused, request)

    def _tenant(self, segment: str) -> Tenant | None:
        """The tenant of a path; None for the paths of many tenants."""
        if segment.lower() in MANY:
            return None
        tenant = self._cloud.world.tenant(segment)
        if tenant is None:
            raise Refused(refusals.TENANT_UNKNOWN, tenant=segment)
        return tenant

    def _route(self, request: Request, segment: str, tenant: Tenant | None, rest: str) -> Answer:
        match rest:
            case "v2.0/.well-known/openid-configuration" | ".well-known/openid-configuration":
                return json_answer(self._configuration(segment, tenant, v1=not rest.startswith("v2.0")))
            case "discovery/v2.0/keys" | "discovery/keys":
                return json_answer(
                    {"keys": [self._cloud.tokens.key.public(self._issuer(tenant, v1=rest == "discovery/keys"))]}
                )
            case "oauth2/v2.0/authorize":
                return self._authorize.begin(request, segment, tenant)
            case "login" if request.method == "POST":
                return self._authorize.sign_in(request, tenant)
            case "consent" if request.method == "POST":
                return self._authorize.consent(request)
            case "approval" if request.method == "POST":
                return self._authorize.approval(request)
            case "oauth2/v2.0/token":
                if request.method != "POST":
                    raise Refused(refusals.METHOD, name="POST")
                return self._token.redeem(request, segment, tenant)
        return Answer(404, b"", b"text/plain")

    def _issuer(self, tenant: Tenant | None, *, v1: bool = False) -> str:
        tid = "{tenantid}" if tenant is None else tenant.tenant_id
        return f"https://sts.windows.net/{tid}/" if v1 else self._cloud.tokens.issuer(tid)

    def _configuration(self, segment: str, tenant: Tenant | None, *, v1: bool) -> dict[str, Any]:
        base = f"{self._cloud.url}/{segment if tenant is None else tenant.tenant_id}"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/keys" if v1 else f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": self._issuer(tenant, v1=v1),
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "http_logout_supported": True,
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "nonce",
                "preferred_username",
                "name",
                "tid",
                "oid",
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
            "rbac_url": "https://pas.windows.net",
        }
