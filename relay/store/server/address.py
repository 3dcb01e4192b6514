"""The URL of Redis: one server, a service that sentinels watch, or a cluster. Only this module parses it. (Pure.)

    redis://user:password@host:6379/0                                    one server
    rediss://…                                                           the same over TLS
    unix:///path?db=0                                                    the same on this machine
    redis+sentinel://user:password@sentinel1:26379,sentinel2/service/0   the primary that the sentinels name
    redis+cluster://user:password@host1:6379,host2                       a cluster, found from any of its nodes

`rediss+sentinel://` and `rediss+cluster://` are the same over TLS. User name and password are for the data servers.
Options are those of redis-py (`ssl_ca_certs` and so on). Options with the prefix `sentinel_` are for the sentinels:
they have a user name and password only if these options set them, and use TLS like the data servers unless
`sentinel_ssl` says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_ENCODED: Final = (
    "cannot be read; characters with a meaning in a URL must be percent-encoded in user name and password: "
    "/ as %2F, # as %23, ? as %3F, % as %25"
)
SENTINEL_PORT: Final = 26379
REDIS_PORT: Final = 6379
MOST_PLACES: Final = 32
"""Maximum number of sentinels, or of cluster nodes, in a URL."""

_SSL: Final = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_check_hostname", "ssl_cert_reqs", "ssl_keyfile"}
)
_SENTINEL: Final = "sentinel_"
_SENTINEL_OWN: Final = frozenset({"sentinel_username", "sentinel_password", "sentinel_ssl"})
_SERVER: Final = _SSL | {"client_name", "health_check_interval", "socket_keepalive"}
_STANDALONE: Final = _SERVER | {"db", "username", "password"}
_FORM: Final = re.compile(r"(redis|rediss|unix|rediss?\+sentinel|rediss?\+cluster)://", re.IGNORECASE)
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class TopologyKind(StrEnum):
    """The kinds of topology."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class AddressInvalid(ValueError):
    """A URL of Redis cannot be used. The text says why, and contains nothing that may be secret."""


@dataclass(frozen=True, slots=True)
class _Access:
    """Protocol, credentials and options of servers: everything in a URL except host and port."""

    tls: bool
    user_info: str = ""
    """As in a URL, with the `@`; empty if there is none."""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def url(self, host: str, port: int) -> str:
        """Return redis-py's URL of a server."""
        where = f"[{host}]" if ":" in host else host
        query = f"?{urlencode(self.options)}" if self.options else ""
        return f"{'rediss' if self.tls else 'redis'}://{self.user_info}{where}:{port}{self.path}{query}"


@dataclass(frozen=True, slots=True, repr=False)
class RedisAddress:
    """A URL of Redis in its parts.

    Attributes:
        kind: one server, sentinels or a cluster.
        places: (host, port) of the sentinels, or of nodes of the cluster, or of the one server; empty for a socket.
        service: the sentinels' name for the data servers.
    """

    kind: TopologyKind
    places: tuple[tuple[str, int], ...]
    service: str
    _whole: str
    _servers: _Access
    _sentinels: _Access

    def server_url(self, host: str, port: int) -> str:
        """Return redis-py's URL of a data server."""
        return self._servers.url(host, port)

    def sentinel_url(self, host: str, port: int) -> str:
        """Return redis-py's URL of a sentinel."""
        return self._sentinels.url(host, port)

    @property
    def url(self) -> str:
        """Return redis-py's URL of the one server."""
        return self._whole

    @property
    def is_encrypted(self) -> bool:
        """Return whether all connections use TLS."""
        return self._servers.tls and (self.kind is not TopologyKind.SENTINEL or self._sentinels.tls)


def parse_address(url: str) -> RedisAddress:
    """Return the parts of a URL.

    Raises:
        AddressInvalid: it cannot be used.
    """
    found = _FORM.match(url)
    if found is None:
        raise AddressInvalid(
            "is not a Redis URL; it begins with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, "
            "redis+cluster:// or rediss+cluster://"
        )
    scheme, _, kind = found[1].lower().partition("+")
    if not kind:
        return _standalone(url, scheme)
    rest = url[found.end() :]
    end = next((place for place, sign in enumerate(rest) if sign in "/?#"), len(rest))
    user_info, at, hosts = rest[:end].rpartition("@")
    path, _, query = rest[end:].partition("?")
    if "#" in rest or "@" in path + query:
        raise AddressInvalid(NOT_ENCODED)
    tls, login = scheme == "rediss", user_info + at
    if kind == "sentinel":
        return _sentinel(url, hosts, path, _options(query, _SERVER | _sentinel_options()), _Access(tls, login))
    return _cluster(url, hosts, path, _options(query, _SERVER), _Access(tls, login))


def _standalone(url: str, scheme: str) -> RedisAddress:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port  # urlsplit parses the port on access
    except ValueError:
        raise AddressInvalid(NOT_ENCODED) from None
    # A `/`, `#` or `?` in a password ends the host early, so the URL would name another host.
    if scheme == "unix":
        is_whole = not parts.fragment and (not parts.netloc or "@" in parts.netloc)
    else:
        is_whole = not parts.fragment and "@" not in parts.path + parts.query and host is not None
    if not is_whole:
        raise AddressInvalid(NOT_ENCODED)
    _options(parts.query, _STANDALONE)
    places = () if scheme == "unix" or host is None else ((host, port or REDIS_PORT),)
    access = _Access(scheme == "rediss")
    return RedisAddress(TopologyKind.STANDALONE, places, "", url, access, access)


def _sentinel(url: str, hosts: str, path: str, options: dict[str, str], access: _Access) -> RedisAddress:
    service, _, db = path.removeprefix("/").partition("/")
    if not service:
        raise AddressInvalid(
            "has no service name; it goes behind the sentinels: redis+sentinel://sentinel1,sentinel2/mymaster"
        )
    if db and not (db.isascii() and db.isdigit()):
        raise AddressInvalid("has something after the service name that is not a database number")
    shared = {name: value for name, value in options.items() if not name.startswith(_SENTINEL)}
    own = {
        name.removeprefix(_SENTINEL): value
        for name, value in options.items()
        if name.startswith(_SENTINEL) and name not in _SENTINEL_OWN
    }
    user, password = (quote(options.get(f"{_SENTINEL}{name}", ""), safe="") for name in ("username", "password"))
    tls = _truth(options.get("sentinel_ssl"), default=access.tls)
    ssl = {name: value for name, value in shared.items() if name in _SSL} | own if tls else {}
    sentinels = _Access(tls, f"{user}:{password}@" if user or password else "", "", ssl)
    servers = _Access(access.tls, access.user_info, f"/{db}" if db else "", _of_tls(shared, tls=access.tls))
    places = _places(hosts, SENTINEL_PORT)
    return RedisAddress(TopologyKind.SENTINEL, places, unquote(service), url, servers, sentinels)


def _cluster(url: str, hosts: str, path: str, options: dict[str, str], access: _Access) -> RedisAddress:
    if path.strip("/") not in ("", "0"):
        raise AddressInvalid("names a database; a Redis Cluster has only database 0")
    servers = _Access(access.tls, access.user_info, "", _of_tls(options, tls=access.tls))
    return RedisAddress(TopologyKind.CLUSTER, _places(hosts, REDIS_PORT), "", url, servers, servers)


def _of_tls(options: dict[str, str], *, tls: bool) -> dict[str, str]:
    """Return the options, without the TLS options if TLS is off: redis-py's plain connections do not accept them."""
    return {name: value for name, value in options.items() if tls or name not in _SSL}


def _sentinel_options() -> frozenset[str]:
    return _SENTINEL_OWN | {f"{_SENTINEL}{name}" for name in _SSL}


def _places(hosts: str, port: int) -> tuple[tuple[str, int], ...]:
    """Return (host, port) for each host in a comma-separated list, without duplicates."""
    found: dict[tuple[str, int], None] = {}
    for one in hosts.split(","):
        match = _PLACE.fullmatch(one.strip())
        number = int(match[2] or port) if match is not None else 0
        if match is None or not 0 < number < 65536:
            raise AddressInvalid("has a host that cannot be read; write host:port, with commas between several")
        found[match[1].strip("[]"), number] = None
    if len(found) > MOST_PLACES:
        raise AddressInvalid(f"names more than {MOST_PLACES} hosts")
    return tuple(found)


def _options(query: str, known: frozenset[str]) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs):
        raise AddressInvalid("has an option twice")
    unknown = [name for name in options if name not in known]
    if unknown:
        # The error does not repeat the option: it may be part of a password.
        raise AddressInvalid(f"has an unknown option; the known options are {', '.join(sorted(known))}")
    return options


def _truth(value: str | None, *, default: bool) -> bool:
    if value is None:
        return default
    if value.lower() not in _TRUE + _FALSE:
        raise AddressInvalid("sentinel_ssl is true or false")
    return value.lower() in _TRUE
