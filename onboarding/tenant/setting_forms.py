"""The forms of a tenant's settings: checks typed values and turns them into settings. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from onboarding.tenant.access import CONTACT_EMAIL
from onboarding.wizard.fields import NO_ADDRESS
from pages import mapping_form
from pages.text_fields import is_seen, line
from relay.core.addresses import mail_address
from relay.core.watching import permission
from relay.locale.languages import Language, Sentence, english

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTACT_NAME: Final = "contact_name"
LANGUAGE: Final = "language"
PASS_STATUS_MESSAGE: Final = "pass_status_message"  # noqa: S105
PASS_OUT_OF_OFFICE: Final = "pass_out_of_office"  # noqa: S105
PASS_NAMES: Final = "pass_names"  # noqa: S105
NOTIFY_URL: Final = "notify_url"
NOTIFY_SECRET: Final = "notify_secret"  # noqa: S105

PASSED: Final = (PASS_STATUS_MESSAGE, PASS_OUT_OF_OFFICE, PASS_NAMES)
"""Off until the tenant turns them on."""

MAX_LIST_CHARS: Final = 40_000
"""Maximum length of each list of people, some 1,300 addresses: the most that a form can carry. Longer lists need domains instead."""
MAX_URL_CHARS: Final = 500
SECRET_CHARS: Final = (16, 200)

SHOWN: Final = frozenset({PASS_STATUS_MESSAGE, PASS_OUT_OF_OFFICE, PASS_NAMES, LANGUAGE})
"""The settings whose values the audit log shows, in addition to the mapping's: all others name people or are secret."""


Fault = Sentence | str
CheckedForm = tuple[dict[str, str], dict[str, list[Fault]]]
"""(setting -> value to store, field -> faults)."""


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """Settings that are saved together.

    Attributes:
        name: its name in the address.
        title: its heading; a message.
        settings: the settings that it sets; for the mapping, their prefix.
        check: checks a form and turns it into settings.
    """

    name: str
    title: str
    settings: tuple[str, ...]
    check: Callable[[Mapping[str, str], Mapping[str, str]], CheckedForm]

    def of(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the group's own settings."""
        if self.settings == (mapping_form.PREFIX,):
            return {name: value for name, value in settings.items() if name.startswith(mapping_form.PREFIX)}
        return {name: settings.get(name, "") for name in self.settings}


def mark(values: Mapping[str, str]) -> str:
    """Return digests of the values that a form is shown with, to detect a change that another person made since."""
    return json.dumps({name: _digest(value) for name, value in values.items()}, separators=(",", ":"))


def seen(marked: str, current: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the values that a form was shown with: setting -> value, or an impossible value if it was changed since."""
    try:
        found = json.loads(marked)
    except (ValueError, RecursionError):
        found = None
    digests = found if isinstance(found, dict) else {}
    return {
        name: value if digests.get(name, _digest("")) == _digest(value := current.get(name, "")) else _CHANGED
        for name in wanted
    }


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()[:16]


_CHANGED: Final = "\0"
TOO_LONG: Final = Sentence(english("Enter %(most)s characters or fewer."), {"most": MAX_LIST_CHARS})
"""The fault of a list that is too long."""


def _contact(given: Mapping[str, str], current: Mapping[str, str]) -> CheckedForm:
    name, name_fault = line(given.get(CONTACT_NAME, ""), 100)
    email, email_fault = line(given.get(CONTACT_EMAIL, ""), 254)
    if not email_fault and mail_address(email) is None:
        email_fault = NO_ADDRESS
    language = given.get(LANGUAGE, current.get(LANGUAGE, ""))
    faults = {CONTACT_NAME: name_fault, CONTACT_EMAIL: email_fault}
    if language not in ("", *Language):
        faults[LANGUAGE] = english("Select one of the languages.")
    return {CONTACT_NAME: name, CONTACT_EMAIL: email, LANGUAGE: language}, _only(faults)


def _passing(given: Mapping[str, str], _current: Mapping[str, str]) -> CheckedForm:
    return {name: "on" if given.get(name) == "on" else "" for name in PASSED}, {}


def _watching(given: Mapping[str, str], _current: Mapping[str, str]) -> CheckedForm:
    faults: dict[str, list[Fault]] = {}
    values = {}
    for name in permission.SETTINGS:
        text = given.get(name)
        if text is None:
            continue  # browsers send every list; a missing one is left unchanged
        values[name] = text[:MAX_LIST_CHARS]
        if len(text) > MAX_LIST_CHARS:
            faults[name] = [TOO_LONG]
        elif not all(is_seen(character) or character.isspace() for character in text):
            faults[name] = [english("This contains invisible characters. Type it again.")]
        elif told := permission.faults({name: text}):
            faults[name] = [_plain(sentence) for sentence in told]
        else:
            values[name] = permission.tidied(text)
    return values, faults


def _mapping(given: Mapping[str, str], current: Mapping[str, str]) -> CheckedForm:
    try:
        return mapping_form.changes_of(current, given), {}
    except ValueError:
        return {}, {"mapping": [english("Select from the lists only.")]}


def _notifying(given: Mapping[str, str], _current: Mapping[str, str]) -> CheckedForm:
    url, url_fault = line(given.get(NOTIFY_URL, ""), MAX_URL_CHARS, needed=False)
    if url and not url_fault and not _is_https(url):
        url_fault = english("Enter an address that starts with https:// and has a host name.")
    secret, faults = given.get(NOTIFY_SECRET, "").strip(), {NOTIFY_URL: url_fault}
    least, most = SECRET_CHARS
    if secret and (not least <= len(secret) <= most or not secret.isascii() or not secret.isprintable()):
        faults[NOTIFY_SECRET] = Sentence(
            english("Enter %(least)s to %(most)s letters, digits and symbols."), {"least": least, "most": most}
        )
    values = {NOTIFY_URL: url}
    if not url:
        values[NOTIFY_SECRET] = ""
    elif secret and not faults.get(NOTIFY_SECRET):
        values[NOTIFY_SECRET] = secret
    elif not _current.get(NOTIFY_SECRET):
        faults[NOTIFY_SECRET] = english("Enter a secret. It lets you check that a call comes from this relay.")
    return values, _only(faults)


def _is_https(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False


def _only(faults: Mapping[str, Fault]) -> dict[str, list[Fault]]:
    return {name: [fault] for name, fault in faults.items() if fault}


def _plain(sentence: str) -> str:
    """Return a sentence of `permission.faults` without the setting's name, which the page shows next to the field."""
    return sentence.partition(": ")[2]


GROUPS: Final = {
    group.name: group
    for group in (
        SettingGroup("passing", english("What suites can see"), PASSED, _passing),
        SettingGroup("watching", english("Who can be watched"), permission.SETTINGS, _watching),
        SettingGroup("contact", english("Contact"), (CONTACT_NAME, CONTACT_EMAIL, LANGUAGE), _contact),
        SettingGroup("notifying", english("Webhook"), (NOTIFY_URL, NOTIFY_SECRET), _notifying),
        SettingGroup("mapping", english("What consoles show"), (mapping_form.PREFIX,), _mapping),
    )
}
"""By name."""
