"""Parse the files that the SIP server's settings name: logins of phones, and lists of colleagues. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_LOGINS: Final = 100_000
MOST_LISTS: Final = 1000
_NAME: Final = re.compile(r"[^\s:\"\\]{1,128}")
_HASHED: Final = re.compile(r"([^:]*):([0-9a-fA-F]{32}|[0-9a-fA-F]{64})")
_LIST: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ALGORITHMS: Final = {32: "MD5", 64: "SHA-256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SipLogin:
    """The password of one login, or hashes of it.

    Attributes:
        hashes: algorithm -> hash of name, realm and password, if the password itself is not kept.
    """

    password: str = field(default="", repr=False)
    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_logins(text: str, realm: str) -> Mapping[str, SipLogin]:
    """Return name -> login. A line is `name:password`, or `name:realm:hash` as htdigest writes it. `#` begins a comment.

    Raises:
        ValueError: a line is invalid; the message has its number but not its text.
    """
    found: dict[str, SipLogin] = {}
    hashes: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, secret = line.strip().partition(":")
        if not colon or not secret or not _NAME.fullmatch(name):
            raise ValueError(f"Line {number} is no login: it must be name:password or name:realm:hash.")
        hashed = _HASHED.fullmatch(secret)
        if hashed is None:
            if name in found:
                raise ValueError(f"Line {number} repeats the name of another line.")
            found[name] = SipLogin(password=secret)
            continue
        if hashed[1] != realm:
            raise ValueError(f"Line {number} has a hash for a realm that is not SipServer.Realm.")
        hashes[name][_ALGORITHMS[len(hashed[2])]] = hashed[2].lower()
        found[name] = SipLogin(hashes=MappingProxyType(hashes[name]))
        if len(found) > MOST_LOGINS:
            raise ValueError(f"There are more than {MOST_LOGINS:,} logins.")
    if not found:
        raise ValueError("It has no login.")
    return MappingProxyType(found)


def read_lists(text: str) -> Mapping[str, tuple[str, ...]]:
    """Return name -> colleagues. A line is `name = ada, 1002, ben@contoso.example`. `#` begins a comment.

    Raises:
        ValueError: a line is invalid; the message has its number.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        name, equals, members = line.partition("=")
        key = name.strip().lower()
        if not equals or not _LIST.fullmatch(key):
            raise ValueError(f"Line {number} is no list: it must be name = colleague, colleague.")
        if key in found:
            raise ValueError(f"Line {number} repeats the name of another list.")
        found[key] = tuple(dict.fromkeys(word.strip() for word in re.split(r"[,;]", members) if word.strip()))
        if len(found) > MOST_LISTS:
            raise ValueError(f"There are more than {MOST_LISTS:,} lists.")
    return MappingProxyType(found)
