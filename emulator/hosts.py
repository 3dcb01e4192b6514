"""Microsoft's host names, and the cloud that each belongs to.

The emulator answers under all of them and under 127.0.0.1. A request's host determines its cloud, and the links in the answer
use that host. 127.0.0.1 serves all clouds; the tenant determines the cloud.

https://learn.microsoft.com/graph/deployments and https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

CloudName = Literal["global", "us_gov", "us_dod", "china"]


@dataclass(frozen=True, slots=True, kw_only=True)
class National:
    """One of Microsoft's clouds. Each has separate directories, applications and tokens."""

    logins: tuple[str, ...]
    """Entra's host names; the first is the one that issuers name."""
    graph: str
    sts: str
    """The host that issuers of version 1.0 name."""
    graph_of_old: str
    """Azure AD Graph's host, which discovery documents still name."""
    region: str | None = None
    """`tenant_region_scope` and …"""
    sub_region: str | None = None
    """… `tenant_region_sub_scope` in the discovery documents of this cloud's tenants."""

    @property
    def cached_as(self) -> str:
        """The name under which MSAL's libraries keep tokens of this cloud."""
        return "login.windows.net" if "login.windows.net" in self.logins else self.logins[0]

    @property
    def instance(self) -> str:
        """Return the `cloud_instance_name` of discovery documents."""
        return self.logins[0].removeprefix("login.")


_US_LOGINS: Final = ("login.microsoftonline.us", "login.usgovcloudapi.net")

CLOUDS: Final[dict[CloudName, National]] = {
    "global": National(
        logins=("login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"),
        graph="graph.microsoft.com", sts="sts.windows.net", graph_of_old="graph.windows.net",
    ),
    "us_gov": National(
        logins=_US_LOGINS, graph="graph.microsoft.us", sts="sts.windows.net", graph_of_old="graph.microsoftazure.us",
        region="USGov", sub_region="DODCON",
    ),
    "us_dod": National(
        logins=_US_LOGINS, graph="dod-graph.microsoft.us", sts="sts.windows.net", graph_of_old="graph.microsoftazure.us",
        region="USGov", sub_region="DOD",
    ),
    "china": National(
        logins=("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"), graph="microsoftgraph.chinacloudapi.cn",
        sts="sts.chinacloudapi.cn", graph_of_old="graph.chinacloudapi.cn",
    ),
}  # fmt: skip


class Place(NamedTuple):
    """The cloud, host and base address that a request was sent to."""

    base: str
    """Beginning of links to the same host: `https://graph.microsoft.com`."""
    host: str = ""
    """Microsoft's host name; empty: a loopback address."""
    cloud: CloudName = "global"
    surface: Literal["", "entra", "graph"] = ""
    """The service that answers under that name; empty: either, by the path."""


def _known() -> dict[str, tuple[CloudName, Literal["entra", "graph"]]]:
    """Host name -> cloud and surface. The two American clouds share one Entra, and the first of them stands for both."""
    found: dict[str, tuple[CloudName, Literal["entra", "graph"]]] = {}
    for name, cloud in CLOUDS.items():
        found[cloud.graph] = (name, "graph")
        for login in cloud.logins:
            found.setdefault(login, (name, "entra"))
    return found


KNOWN: Final = _known()
"""Every host name that the emulator answers under."""


_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


def place(host_header: str, origin: str) -> Place:
    """Return the place that a request was sent to, from its `Host` header.

    Args:
        host_header: as the client sent it. Links use it even if it is a loopback address, because a port may be forwarded.
        origin: the cloud's own address.
    """
    name, _, port = host_header.lower().partition(":")
    if name in _LOOPBACK and port.isdecimal():
        return Place(f"https://{name}:{port}")
    known = KNOWN.get(name)
    if known is None or not (port.isdecimal() or not port):
        return Place(origin)
    return Place(f"https://{host_header.lower()}", name, *known)


def is_login_of(host: str, cloud: CloudName) -> bool:
    """Return whether a host is a cloud's Entra; the two American clouds share one."""
    return host in CLOUDS[cloud].logins
