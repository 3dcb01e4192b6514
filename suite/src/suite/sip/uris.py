"""URIs, name-addr and Via. `sipmessage` parses URIs; this module checks their length first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sipmessage import URI

from suite.sip.errors import MalformedMessage
from suite.sip.headers import Headers, parameters, unquoted

_LONGEST: Final = 1024
"""Longer addresses are refused before a regular expression is applied."""
_REMEMBERED: Final = 1024
"""Size of each parser's cache: the addresses of a message are parsed several times. 1 MiB of text at most."""
_LONGEST_NUMBER: Final = 64
"""Of a tel URI: the regular expression takes 180 ms for 2,000 digits, and four times as long for twice as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAddr:
    """A value of From, To, Contact, Route or Record-Route."""

    uri: URI
    text: str
    """The URI as it was written: a remote target is used byte by byte."""
    name: str = ""
    parameters: Mapping[str, str]

    @property
    def tag(self) -> str:
        """The tag, or ""."""
        return self.parameters.get("tag", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViaHop:
    """One Via."""

    transport: str
    host: str
    port: int | None
    parameters: Mapping[str, str]


@lru_cache(_REMEMBERED)
def parse_uri(text: str) -> URI:
    """Parse a sip, sips or tel URI.

    Raises:
        MalformedMessage: it is not valid.
    """
    try:
        scheme, colon, rest = text.partition(":")
        if len(text) > _LONGEST or (scheme.lower() == "tel" and len(rest.partition(";")[0]) > _LONGEST_NUMBER):
            raise ValueError  # noqa: TRY301 - one way out
        return URI.parse(f"{scheme.lower()}{colon}{rest.partition('?')[0]}")
    except (ValueError, TypeError):  # TypeError: a parameter named as one of Python's arguments
        raise MalformedMessage("A URI is not valid.") from None


@lru_cache(_REMEMBERED)
def parse_name_addr(text: str) -> NameAddr:
    """Parse `"Name" <uri>;parameters` or `uri;parameters`. Parameters of a bare URI are those of the header (RFC 3261 20.10).

    Raises:
        MalformedMessage: it is not valid.
    """
    if len(text) > _LONGEST:
        raise MalformedMessage("An address is too long.")
    start = _outside_quotes(text, "<")
    if start < 0:
        uri, found = parameters(text)
        return NameAddr(uri=parse_uri(uri), text=uri, parameters=found)
    end = text.find(">", start)
    if end < 0:
        raise MalformedMessage("An address does not end.")
    uri = text[start + 1 : end].strip()
    _, found = parameters(text[end + 1 :])
    return NameAddr(uri=parse_uri(uri), text=uri, name=unquoted(text[:start]), parameters=found)


def _outside_quotes(text: str, wanted: str) -> int:
    quoted = escaped = False
    for at, each in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = each == "\\", each != '"'
        elif each == '"':
            quoted = True
        elif each == wanted:
            return at
    return -1


@lru_cache(_REMEMBERED)
def parse_via(text: str) -> ViaHop:
    """Parse one Via.

    Raises:
        MalformedMessage: it is not valid.
    """
    sent, found = parameters(text)
    words = sent.replace("/", " / ").split()
    if len(words) != 6 or [words[0].upper(), *words[1:4]] != ["SIP", "/", "2.0", "/"]:
        raise MalformedMessage("Via is not valid.")
    host, port = split_host_port(words[5])
    return ViaHop(transport=words[4].upper(), host=host, port=port, parameters=found)


def first_via(headers: Headers) -> ViaHop:
    """Parse the first Via of a message.

    Raises:
        MalformedMessage: there is none, or it is not valid.
    """
    return parse_via(headers.first_value("via"))


def split_host_port(text: str) -> tuple[str, int | None]:
    """Split `host:port`. An IPv6 address is in brackets, and is returned without them.

    Raises:
        MalformedMessage: the host or port is not valid.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise MalformedMessage("A host or port is not valid.")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536)):
        raise MalformedMessage("A host or port is not valid.")
    return host, int(port) if colon and port else None


def host_port(host: str, port: int | None) -> str:
    """Return `host:port` for a URI or a Via."""
    named = f"[{host}]" if ":" in host else host
    return named if port is None else f"{named}:{port}"


def same_resource(one: str, other: str) -> bool:
    """Return whether two URIs name the same resource: same user, same host in any case. Parameters are ignored."""
    return resource_key(one) == resource_key(other)


def resource_key(uri: str) -> str:
    """Return a URI as `scheme:user@host[:port]`, without parameters: the same text for all URIs of a resource.

    Text that is not a URI is only stripped.
    """
    text = uri.strip()
    try:
        read = parse_uri(text)
    except MalformedMessage:
        return text
    if read.scheme == "tel":
        return f"tel:{read.user}"
    user = f"{read.user}@" if read.user else ""
    scheme = read.scheme.removesuffix("s")
    return f"{scheme}:{user}{host_port(read.host.lower(), read.port)}"
