"""The kinds of values of settings. Each converts a text into a value, or raises ValueError without repeating the text."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_SPAN: Final = re.compile(r"(\d{1,6})\s*(s|m|h)?", re.IGNORECASE)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_HOST: Final = re.compile(r"[0-9a-z._-]+|[0-9a-f:.]+(%[0-9a-z._-]+)?")
LONGEST_SPAN: Final = timedelta(days=1)
MOST_ORIGINS: Final = 100
MOST_NETWORKS: Final = 100
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: the description of its form, and the function that reads it."""

    written: str
    read: Callable[[str], Any]


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("It must be 0 or 1.")
    return word in _TRUE


def choice(*words: str) -> Kind:
    """Return the kind of a value that is one of these words, in upper or lower case."""

    def read(text: str) -> str:
        found = next((word for word in words if word.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"It must be {_or(words)}.")
        return found

    return Kind(_or(words), read)


def whole(least: int, most: int) -> Kind:
    """Return the kind of a whole number between two limits, both included."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ValueError(f"It must be a whole number from {least:,} to {most:,}.")
        return int(text)

    return Kind(f"{least} to {most}", read)


def _text(text: str) -> str:
    if not all(char.isprintable() for char in text):
        raise ValueError("It holds a character that cannot be printed.")
    return text


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError("It must be a time such as 30s, 5m or 1h.")
    value = timedelta(seconds=int(found[1]) * _SECONDS[(found[2] or "").lower()])
    if not timedelta(seconds=1) <= value <= LONGEST_SPAN:
        raise ValueError("It must be between 1s and 24h.")
    return value


def _address(text: str) -> str:
    bare = text.strip("[]")
    if bare.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise ValueError(
            "It must be an address such as 127.0.0.1, ::1 or 192.168.1.20; 0.0.0.0 means all addresses of this machine."
        ) from None


def is_loopback(address: str) -> bool:
    """Return True for an address that only programs of this machine can reach."""
    parsed = ipaddress.ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _origins(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip()))
    if len(found) > MOST_ORIGINS:
        raise ValueError(f"It may name {MOST_ORIGINS} origins at most.")
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin:
            raise ValueError(
                "Each origin must be scheme://host or scheme://host:port, such as https://console.example."
            )
    return found


def _agent_url(text: str) -> str:
    bare = text.rstrip("/")
    try:
        parts = urlsplit(bare)
        is_whole = bool(parts.hostname) and parts.port != 0 and f"{parts.scheme}://{parts.netloc}" == bare
        is_whole = is_whole and "@" not in parts.netloc and parts.scheme in ("http", "https")
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError("It must be https://host:port, such as https://agent1.example:8790.")
    if not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError(
            "Its host must have letters from a to z, digits, dots and hyphens. Write other letters as xn--…"
        )
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError(
            "It must begin with https://, because otherwise notes and the token could be read on the network."
        )
    return bare


def _networks(text: str) -> tuple[Network, ...]:
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if len(words) > MOST_NETWORKS:
        raise ValueError(f"It may name {MOST_NETWORKS} networks at most.")
    try:
        return tuple(dict.fromkeys(ipaddress.ip_network(word, strict=False) for word in words))
    except ValueError:
        raise ValueError("Each network must be as 192.168.1.0/24, or an address such as 192.168.1.20.") from None


def _domains(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.lower().rstrip(".") for word in re.split(r"[\s,;]+", text) if word))
    if len(words) > MOST_NETWORKS or not all(_HOST.fullmatch(word) for word in words):
        raise ValueError("Each domain must be as pbx.example, without sip: and without a port.")
    return words


def read_host_port(text: str) -> tuple[str, int | None]:
    """Return host, without brackets and in lower case, and port of `host` or `host:port`.

    Raises:
        ValueError: the text has neither form.
    """
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", text)
    found = bracketed or re.fullmatch(r"([^:\s/\[\]]+)(?::(\d{1,5}))?", text)
    host = found[1].lower() if found is not None else ""
    port = int(found[2]) if found is not None and found[2] else None
    if not _HOST.fullmatch(host) or (bracketed is not None) != (":" in host) or port == 0 or (port or 0) > 65535:
        raise ValueError(
            "It must be host or host:port, such as pbx.example, 192.168.1.5:5060 or [fd00::5]:5060, without a scheme."
        )
    return host, port


def _or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


FLAG: Final = Kind("0 or 1", _flag)
TEXT: Final = Kind("text", _text)
PATH: Final = Kind("path; a relative one begins in the folder of this file", _text)
SPAN: Final = Kind("time: 30s, 5m, 1h", _span)
ADDRESS: Final = Kind("IP address", _address)
HOST_PORT: Final = Kind("host:port", read_host_port)
AGENT_URL: Final = Kind("https://host:port", _agent_url)
NETWORKS: Final = Kind("networks, separated by commas", _networks)
DOMAINS: Final = Kind("domains, separated by commas", _domains)
ORIGINS: Final = Kind("origins, separated by commas", _origins)
