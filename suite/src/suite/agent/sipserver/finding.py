"""The colleague whom a URI names: by SIP address or UPN, or by extension or login at a domain of ours."""

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
    """Return the colleague of a SIP or tel URI; None for nobody.

    Args:
        board: all colleagues.
        uri: as a request names it.
        domains: whose users are colleagues by extension or login; empty for every domain. An IP address counts in any case, because
            it is the agent's own, or that of a telephone system before it.
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


def why_nobody(uri: str, domains: Sequence[str]) -> str:
    """Return why a URI names no colleague, for the log: it has the domain, and no user."""
    try:
        read = parse_uri(uri)
    except MalformedMessage:
        return "it asks for a URI that cannot be read"
    if read.scheme != "tel" and not is_ours(read.host, domains):
        return f"it asks for somebody at {read.host[:80]}, which is not in SipServer.Domains"
    return "it asks for somebody who is neither a colleague nor a list"


def entity_of(uri: str) -> str:
    """Return a URI as documents name who is watched: as the phone wrote it, without parameters."""
    scheme, colon, rest = uri.partition(":")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{colon}{user}{at}{re.split('[;?]', host)[0]}"


def is_ours(host: str, domains: Sequence[str]) -> bool:
    """Return whether a URI's host is a domain of ours, or an IP address."""
    if not domains or host.lower().rstrip(".") in domains:
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
