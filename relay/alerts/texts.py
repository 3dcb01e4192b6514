"""Subjects and texts of the e-mails, in the reader's language. The texts are messages of `relay/locale/alerts.toml`.

consent_email   a tenant's consent ended, or works again: to the tenant's contact
letter_email    one action of a person, or one that waits: to a manager, the contact, or the operator
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from relay.alerts.email import one_line
from relay.locale.languages import english, translated

if TYPE_CHECKING:
    from relay.alerts.consent_event import ConsentEvent

_MAX_CHARS: Final = 300
"""Longest text of a person in an e-mail: longer ones are neither names nor readable reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterContent:
    """The content of an e-mail about one event.

    Attributes:
        kind: the kind of event; see `NoticeKind`.
        at: when it happened.
        tenant_id: the tenant.
        organisation: the tenant's name; may be empty.
        domain: the tenant's domain, or its id.
        who: the person who acted; empty: the operator.
        about: the person, account or reason concerned.
        page: the tenant's page; empty when its address is not set.
        operator: the name of the relay's operator.
    """

    kind: str
    at: datetime
    tenant_id: str
    organisation: str
    domain: str
    who: str
    about: str
    page: str
    operator: str


def consent_email(event: ConsentEvent, language: str) -> tuple[str, str]:
    """Return subject and text; English for a language that the catalogue does not have."""
    values = {
        "name": one_line(event.organisation or event.domain or event.tenant_id),
        "at": _time(event.at),
        "page": event.page,
    }
    if event.kind == "consent.restored":
        subject, texts = _RESTORED
        parts = [translated(texts, language) % values]
    else:
        subject, texts = _REQUIRED
        parts = [translated(texts, language) % values]
        if event.refusal is not None:
            parts.append(translated(event.refusal.sentence, language))
        parts.append(translated(_SIGN_IN if event.page else _ASK_OPERATOR, language) % values)
        parts.append(translated(_KEPT, language))
    parts += _microsofts_words(event, language)
    return translated(subject, language) % values, _signed(parts, event.operator)


def letter_email(content: LetterContent, language: str) -> tuple[str, str]:
    """Return subject and text; English for a language that the catalogue does not have."""
    subject, text = _LETTERS[content.kind]
    values = {
        "name": _short(content.organisation or content.domain),
        "domain": _short(content.domain),
        "tenant_id": content.tenant_id,
        "who": _short(content.who or content.operator),
        "about": _short(content.about) or translated(_NOT_GIVEN, language),
        "at": _time(content.at),
        "page": content.page,
    }
    parts = [translated(text, language) % values]
    if content.kind not in _WITHOUT_PAGE:
        parts.append(translated(_PAGE if content.page else _ASK_FOR_PAGE, language) % values)
    return translated(subject, language) % values, _signed(parts, content.operator)


def _microsofts_words(event: ConsentEvent, language: str) -> list[str]:
    """Return the ids that Microsoft's support asks for; empty without a refusal."""
    if event.trouble is None:
        return []
    said = event.trouble.said
    lines = [said.words or event.trouble.code]
    lines += [
        f"{name}: {value}"
        for name, value in (
            ("Trace ID", said.trace_id),
            ("Correlation ID", said.correlation_id),
            ("Timestamp", said.time),
        )
        if value
    ]
    return [translated(_MICROSOFT, language) + "\n" + "\n".join(f"  {line}" for line in lines)]


def _signed(parts: list[str], operator: str) -> str:
    return "\n\n".join([*parts, f"-- \n{one_line(operator)}"]) + "\n"


def _short(text: str) -> str:
    return one_line(text)[:_MAX_CHARS]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


_REQUIRED: Final = (
    english("Presence of %(name)s has stopped: consent again"),
    english(
        "The phone systems of %(name)s have shown no Microsoft Teams presence since %(at)s. Microsoft no longer "
        "accepts the consent. Phone systems show every colleague as unknown until someone consents again."
    ),
)
_RESTORED: Final = (
    english("Presence of %(name)s is back"),
    english(
        "The phone systems of %(name)s have shown Microsoft Teams presence again since %(at)s. You do not need to do anything."
    ),
)
_SIGN_IN: Final = english(
    "To restore it, sign in here with the account that reads presence, or with another account of your organisation:\n%(page)s"
)
_ASK_OPERATOR: Final = english("To restore it, ask the relay operator for the address of your page.")
_KEPT: Final = english("Suites, keys and settings are unchanged. You do not need to set anything up again.")
_MICROSOFT: Final = english("Microsoft’s answer:")
_PAGE: Final = english("Your organisation’s page:\n%(page)s")
_ASK_FOR_PAGE: Final = english("Ask the relay operator for the address of your page.")
_NOT_GIVEN: Final = english("(not given)")

_LETTERS: Final = {
    "access.requested": (
        english("%(who)s asks to read presence for %(name)s"),
        english(
            "%(who)s consented on %(at)s to read Microsoft Teams presence for %(name)s, which is already connected. "
            "The consent is not used until a manager of %(name)s accepts it. The request expires after 14 days. If "
            "you do not expect this request, refuse it under Accounts."
        ),
    ),
    "manager.added": (
        english("%(about)s is now a manager of %(name)s"),
        english(
            "%(who)s added %(about)s as a manager of %(name)s on %(at)s. If this was a mistake, remove the manager under Accounts."
        ),
    ),
    "manager.removed": (
        english("%(about)s is no longer a manager of %(name)s"),
        english(
            "%(who)s removed %(about)s as a manager of %(name)s on %(at)s. If this was a mistake, add the manager again under Accounts."
        ),
    ),
    "account.last_withdrawn": (
        english("Presence of %(name)s has stopped: the last account was withdrawn"),
        english(
            "%(who)s withdrew %(about)s on %(at)s. It was the last account that read Microsoft Teams presence for "
            "%(name)s. Phone systems show every colleague as unknown until someone consents again."
        ),
    ),
    "opt_outs.ended": (
        english("Colleagues at %(name)s may be watched again"),
        english(
            "%(who)s removed these entries from the users of %(name)s who opted out, on %(at)s: %(about)s. Phone "
            "systems may be able to watch these users again. If this was a mistake, enter them again under Settings."
        ),
    ),
    "tenant.left": (
        english("%(name)s has left the presence relay"),
        english(
            "%(who)s ended the connection of %(name)s on %(at)s. Consents, suite keys, settings and the log were deleted, and phone "
            "systems no longer show presence. If this was a mistake, connect %(name)s again."
        ),
    ),
    "tenant.waits": (
        english("%(name)s waits for your approval"),
        english(
            "%(who)s connected %(name)s (%(domain)s) on %(at)s. The relay reads no presence for %(name)s, and its "
            "managers cannot make suite keys, until you approve it. To show, approve or refuse it:\n"
            "\n"
            "    presence-relay tenants show %(tenant_id)s\n"
            "    presence-relay tenants approve %(tenant_id)s\n"
            "    presence-relay tenants refuse %(tenant_id)s"
        ),
    ),
    "sign_ups.full": (
        english("%(name)s could not connect: a limit on new organisations is reached"),
        english(
            "%(name)s (%(domain)s) tried to connect on %(at)s and was not accepted, because this limit is reached:\n"
            "\n"
            "    %(about)s\n"
            "\n"
            "Other organisations may be refused for the same reason. You get this e-mail once an hour at most. To "
            "list the organisations that connected and those that are waiting:\n"
            "\n"
            "    presence-relay tenants list\n"
            "\n"
            "If you know %(name)s, invite them: an invitation does not count towards the limit.\n"
            "\n"
            "    presence-relay tenants invite %(domain)s"
        ),
    ),
    "tenant.approved": (
        english("%(name)s is approved"),
        english("%(name)s was approved on %(at)s. Sign in to create a suite key for your phone system."),
    ),
    "tenant.refused": (
        english("%(name)s was not approved"),
        english("%(name)s was not approved on %(at)s. Reason: %(about)s. The consent was deleted and never used."),
    ),
}
"""Kind -> subject and text."""

_WITHOUT_PAGE: Final = frozenset({"tenant.left", "tenant.waits", "tenant.refused", "sign_ups.full"})
"""Kinds without a link: the page no longer exists, or does not belong to the reader."""
