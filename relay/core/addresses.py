"""Domains and e-mail addresses, in the form that DNS and mail servers accept."""

from __future__ import annotations

import re
from typing import Final

import idna

MAX_DOMAIN_CHARS: Final = 253
MAX_ADDRESS_CHARS: Final = 254
MAX_NAME_CHARS: Final = 100
"""The longest name of an organisation or a person: it fits on one or two lines of a page."""
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_LOCAL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
"""Only characters that need no quotes: an address with other characters is usually an attack."""


def ascii_domain(text: str) -> str | None:
    """Return a domain in its DNS form, in lower case; None for a text that is not a domain.

    Letters beyond ASCII become `xn--` labels by IDNA 2008 (RFC 5891), which registries have used since 2010. The
    earlier rules turn `straße.example` into `strasse.example`, which may have another owner.
    """
    if len(text) > MAX_DOMAIN_CHARS:
        return None
    try:
        domain = text.lower() if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return None
    labels = domain.split(".")
    is_domain = len(labels) > 1 and len(domain) <= MAX_DOMAIN_CHARS and all(map(_LABEL.fullmatch, labels))
    return domain if is_domain and not labels[-1].isdecimal() else None


def pasted_domain(text: str) -> str | None:
    """Return the domain in a pasted text, in its DNS form; None without one. The text may be a web or e-mail address."""
    host = text.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    return ascii_domain(host.rpartition("@")[2])


def mail_address(text: str) -> str | None:
    """Return an address in the form that mail servers accept; None when e-mail cannot be sent to it.

    A domain beyond ASCII is sent as `xn--`. The part before the `@` must be ASCII: other names need SMTPUTF8 (RFC 6531) at every
    server on the way, and Microsoft 365 has no such mailboxes.
    """
    local, _, domain = text.rpartition("@")
    sent_to = ascii_domain(domain)
    if sent_to is None or _LOCAL.fullmatch(local) is None:
        return None
    address = f"{local}@{sent_to}"
    return address if len(address) <= MAX_ADDRESS_CHARS else None
