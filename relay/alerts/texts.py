"""What administrators are told: the e-mail in the tenant's language, and the body of the signed POST."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from relay.alerts.email import one_line
from relay.core.consent.grants import Refusal, classify
from relay.core.consent.microsoft_error import Trouble

LANGUAGES: Final = ("en", "it")
Say = Callable[[str, str], str]
"""A sentence of the rules' in another language: (English, language) -> text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What there is to tell, whatever the channel.

    Attributes:
        kind: `consent.required` or `consent.restored`.
        at: when.
        tenant_id: whose.
        organisation: what it is called; may be empty.
        domain: its domain; may be empty.
        trouble: Microsoft's refusal.
        page: where to renew the consent; empty when nobody set that.
        operator: who runs the relay.
    """

    kind: str
    at: datetime
    tenant_id: str
    organisation: str
    domain: str
    trouble: Trouble | None
    page: str
    operator: str

    @property
    def name(self) -> str:
        """What to call the organisation."""
        return one_line(self.organisation or self.domain or self.tenant_id)

    @property
    def refusal(self) -> Refusal | None:
        """What the refusal means."""
        if self.trouble is None:
            return None
        error, _, suberror = self.trouble.code.partition("/")
        return classify(error, suberror, [self.trouble.said.number])


def body(matter: Matter) -> bytes:
    """What is posted: an event as the Standard Webhooks specification recommends it. It may grow."""
    trouble, refusal = matter.trouble, matter.refusal
    reason = None
    if trouble is not None and refusal is not None:
        reason = {
            "code": trouble.code,
            "number": trouble.said.number or None,
            "sentence": refusal.sentence,
            "microsoft": trouble.said.words,
            "trace_id": trouble.said.trace_id,
            "correlation_id": trouble.said.correlation_id,
            "timestamp": trouble.said.time,
        }
    data = {
        "tenant_id": matter.tenant_id,
        "organisation": matter.organisation,
        "domain": matter.domain,
        "reason": reason,
        "page": matter.page or None,
    }
    event = {"type": matter.kind, "timestamp": matter.at.isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def email(matter: Matter, language: str, say: Say) -> tuple[str, str]:
    """Subject and text of the e-mail; English for a language that is not spoken here."""
    texts = _TEXTS[language if language in LANGUAGES else "en"]
    is_restored = matter.kind == "consent.restored"
    parts = [texts["restored" if is_restored else "required"].format(name=matter.name, at=_time(matter.at))]
    if not is_restored:
        refusal = matter.refusal
        if refusal is not None:
            parts.append(say(refusal.sentence, language))
        parts.append(texts["cure"].format(page=matter.page) if matter.page else texts["ask"])
        parts.append(texts["kept"])
    parts += _small_print(matter, texts)
    parts.append(f"-- \n{one_line(matter.operator)}")
    subject = texts["subject_restored" if is_restored else "subject_required"].format(name=matter.name)
    return subject, "\n\n".join(parts) + "\n"


def _small_print(matter: Matter, texts: dict[str, str]) -> list[str]:
    """What Microsoft's support asks for."""
    trouble = matter.trouble
    if trouble is None:
        return []
    said = trouble.said
    lines = [said.words or trouble.code]
    lines += [
        f"{name}: {value}"
        for name, value in (
            ("Trace ID", said.trace_id),
            ("Correlation ID", said.correlation_id),
            ("Timestamp", said.time),
        )
        if value
    ]
    return [texts["microsoft"] + "\n" + "\n".join(f"  {line}" for line in lines)]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


_TEXTS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "subject_required": "Presence of {name} has stopped: please consent again",
        "subject_restored": "Presence of {name} is back",
        "required": (
            "The phone systems of {name} have shown no Microsoft Teams presence since {at}: Microsoft does not accept the "
            "consent any more with which it was read. Colleagues are shown as unknown until somebody consents again."
        ),
        "restored": (
            "The phone systems of {name} show Microsoft Teams presence again since {at}. There is nothing left to do."
        ),
        "cure": "To put it right, sign in here with the account that reads presence, or another one of your organisation:\n{page}",
        "ask": "To put it right, please ask whoever runs this service for the address of your page.",
        "kept": "Suites, keys and settings are as they were; nothing has to be set up again.",
        "microsoft": "What Microsoft said:",
    },
    "it": {
        "subject_required": "Presenze di {name} interrotte: serve di nuovo il consenso",
        "subject_restored": "Presenze di {name} di nuovo attive",
        "required": (
            "I sistemi telefonici di {name} non mostrano le presenze di Microsoft Teams dalle {at}: Microsoft non accetta più il "
            "consenso con cui venivano lette. I colleghi risultano sconosciuti finché qualcuno non dà di nuovo il consenso."
        ),
        "restored": (
            "I sistemi telefonici di {name} mostrano di nuovo le presenze di Microsoft Teams dalle {at}. Non serve fare altro."
        ),
        "cure": "Per rimediare, acceda qui con l’account che legge le presenze o con un altro della sua organizzazione:\n{page}",
        "ask": "Per rimediare, chieda a chi gestisce questo servizio l’indirizzo della sua pagina.",
        "kept": "Centralini, chiavi e impostazioni sono rimasti come prima; non c’è nulla da configurare di nuovo.",
        "microsoft": "Che cosa ha detto Microsoft:",
    },
}
