"""The fields of the first form, checked and normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onboarding.wizard.flow import Applicant
from pages.text_fields import is_seen, line
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
NO_ADDRESS: Final = english("Enter an e-mail address, such as name@contoso.com.")


class FieldsInvalid(Exception):
    """Some fields of the form are wrong.

    Attributes:
        faults: field -> a message with the remedy.
    """

    def __init__(self, faults: Mapping[str, str | Sentence]) -> None:
        super().__init__(", ".join(faults))
        self.faults = faults


def applicant(given: Mapping[str, str]) -> Applicant:
    """Return the checked fields.

    Raises:
        FieldsInvalid: some are wrong; names all of them.
    """
    lines = {name: line(given.get(name, ""), most, empty=_MISSING[name]) for name, most in MAX_CHARS.items()}
    typed = {name: text for name, (text, _) in lines.items()}
    domain = pasted_domain(typed["domain"])
    faults: dict[str, str | Sentence] = {name: fault for name, (_, fault) in lines.items() if fault}
    if "domain" not in faults and domain is None:
        faults["domain"] = english("Enter a domain, such as contoso.com: the part after the @ of your accounts.")
    if "email" not in faults and mail_address(typed["email"]) is None:
        faults["email"] = NO_ADDRESS
    if faults:
        raise FieldsInvalid({name: faults[name] for name in MAX_CHARS if name in faults})
    return Applicant(typed["organisation"], typed["contact"], typed["email"], domain or "")


def shown_again(given: Mapping[str, str]) -> dict[str, str]:
    """Return the typed fields, cleaned to be shown in the form again."""
    return {name: "".join(filter(is_seen, given.get(name, "")[:limit])) for name, limit in MAX_CHARS.items()}


_MISSING: Final = {
    "organisation": english("Enter the name of your organisation."),
    "contact": english("Enter the name of a contact."),
    "email": english("Enter the contact’s e-mail address."),
    "domain": english("Enter the domain of your Microsoft 365 accounts."),
}
