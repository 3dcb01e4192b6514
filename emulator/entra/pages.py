"""The pages that people see while they sign in: plain forms without script, each with an id."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from emulator.entra.scopes import APP_ROLES, PERMISSIONS, SIGN_IN_SCOPES
from emulator.exchange import Answer, html_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulator.entra.flows import Flow
    from emulator.world import Person

_SHOWN_ACCOUNTS = 40
"""Maximum number of accounts on a sign-in page: all of a small tenant, but no page of megabytes for a large one."""

_templates = Environment(
    loader=PackageLoader("emulator.entra"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def sign_in(
    flow: Flow, people: Iterable[Person], remembered: Iterable[Person] = (), *, trouble: str = "", username: str = ""
) -> Answer:
    """Return the sign-in page of a flow.

    It has the accounts that the browser remembers, a form for account and password, and a button for each offered
    account.
    """
    shown = [person for _, person in zip(range(_SHOWN_ACCOUNTS), people, strict=False)]
    accounts = [(tenant, list(members)) for tenant, members in itertools.groupby(shown, key=lambda one: one.tenant)]
    return _page(
        "sign_in.html", flow=flow, accounts=accounts, remembered=list(remembered), trouble=trouble, username=username
    )


def second_factor(flow: Flow, person: Person, account: Person, *, trouble: str = "") -> Answer:
    """Return the page that requests a second factor, or registers one if the person has none."""
    return _page("second_factor.html", flow=flow, person=person, account=account, trouble=trouble)


def consent(flow: Flow, person: Person) -> Answer:
    """Return the consent page: the application, its permissions, and accept or decline."""
    return _page("consent.html", flow=flow, person=person, asked=_asked(flow))


def admin_consent(flow: Flow, person: Person) -> Answer:
    """Return the administrator's consent page: for the whole organisation, including application permissions."""
    roles = [(APP_ROLES.get(name, name), name) for name in sorted(flow.roles)]
    return _page("admin_consent.html", flow=flow, person=person, asked=_asked(flow), roles=roles)


def admin_only(flow: Flow, person: Person) -> Answer:
    """Return the page for a person who opened an administrator's link but is not an administrator."""
    return _page("admin_only.html", flow=flow, person=person)


def approval(flow: Flow, person: Person, *, can_ask: bool, asked: bool) -> Answer:
    """Return the page for a person who may not consent, with or without a request to an administrator."""
    return _page("approval.html", flow=flow, person=person, can_ask=can_ask, asked=asked)


def refused(text: str, *, status: int = 400) -> Answer:
    """Return the page for an error that must not be sent to the application."""
    return _page("refused.html", status=status, text=text)


def signed_out() -> Answer:
    """Return the page after signing out."""
    return _page("signed_out.html")


def device(trouble: str = "") -> Answer:
    """Return the page for the code that a device shows."""
    return _page("device.html", trouble=trouble)


def device_done(flow: Flow) -> Answer:
    """Return the page after a sign-in for a device."""
    return _page("device_done.html", flow=flow)


def form_post(uri: str, fields: dict[str, str]) -> Answer:
    """Return a page that posts the answer to the application, automatically or with its button."""
    return _page("form_post.html", uri=uri, fields=fields)


def _asked(flow: Flow) -> list[tuple[str, str]]:
    """Return a flow's permissions as (text, name): Graph's first, then those of sign-in itself."""
    lower = {scope.lower() for scope in flow.scopes}
    permissions = [(PERMISSIONS[name].text, name) for name in sorted(flow.permissions)]
    return [*permissions, *((text, name) for name, text in SIGN_IN_SCOPES.items() if name in lower)]


def _page(name: str, *, status: int = 200, **values: Any) -> Answer:
    return html_answer(_templates.get_template(name).render(**values), status)
