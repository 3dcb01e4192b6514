"""The letters: what somebody who looks after a tenant, or the operator, is told by e-mail of one thing that happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from relay.alerts.email import one_line

_CHARS: Final = 300
"""Of one text that somebody chose: more is no name, and no reason that anybody reads in a letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a letter tells.

    Attributes:
        kind: what happened; see `NoticeKind`.
        at: when.
        tenant_id: whose.
        organisation: what it is called; may be empty.
        domain: its domain, or its id.
        who: who did it; empty: the operator.
        about: whom or what it is about.
        page: the tenant's own page; empty when nobody set its address.
        operator: who runs the relay.
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


def email(content: Content, language: str) -> tuple[str, str]:
    """Subject and text; English for a language that is not spoken here."""
    texts = _TEXTS.get(language, _TEXTS["en"])
    subject, text = texts[content.kind]
    said = {
        "name": _short(content.organisation or content.domain),
        "domain": _short(content.domain),
        "tenant_id": content.tenant_id,
        "who": _short(content.who or content.operator),
        "about": _short(content.about) or texts["none"][0],
        "at": f"{content.at:%Y-%m-%d %H:%M} UTC",
    }
    parts = [text.format(**said)]
    if content.kind not in _WITHOUT_PAGE:
        parts.append(texts["page"][0].format(page=content.page) if content.page else texts["page"][1])
    parts.append(f"-- \n{one_line(content.operator)}")
    return subject.format(**said), "\n\n".join(parts) + "\n"


def _short(text: str) -> str:
    return one_line(text)[:_CHARS]


_WITHOUT_PAGE: Final = frozenset({"tenant.left", "tenant.waits", "tenant.refused", "sign_ups.full"})
"""There is none any more, or it is not the reader's."""

_TEXTS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "en": {
        "page": ("Your organisation's page:\n{page}", "Ask whoever runs this service for the address of your page."),
        "none": ("(not given)", ""),
        "access.requested": (
            "{who} asks to read presence for {name}",
            "{who} gave a consent on {at} to read Microsoft Teams presence for {name}, which is already connected. Nothing is read "
            "with it until somebody who looks after {name} accepts. The request ends after 14 days. If you do not know why "
            "{who} asks, refuse it under Accounts.",
        ),
        "manager.added": (
            "{about} now looks after {name}",
            "{who} let {about} look after the presence of {name} on {at}. If that was not meant, end this right under Accounts.",
        ),
        "manager.removed": (
            "{about} no longer looks after {name}",
            "{who} ended the right of {about} to look after the presence of {name} on {at}. If that was not meant, add them "
            "again under Accounts.",
        ),
        "account.last_withdrawn": (
            "Presence of {name} has stopped: the last account was withdrawn",
            "{who} withdrew {about} on {at}. It was the last account that read Microsoft Teams presence for {name}, so "
            "the phone systems show every colleague as unknown until somebody consents again.",
        ),
        "opt_outs.ended": (
            "Colleagues at {name} may be watched again",
            "{who} took these off the list of colleagues whom phone systems must never watch at {name} on {at}: {about}. If that was "
            "not meant, enter them again under Settings.",
        ),
        "tenant.left": (
            "{name} has left the presence relay",
            "{who} ended the connection of {name} on {at}. Consents, suite keys, settings and the log were deleted, and phone "
            "systems show no presence any more. If that was not meant, connect {name} again.",
        ),
        "tenant.waits": (
            "{name} waits for your approval",
            "{who} connected {name} ({domain}) on {at}. It is not read, and has no suite key, until you decide:\n\n"
            "    presence-relay tenants show {tenant_id}\n"
            "    presence-relay tenants approve {tenant_id}\n"
            "    presence-relay tenants refuse {tenant_id}",
        ),
        "sign_ups.full": (
            "{name} could not connect: a limit on new organisations is reached",
            "{name} ({domain}) tried to connect on {at} and was not taken in, because this limit is reached:\n\n"
            "    {about}\n\n"
            "Others may be turned away for the same reason; you are told once an hour at most. Look at who has come and who "
            "waits:\n\n"
            "    presence-relay tenants list\n\n"
            "If you know {name}, invite them: an invitation does not count towards the limit.\n\n"
            "    presence-relay tenants invite {domain}",
        ),
        "tenant.approved": (
            "{name} is approved",
            "{name} was approved on {at}. Sign in to make a suite key for your phone system.",
        ),
        "tenant.refused": (
            "{name} was not approved",
            "{name} was not approved on {at}. The reason that was given: {about}. The consent was deleted; nothing was read "
            "with it.",
        ),
    },
    "it": {
        "page": (
            "La pagina della sua organizzazione:\n{page}",
            "Chieda a chi gestisce questo servizio l’indirizzo della sua pagina.",
        ),
        "none": ("(non indicato)", ""),
        "access.requested": (
            "{who} chiede di leggere le presenze per {name}",
            "{who} ha dato il {at} un consenso a leggere le presenze di Microsoft Teams per {name}, che è già collegata. Non viene "
            "usato finché non lo accetta chi si occupa di {name}. La richiesta scade dopo 14 giorni. Se non sa perché {who} lo "
            "chiede, la rifiuti alla voce Account.",
        ),
        "manager.added": (
            "{about} ora si occupa di {name}",
            "{who} ha incaricato {about} di occuparsi delle presenze di {name} il {at}. Se non era previsto, revochi questo diritto "
            "alla voce Account.",
        ),
        "manager.removed": (
            "{about} non si occupa più di {name}",
            "{who} ha revocato a {about} il diritto di occuparsi delle presenze di {name} il {at}. Se non era previsto, lo "
            "aggiunga di nuovo alla voce Account.",
        ),
        "account.last_withdrawn": (
            "Presenze di {name} interrotte: ritirato l’ultimo account",
            "{who} ha ritirato {about} il {at}. Era l’ultimo account che leggeva le presenze di Microsoft Teams per {name}: i "
            "sistemi telefonici mostrano tutti i colleghi come sconosciuti finché qualcuno non dà di nuovo il consenso.",
        ),
        "opt_outs.ended": (
            "Alcuni colleghi di {name} possono di nuovo essere mostrati",
            "{who} ha tolto il {at} queste voci dall’elenco dei colleghi di {name} che i sistemi telefonici non devono mai mostrare: "
            "{about}. Se non era previsto, le inserisca di nuovo alla voce Impostazioni.",
        ),
        "tenant.left": (
            "{name} non usa più il servizio di presenza",
            "{who} ha terminato il collegamento di {name} il {at}. Consensi, chiavi, impostazioni e registro sono stati eliminati e i "
            "sistemi telefonici non mostrano più le presenze. Se non era previsto, colleghi di nuovo {name}.",
        ),
        "tenant.waits": (
            "{name} attende la sua approvazione",
            "{who} ha collegato {name} ({domain}) il {at}. Non viene letta e non ha chiavi finché lei non decide:\n\n"
            "    presence-relay tenants show {tenant_id}\n"
            "    presence-relay tenants approve {tenant_id}\n"
            "    presence-relay tenants refuse {tenant_id}",
        ),
        "sign_ups.full": (
            "{name} non ha potuto collegarsi: raggiunto un limite per le nuove organizzazioni",
            "{name} ({domain}) ha provato a collegarsi il {at} e non è stata accolta, perché è raggiunto questo limite:\n\n"
            "    {about}\n\n"
            "Altre possono essere respinte per lo stesso motivo; questo avviso arriva al massimo una volta all’ora. Guardi chi è "
            "arrivato e chi attende:\n\n"
            "    presence-relay tenants list\n\n"
            "Se conosce {name}, la inviti: un invito non conta per il limite.\n\n"
            "    presence-relay tenants invite {domain}",
        ),
        "tenant.approved": (
            "{name} è stata approvata",
            "{name} è stata approvata il {at}. Acceda per creare una chiave per il suo sistema telefonico.",
        ),
        "tenant.refused": (
            "{name} non è stata approvata",
            "{name} non è stata approvata il {at}. Motivo indicato: {about}. Il consenso è stato eliminato e non è mai stato usato "
            "per leggere.",
        ),
    },
}
"""Language -> kind -> subject and text."""
