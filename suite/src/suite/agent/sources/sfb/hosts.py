"""The hosts to which requests may go: those that the administrator set, and those that autodiscover named. Pure.

A server's answers contain many addresses. A wrong one must not receive the token, nor make the agent send requests to machines that it can
reach and the server cannot. So only HTTPS links to these hosts are followed.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from suite.agent.sources.sfb.errors import UcwaBroken

MOST_HOSTS: Final = 20
MOST_CHARS: Final = 4_096
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_UNCLEAR: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that URL parsers interpret differently."""


class KnownHosts:
    """The hosts to which requests may go, each with its port."""

    def __init__(self, root: str) -> None:
        """Begin with the host that the settings name, or that follows from the domain.

        Raises:
            UcwaBroken: it is no address.
        """
        self._origins: list[str] = []
        self.root = self.named("", root)

    def named(self, base: str, href: str) -> str:
        """Return the whole address of a link of autodiscover, and allow requests to its host from now on.

        Args:
            base: the address of the resource that has the link.
            href: the link, whole or relative.

        Raises:
            UcwaBroken: it is not an HTTPS address, or autodiscover names more than `MOST_HOSTS` hosts.
        """
        whole = _whole(base, href)
        if origin_of(whole) not in self._origins:
            if len(self._origins) >= MOST_HOSTS:
                raise UcwaBroken(f"Autodiscover names more than {MOST_HOSTS} hosts.")
            self._origins.append(origin_of(whole))
        return whole

    def known(self, base: str, href: str) -> str:
        """Return the whole address of a link.

        Raises:
            UcwaBroken: it leads to a host that autodiscover did not name.
        """
        whole = _whole(base, href)
        if origin_of(whole) not in self._origins:
            raise UcwaBroken("The server sent a link to a host that autodiscover did not name. It is not followed.")
        return whole


def origin_of(whole: str) -> str:
    """Return scheme, host and port of a whole address."""
    parts = urlsplit(whole)
    return f"{parts.scheme}://{parts.netloc}"


def with_query(whole: str, **more: int) -> str:
    """Return an address with more parameters. Those that the server put there stay as they are, unless they have the same name.

    Source: https://learn.microsoft.com/skype-sdk/ucwa/queryparameters
    """
    parts = urlsplit(whole)
    kept = [piece for piece in parts.query.split("&") if piece and piece.partition("=")[0] not in more]
    return parts._replace(query="&".join([*kept, *(f"{name}={value}" for name, value in more.items())])).geturl()


def root_of(address: str) -> str:
    """Return the address of autodiscover's root for what a person set: a host, `host:port`, or an address."""
    return address if "://" in address else f"https://{address}/"


def _whole(base: str, href: str) -> str:
    """Return the whole address of a link, rebuilt from its parts, so that every later parser reads it alike.

    Raises:
        UcwaBroken: it is not an HTTPS address.
    """
    wrong = UcwaBroken("The server sent a link that is not an HTTPS address. It is not followed.")
    if not href or len(href) > MOST_CHARS or _UNCLEAR.search(href):
        raise wrong
    try:
        parts = urlsplit(urljoin(base, href))
        host, port = parts.hostname or "", 443 if parts.port is None else parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme != "https" or "@" in parts.netloc or not _HOST.fullmatch(host) or not port:
        raise wrong
    place = f"[{host}]" if ":" in host else host
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return f"https://{place}:{port}{path}{f'?{query}' if query else ''}"
