"""A tenant's rules on which users its suites may watch: domains, single users, and users who opted out.

    watch_never ──► not permitted, whatever the other rules are
    watch_domains, watch_only ──► with either, only users of these domains and these users; with neither, all users

The decision is about the user, not about the name that a suite uses: it compares the object id and the canonical UPN that
Microsoft reports. So a user who opted out by UPN cannot be watched by object id or by an older UPN either. If a rule names UPNs and
the user's UPN is not known yet, the decision is open, and the user is not read.

The settings are texts: entries separated by white space, commas or semicolons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from relay.core.names import folded, is_object_id, normalise
from relay.core.presence import Name, UserId

WATCH_DOMAINS: Final = "watch_domains"
WATCH_ONLY: Final = "watch_only"
WATCH_NEVER: Final = "watch_never"
SETTINGS: Final = (WATCH_DOMAINS, WATCH_ONLY, WATCH_NEVER)
"""The tenant's settings that this module reads."""

MAX_ENTRIES: Final = 2000
"""Entries of one setting. They are in the tenant's record, which is read as a whole; for more, use domains."""
MAX_CHARS: Final = 200_000
"""Longer texts are refused unread."""

_SEPARATORS: Final = re.compile(r"[\s,;]+")
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[^\s@.,;<>\"'/\\]{1,63}(?:\.[^\s@.,;<>\"'/\\]{1,63})+")
_MAX_FAULTS: Final = 10
_SHOWN_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Permission:
    """The users that suites may watch.

    Attributes:
        domains: domains of UPNs, in lower case.
        only: single users, by UPN or object id, who may be watched in addition to those of `domains`.
        never: users, by UPN or object id, who may not be watched.
        is_narrowed: whether only users of `domains` and `only` may be watched; otherwise all users may.
    """

    domains: frozenset[str] = frozenset()
    only: frozenset[Name] = frozenset()
    never: frozenset[Name] = frozenset()
    is_narrowed: bool = False

    @property
    def is_restricted(self) -> bool:
        """Return whether the rules forbid any user."""
        return self.is_narrowed or bool(self.never)

    def permits(self, user: UserId, upn: str, names: Iterable[Name] = ()) -> bool | None:
        """Return whether suites may watch a user.

        Args:
            user: object id.
            upn: canonical UPN, in any letter case; empty while unknown.
            names: the names that suites use for the user. They can only forbid.

        Returns:
            None when the decision needs a UPN that is not known yet; treat it as no until then.
        """
        known = {Name(user), *names, *((Name(folded(upn)),) if upn else ())}
        if not self.never.isdisjoint(known):
            return False
        if not upn and any(not is_object_id(name) for name in self.never):
            return None
        if not self.is_narrowed or Name(user) in self.only:
            return True
        if not upn:
            by_upn = bool(self.domains) or any(not is_object_id(name) for name in self.only)
            return None if by_upn else False
        return folded(upn) in self.only or folded(upn).rpartition("@")[2] in self.domains


EVERYBODY: Final = Permission()
"""No restriction."""


def permission(settings: Mapping[str, str]) -> Permission:
    """Return the permission in a tenant's settings. Never fails: the settings were checked when they were saved (`faults`).

    An invalid entry neither permits nor forbids a user. A text with invalid entries only still narrows: it must not
    permit all users.
    """
    domains, only = settings.get(WATCH_DOMAINS, ""), settings.get(WATCH_ONLY, "")
    return Permission(
        domains=frozenset(domain for entry in _entries(domains) if (domain := _domain(entry))),
        only=_names(only),
        never=_names(settings.get(WATCH_NEVER, "")),
        is_narrowed=bool(domains.strip() or only.strip()),
    )


def faults(settings: Mapping[str, str]) -> list[str]:
    """Return the faults in a tenant's settings that are about to be saved: a sentence each, about ten at most."""
    found: list[str] = []
    for setting in SETTINGS:
        text = settings.get(setting, "")
        if len(text) > MAX_CHARS:
            found.append(f"{setting}: the text is too long; at most {MAX_CHARS:,} characters can be kept.")
            continue
        entries = _entries(text)
        if len(entries) > MAX_ENTRIES:
            found.append(f"{setting}: {len(entries):,} entries are too many; at most {MAX_ENTRIES:,} can be kept.")
        is_domains = setting == WATCH_DOMAINS
        wanted = "a domain such as contoso.com" if is_domains else "a user name such as ada@contoso.com or an object id"
        bad = [entry for entry in entries if not (_domain(entry) if is_domains else normalise(entry))]
        found += [f"{setting}: “{entry[:_SHOWN_CHARS]}” is not {wanted}." for entry in bad[:_MAX_FAULTS]]
        if len(bad) > _MAX_FAULTS:
            found.append(f"{setting}: and {len(bad) - _MAX_FAULTS:,} more entries that are not.")
    return found


def tidied(text: str) -> str:
    """Return a setting's text in its stored form: an entry per line, in lower case, without duplicates, in given order."""
    return "\n".join(dict.fromkeys(folded(entry) for entry in _entries(text)))


def _entries(text: str) -> list[str]:
    return [entry for entry in _SEPARATORS.split(text[:MAX_CHARS]) if entry]


def _names(text: str) -> frozenset[Name]:
    return frozenset(name for entry in _entries(text) if (name := normalise(entry)) is not None)


def _domain(entry: str) -> str | None:
    domain = folded(entry).removeprefix("@")
    return domain if _DOMAIN.fullmatch(domain) else None
