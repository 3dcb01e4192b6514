"""Discovery documents, key documents and instance discovery.

https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from emulator.entra import parameters, refusals
from emulator.entra.refusals import Refused
from emulator.hosts import CLOUDS

if TYPE_CHECKING:
    from emulator.entra.keys import SigningKey
    from emulator.exchange import Request
    from emulator.world import Tenant

USERINFO: Final = "/oidc/userinfo"
_CLAIMS: Final = (
    "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name", "msgraph_host", "aud", "exp",
    "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email",
)  # fmt: skip


def configuration(request: Request, segment: str, tenant: Tenant | None, *, version: int) -> dict[str, Any]:
    """Return the discovery document of a tenant, or of the multi-tenant paths, whose issuer contains `{tenantid}`."""
    base = f"{request.base}/{segment if tenant is None else tenant.tenant_id}"
    endpoints = f"{base}/oauth2/v2.0" if version == 2 else f"{base}/oauth2"
    cloud = CLOUDS[request.cloud]
    return {
        "token_endpoint": f"{endpoints}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/v2.0/keys" if version == 2 else f"{base}/discovery/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer(request, tenant, version=version),
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"https://{cloud.graph}{USERINFO}" if request.host else f"{request.base}{USERINFO}",
        "authorization_endpoint": f"{endpoints}/authorize",
        "device_authorization_endpoint": f"{endpoints}/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{endpoints}/logout",
        "claims_supported": list(_CLAIMS),
        "tenant_region_scope": cloud.region,
        "cloud_instance_name": cloud.instance,
        "cloud_graph_host_name": cloud.graph_of_old,
        "msgraph_host": cloud.graph,
        "rbac_url": "https://pas.windows.net",
    }


def keys(request: Request, tenant: Tenant | None, key: SigningKey, *, version: int) -> dict[str, Any]:
    """Return the key document: each key names its issuer."""
    return {"keys": key.public(issuer(request, tenant, version=version))}


def issuer(request: Request, tenant: Tenant | None, *, version: int) -> str:
    """Return the issuer of a tenant's tokens of one version."""
    tid = "{tenantid}" if tenant is None else tenant.tenant_id
    return f"{request.authority}/{tid}/v2.0" if version == 2 else f"https://{CLOUDS[request.cloud].sts}/{tid}/"


def instance(request: Request) -> dict[str, Any]:
    """Return the host names of each cloud, and the address of the discovery document of `authorization_endpoint`.

    MSAL requests it if it does not know an authority's host.

    Raises:
        Refused: the authority's host is neither Microsoft's nor this emulator.
    """
    endpoint = parameters.of_query(request).get("authorization_endpoint", "")
    if not endpoint:
        raise Refused(refusals.DISCOVERY_MALFORMED, name="authorization_endpoint")
    try:
        asked = urlsplit(endpoint)
        host = asked.hostname or ""
    except ValueError:
        raise Refused(refusals.DISCOVERY_MALFORMED, name="authorization_endpoint") from None
    own = urlsplit(request.base).netloc
    known = {login for cloud in CLOUDS.values() for login in cloud.logins}
    if asked.scheme != "https" or (host not in known and asked.netloc != own):
        raise Refused(refusals.INSTANCE)
    segment = asked.path.strip("/").partition("/")[0] or "common"
    version = "/v2.0" if "/v2.0/" in asked.path else ""
    return {
        "tenant_discovery_endpoint": f"https://{asked.netloc}/{segment}{version}/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": _metadata(own),
    }


def _metadata(own: str) -> list[dict[str, Any]]:
    """Return the host names of each cloud with a separate Entra, as built into MSAL.

    This emulator's address has no aliases.
    """
    clouds = {cloud.logins: cloud for cloud in CLOUDS.values()}
    found = [
        {"preferred_network": names[0], "preferred_cache": cloud.cached_as, "aliases": list(names)}
        for names, cloud in clouds.items()
    ]
    if not any(own in each["aliases"] for each in found):
        found.append({"preferred_network": own, "preferred_cache": own, "aliases": [own]})
    return found
