"""Refuses requests for tenants at the host names of another Microsoft cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulator.entra.refusals import RESOURCE_UNKNOWN, TENANT_DEATHS, Refused
from emulator.hosts import CLOUDS, is_login_of

if TYPE_CHECKING:
    from emulator.exchange import Request
    from emulator.hosts import CloudName
    from emulator.world import Tenant

_DOCUMENT: Final = "/.well-known/openid-configuration"
_GRAPHS: Final = {f"https://{cloud.graph}": name for name, cloud in CLOUDS.items()}


def check(request: Request, tenant: Tenant | None) -> None:
    """Refuse requests that belong to another cloud's Entra, except for discovery documents, which name that cloud.

    Seen: a confidential client at the wrong cloud's token endpoint is refused with 900382
    (https://blog.jongallant.com/2020/02/azure-identity-other-clouds/). Assumed: the document of a tenant names its own
    cloud at every host, and a sign-in at another cloud is refused with 90038.

    Raises:
        Refused: the tenant is in a cloud with another Entra.
    """
    if tenant is None or not request.host or is_login_of(request.host, tenant.cloud):
        return
    if not request.path.endswith(_DOCUMENT):
        token = request.path.endswith("/oauth2/v2.0/token")
        raise Refused(TENANT_DEATHS["cross_cloud_client" if token else "national_cloud"], tenant=tenant.domain)
    request.cloud = tenant.cloud
    request.base = f"https://{CLOUDS[tenant.cloud].logins[0]}"


def check_resources(request: Request, scopes: list[str]) -> None:
    """Refuse scopes of another cloud's Graph, which is not an application in this cloud's tenants.

    Raises:
        Refused: one of the scopes is of another cloud's Graph.
    """
    for scope in scopes:
        asked = scope.rpartition("/")[0].rstrip("/").lower()
        cloud = _GRAPHS.get(asked)
        if cloud is None or (cloud == request.cloud if request.tenant_id else _may_be(request, cloud)):
            continue
        raise Refused(RESOURCE_UNKNOWN, name=asked)


def _may_be(request: Request, cloud: CloudName) -> bool:
    """Return whether a request without a tenant may be for a cloud."""
    return not request.host or is_login_of(request.host, cloud)
