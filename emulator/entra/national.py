"""Refuses tenants that are requested at the host names of another of Microsoft's clouds."""

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
    """Refuse what another cloud's Entra has to answer; only discovery documents are answered, and name that one.

    Seen: a confidential client at the wrong cloud's token endpoint is refused with 900382
    (https://blog.jongallant.com/2020/02/azure-identity-other-clouds/). Assumed: the document of a tenant names its own
    cloud wherever it is fetched from, and people who sign in elsewhere are told 90038.

    Raises:
        Refused: the tenant lives in a cloud that has another Entra.
    """
    if tenant is None or not request.host or is_login_of(request.host, tenant.cloud):
        return
    if not request.path.endswith(_DOCUMENT):
        token = request.path.endswith("/oauth2/v2.0/token")
        raise Refused(TENANT_DEATHS["cross_cloud_client" if token else "national_cloud"], tenant=tenant.domain)
    request.cloud = tenant.cloud
    request.base = f"https://{CLOUDS[tenant.cloud].logins[0]}"


def check_resources(request: Request, scopes: list[str]) -> None:
    """Refuse scopes of another cloud's Graph, which is not an application that this cloud's tenants know.

    Raises:
        Refused: there is one among them.
    """
    for scope in scopes:
        asked = scope.rpartition("/")[0].rstrip("/").lower()
        cloud = _GRAPHS.get(asked)
        if cloud is None or (cloud == request.cloud if request.tenant_id else _may_be(request, cloud)):
            continue
        raise Refused(RESOURCE_UNKNOWN, name=asked)


def _may_be(request: Request, cloud: CloudName) -> bool:
    """Tell whether a request that names no tenant may be meant for a cloud."""
    return not request.host or is_login_of(request.host, cloud)
