"""Checks the address of a tenant's receiver. The tenant chooses the host, so the address must not be in the relay's network.

The host is resolved once, all its addresses are checked, and the connection goes to one of the checked addresses. So a
later change of the name's addresses has no effect.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

MAX_URL_CHARS: Final = 1000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class NotAllowed(Exception):
    """Notices must not be posted to this address; the text states the reason for the person who set it."""


def fault(url: str) -> str:
    """Return why a URL cannot be used for a receiver, without resolving its host; empty if it can."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        return "It is not a web address."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "It is not a web address."
    if parts.scheme != "https" or not parts.hostname:
        return "It must begin with https:// and a host."
    if parts.username is not None or parts.password is not None:
        return "It must not contain a name or a password."
    if port == 0:
        return "Its port cannot be 0."
    return "It must not have a part after #." if parts.fragment else ""


async def resolve(host: str, port: int, *, private: bool) -> list[str]:
    """Return the addresses of a host, all of them allowed, in the system's order.

    Raises:
        NotAllowed: one of them is not public, and `private` is not set.
        OSError: the host has no address.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if not private and not all(is_public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
        raise NotAllowed("Its host is not on the public internet.")
    return addresses


def is_public(address: Address) -> bool:
    """Return True for an address of the public internet, also inside IPv6 forms of IPv4 addresses."""
    inner = _inside(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address inside an IPv6 one; None without one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
