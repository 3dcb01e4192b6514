"""DNS lookups of servers: SRV records by dnspython (RFC 3263 4.2), addresses by the system."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from suite.sip.errors import SipUnreachable
from suite.sip.srv import SipTarget, SrvRecord, in_order

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

SERVICES: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_ADDRESSES_S: Final = 10.0
_SRV_S: Final = 4.0
"""The longest wait for SRV records. Some name servers never answer queries for types that they do not know."""
_MOST_RECORDS: Final = 8


async def look_up(
    host: str,
    port: int,
    *,
    service: str = "",
    name_servers: Sequence[tuple[str, int]] = (),
    known: Sequence[SipTarget] = (),
) -> list[SipTarget]:
    """Return the targets of a host name. With a `service` its SRV records are used, if it has any.

    `known` are the targets found before. They are returned while no name server answers the query for SRV records.

    Raises:
        SipUnreachable: the name cannot be resolved, or its SRV record says that there is no such service (RFC 2782).
    """
    records = await srv_records(f"{service}.{host}", name_servers) if service and _is_of_dns(host) else []
    if records is None and known:
        return list(known)
    if not records:
        return [SipTarget(each, port) for each in await addresses(host, port)]
    if not any(each.target for each in records):
        raise SipUnreachable(f"{host} has no {service}, according to its SRV record.")
    found: list[SipTarget] = []
    for each in in_order(records, lambda most: random.uniform(0, most))[:_MOST_RECORDS]:  # noqa: S311 - spreads load
        try:
            hosts = await addresses(each.target, each.port)
        except SipUnreachable:
            continue  # the others may resolve
        found += [SipTarget(one, each.port, each.priority) for one in hosts]
    if not found:
        raise SipUnreachable(f"None of the names in the SRV records of {service}.{host} can be resolved.")
    return found


async def srv_records(name: str, name_servers: Sequence[tuple[str, int]] = ()) -> list[SrvRecord] | None:
    """Return the SRV records of a name, an empty list if it has none, or None if no name server answers.

    The system's name servers are queried, with its search domains, unless `name_servers` are given.
    """
    # Imported here because it takes 0.2 s, and most servers are set as an IP address or with a port.
    from dns.asyncresolver import Resolver
    from dns.exception import DNSException
    from dns.resolver import NXDOMAIN, NoAnswer

    try:
        answer = await _resolver(Resolver, name_servers).resolve(name, "SRV", lifetime=_SRV_S, search=True)
    except (NXDOMAIN, NoAnswer):
        return []
    except (DNSException, OSError, ValueError):
        return None
    return [
        SrvRecord(each.priority, each.weight, each.port, each.target.to_text(omit_final_dot=True).rstrip("."))
        for each in answer
    ]


def _resolver(made_by: type[Resolver], name_servers: Sequence[tuple[str, int]]) -> Resolver:
    resolver = made_by(configure=not name_servers)
    if name_servers:
        resolver.nameservers = [host for host, _ in name_servers]
        resolver.nameserver_ports = dict(name_servers)
    return resolver


async def addresses(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host name, in the system's order. An IP address is returned as it is.

    Raises:
        SipUnreachable: the name cannot be resolved.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        async with asyncio.timeout(_ADDRESSES_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise SipUnreachable(f"The host name {host} cannot be resolved.") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _is_of_dns(host: str) -> bool:
    """Return whether to query name servers: the host is not an IP address, and not a name of this machine (RFC 6761 6.3)."""
    name = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
    return False
