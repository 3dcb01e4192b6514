"""Choose the HTTP proxy to connect through.

gRPC itself reads only the lower-case variables. This module reads both spellings, the lower-case one first as in curl, and passes
the result to gRPC as channel options, which take precedence.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from suite.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that supports CONNECT. `url` may contain a password and is never shown; `shown` is host and port."""

    url: str
    shown: str

    def __repr__(self) -> str:
        return f"Proxy({self.shown})"


def choose_proxy(host: str, port: int, explicit: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy for an address: `explicit`, or none if it is "". With None, use HTTPS_PROXY unless NO_PROXY exempts the address.

    Raises:
        ConfigError: the proxy's URL is not supported.
    """
    if explicit is not None:
        return parse_proxy(explicit) if explicit else None
    url = environ.get("https_proxy") or environ.get("HTTPS_PROXY")
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not url or is_exempt(host, port, exempt):
        return None
    return parse_proxy(url)


def parse_proxy(url: str) -> Proxy:
    """Return the proxy of `http://[user:password@]host[:port]`. The scheme may be left out."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise ConfigError("The proxy's URL cannot be read; write http://host:port.") from None
    if parts.scheme != "http":
        raise ConfigError(
            f"A proxy with the scheme {parts.scheme} is not supported; write http://host:port. "
            "(The stream through it is still encrypted.)"
        )
    if not host:
        raise ConfigError("The proxy's URL names no host; write http://host:port.")
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    userinfo, at, _ = parts.netloc.rpartition("@")
    return Proxy(f"http://{userinfo}{at}{authority}", authority)


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Return True when NO_PROXY covers the host: `*`, its domain or a parent, its address or network. An entry may have a port."""
    return any(_matches(host.lower().strip("[]"), port, entry.strip().lower()) for entry in no_proxy.split(","))


def _matches(host: str, port: int, entry: str) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    bare, _, entry_port = entry.rpartition(":")
    if bare and entry_port.isdigit() and (bare.endswith("]") or ":" not in bare):
        if int(entry_port) != port:
            return False
        entry = bare
    address = _address(host)
    if address is not None:
        network = _network(entry.strip("[]"))
        return network is not None and address in network
    domain = entry.removeprefix("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith("." + domain))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
