"""The colleague whom a URI names: by SIP address or UPN, or by extension or login at a domain of the SIP server."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from suite.sip.errors import MalformedMessage
from suite.sip.uris import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from suite.agent.board import Board, BoardEntry
    from suite.names import Key

_BETWEEN_DIGITS: Final = re.compile(r"(?<=[0-9*#+])[-.()](?=[0-9*#(])")


def find_colleague(board: Board, uri: str, domains: Sequence[str]) -> tuple[Key, BoardEntry] | None:
    """Return the colleague of a SIP or tel URI; None if there is none.

    Args:
        board: all colleagues.
        uri: of the request.
        domains: domains whose users are found by extension or login; empty for every domain. An IP address is always accepted, because
            it is the agent's own, or that of a telephone system in front of it.
    """
    try:
        read = parse_uri(uri)
    except MalformedMessage:
        return None
    user = unquote(read.user or "")
    if not user:
        return None
    if read.scheme == "tel":
        return board.find(_BETWEEN_DIGITS.sub("", user))
    found = board.find(f"{user}@{read.host}")
    if found is not None or not is_ours(read.host, domains):
        return found
    return board.find(user.partition(";")[0])


def not_found_reason(uri: str, domains: Sequence[str]) -> str:
    """Return the reason for which a URI names no colleague, for the log. It names the domain, never the user."""
    try:
        read = parse_uri(uri)
    except MalformedMessage:
        return "it requests a URI that cannot be read"
    if read.scheme != "tel" and not is_ours(read.host, domains):
        return f"it requests a user at {read.host[:80]}, which is not in SipServer.Domains"
    return "it requests a user who is neither a colleague nor a list"


def entity_of(uri: str) -> str:
    """Return the entity of a document: the URI as the phone wrote it, without parameters."""
    scheme, colon, rest = uri.partition(":")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{colon}{user}{at}{re.split('[;?]', host)[0]}"


def is_ours(host: str, domains: Sequence[str]) -> bool:
    """Return True if a host is in these domains or is an IP address; without domains, for every host."""
    if not domains or host.lower().rstrip(".") in domains:
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
