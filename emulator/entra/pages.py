"""The pages that people see while they sign in."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from emulator.entra.scopes import PERMISSIONS
from emulator.exchange import Answer, html_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulator.entra.codes import Flow
    from emulator.world import Person

_SHOWN_ACCOUNTS = 40
"""How many accounts a sign-in page offers: whole small tenants, and no page of megabytes for large ones."""

_templates = Environment(
    loader=PackageLoader("emulator.entra"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def sign_in(flow: Flow, people: Iterable[Person], *, trouble: str = "", username: str = "") -> Answer:
    """The sign-in page: a form for account and password, and a button for each account that may be tried."""
    shown = [person for _, person in zip(range(_SHOWN_ACCOUNTS), people, strict=False)]
    accounts = [(tenant, list(members)) for tenant, members in itertools.groupby(shown, key=lambda one: one.tenant)]
    return _page("sign_in.html", flow=flow, accounts=accounts, trouble=trouble, username=username)


def consent(flow: Flow, person: Person) -> Answer:
    """The consent page: who asks for what, and accept or decline."""
    asked = [(name, PERMISSIONS[name][0]) for name in sorted(flow.permissions)]
    offline = any(scope.lower() == "offline_access" for scope in flow.scopes)
    return _page("consent.html", flow=flow, person=person, asked=asked, offline=offline)


def approval(flow: Flow, person: Person) -> Answer:
    """The page for whoever may not consent: an administrator is needed, or back to the application."""
    return _page("approval.html", flow=flow, person=person)


def refused(text: str, *, status: int = 400) -> Answer:
    """The page for what must not be sent back to the application."""
    return _page("refused.html", status=status, text=text)


def form_post(uri: str, fields: dict[str, str]) -> Answer:
    """A page that posts the answer to the application by itself, or by its button."""
    return _page("form_post.html", uri=uri, fields=fields)


def _page(name: str, *, status: int = 200, **values: Any) -> Answer:
    return html_answer(_templates.get_template(name).render(**values), status)
