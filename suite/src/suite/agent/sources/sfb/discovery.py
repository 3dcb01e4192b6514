"""The way from autodiscover to the user's home server, and the application that is made there.

Sources: https://learn.microsoft.com/skype-sdk/ucwa/rooturl, /createanapplication, /user_ref, /redirect_ref. The headers `Referer` and
`X-Ms-Origin` of their samples are those of web pages in browsers; they are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.sources.sfb.answers import Application, application_of
from suite.agent.sources.sfb.errors import UcwaBroken
from suite.agent.sources.sfb.hosts import KnownHosts, root_of

if TYPE_CHECKING:
    from suite.agent.settings.groups.sfb import SfbSettings
    from suite.agent.sources.sfb.http import UcwaHttp

MOST_HOPS: Final = 6
"""Most addresses from the root to the home server. Microsoft's sequence has two, and one more for each redirection."""
CULTURE: Final = "en-US"
USER_AGENT: Final = "presence-suite agent"


def roots_of(settings: SfbSettings) -> tuple[str, ...]:
    """Return the addresses of autodiscover to try, in order: the one that is set, or the domain's, on the inside first."""
    if settings.address:
        return (root_of(settings.address),)
    return tuple(root_of(f"{name}.{settings.domain}") for name in ("lyncdiscoverinternal", "lyncdiscover"))


def hosts_of(settings: SfbSettings) -> KnownHosts:
    """Return the hosts of a new session: the root's only."""
    return KnownHosts(roots_of(settings)[0])


async def applications_of(http: UcwaHttp, settings: SfbSettings) -> str:
    """Return the address at which applications are made, on the user's home server.

    Raises:
        UcwaError: as of `UcwaHttp.send`; of the last root that was tried.
    """
    first, *others = roots_of(settings)
    try:
        return await _follow(http, http.hosts.named("", first))
    except UcwaBroken:
        if not others:
            raise
    return await _follow(http, http.hosts.named("", others[0]))


async def _follow(http: UcwaHttp, at: str) -> str:
    """Follow the links of autodiscover. The user resource, which names the home server, needs a token."""
    for _ in range(MOST_HOPS):
        answer = await http.get(at)
        if applications := answer.link("applications"):
            return http.hosts.named(at, applications)
        following = answer.link("redirect") or answer.link("user")
        if not following:
            raise UcwaBroken(
                "SfB.Address is not an autodiscover server of Skype for Business: its answer has no user resource."
            )
        at = http.hosts.named(at, following)
    raise UcwaBroken("Autodiscover redirects without end.")


async def application_at(http: UcwaHttp, applications: str, endpoint_id: str) -> Application:
    """Make an application, and return it.

    Args:
        http: the requests.
        applications: where to make it.
        endpoint_id: distinguishes this agent from the user's other applications.

    Raises:
        UcwaError: as of `UcwaHttp.send`.
    """
    wanted = {"userAgent": USER_AGENT, "endpointId": endpoint_id, "culture": CULTURE}
    answer = await http.send("POST", applications, wanted)
    return application_of(answer, lambda href: http.hosts.known(applications, href))
