"""Registrations of phones, accepted and not stored.

Many phones subscribe only for an account that is registered. The agent routes no calls, so it needs no contact address of a phone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.sip.errors import MalformedMessage
from suite.sip.replies import delta_s
from suite.sip.uris import parse_name_addr

if TYPE_CHECKING:
    from suite.agent.sipserver.access import SipAccess
    from suite.sip.incoming import Incoming

_LONGEST_S: Final = 3600
_MOST_CONTACTS: Final = 10


class PhoneRegistering:
    """Accepts REGISTER requests of phones that may watch."""

    def __init__(self, access: SipAccess) -> None:
        self._access = access

    def registered(self, incoming: Incoming) -> None:
        """Answer with the contacts of the request and their lifetimes (RFC 3261 10.3); refuse a phone that may not watch."""
        refused = self._access.watch(incoming)
        if refused is not None:
            incoming.respond(refused[0], refused[1], *refused[2])
            return
        headers = incoming.request.headers
        contacts: list[tuple[str, str]] = []
        try:
            for value in headers.values("contact")[:_MOST_CONTACTS]:
                if value.strip() == "*":
                    continue
                contact = parse_name_addr(value)
                wanted = delta_s(contact.parameters.get("expires", headers.first("expires")))
                seconds = _LONGEST_S if wanted is None else min(int(wanted), _LONGEST_S)
                if seconds:
                    contacts.append(("Contact", f"<{contact.text}>;expires={seconds}"))
        except MalformedMessage:
            incoming.respond(400, "Contact Is Not Valid")
            return
        incoming.respond(200, "OK", *contacts)
