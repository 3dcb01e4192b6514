"""What people type into the form, checked and put into one form."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from onboarding.wizard.flow import Applicant
from relay.core.addresses import MAX_ADDRESS_CHARS, MAX_DOMAIN_CHARS, MAX_NAME_CHARS, mail_address, pasted_domain
from relay.locale.languages import Sentence, english

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARS: Final = {
    "organisation": MAX_NAME_CHARS,
    "contact": MAX_NAME_CHARS,
    "email": MAX_ADDRESS_CHARS,
    "domain": MAX_DOMAIN_CHARS,
}
NO_ADDRESS: Final = english("This is not an e-mail address. It looks like name@contoso.com.")

# Control and format characters, lone surrogates, private use: nothing that a name needs, and much that a log, a terminal or
# a page is fooled with.
_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn"}
_JOINERS: Final = {"\u200c", "\u200d"}
"""Format characters that names in Persian and Indian scripts are spelled with."""


class FieldsInvalid(Exception):
    """Fields that cannot be used.

    Attributes:
        faults: field -> what to do about it, a message.
    """

    def __init__(self, faults: Mapping[str, str | Sentence]) -> None:
        super().__init__(", ".join(faults))
        self.faults = faults


def applicant(given: Mapping[str, str]) -> Applicant:
    """What was typed, once it is all right.

    Raises:
        FieldsInvalid: something is not; says all of it.
    """
    typed = {name: _tidy(given.get(name, "")) for name in MAX_CHARS}
    domain = pasted_domain(typed["domain"])
    faults: dict[str, str | Sentence] = {
        name: fault for name, text in typed.items() if (fault := _fault(name, text)) is not None
    }
    if "domain" not in faults and domain is None:
        faults["domain"] = english(
            "This is not a domain. It looks like contoso.com: the part after the @ of your accounts."
        )
    if "email" not in faults and mail_address(typed["email"]) is None:
        faults["email"] = NO_ADDRESS
    if faults:
        raise FieldsInvalid({name: faults[name] for name in MAX_CHARS if name in faults})
    return Applicant(typed["organisation"], typed["contact"], typed["email"], domain or "")


def shown_again(given: Mapping[str, str]) -> dict[str, str]:
    """What was typed, fit to be shown again in the form."""
    return {name: "".join(filter(_is_seen, given.get(name, "")[:limit])) for name, limit in MAX_CHARS.items()}


def _tidy(text: str) -> str:
    """One line, single spaces, composed letters."""
    return re.sub(" +", " ", unicodedata.normalize("NFC", text[: 4 * max(MAX_CHARS.values())])).strip(" ")


def _fault(name: str, text: str) -> str | Sentence | None:
    if not text:
        return _MISSING[name]
    if not all(map(_is_seen, text)):
        return english("This contains characters that cannot be seen, such as a line break. Please type it again.")
    if len(text) > MAX_CHARS[name]:
        return Sentence(english("This is too long. At most %(limit)s characters, please."), {"limit": MAX_CHARS[name]})
    return None


def _is_seen(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _UNSEEN


_MISSING: Final = {
    "organisation": english("Please say what your organisation is called."),
    "contact": english("Please say who we may turn to."),
    "email": english("Please give an e-mail address of the contact."),
    "domain": english("Please give the domain of your Microsoft 365 accounts."),
}
