"""Answers to the application: a redirect, or a form that is posted automatically."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from emulator.entra import pages, refusals
from emulator.entra.refusals import Refused
from emulator.exchange import Answer, redirect

if TYPE_CHECKING:
    from emulator.entra.flows import Flow
    from emulator.exchange import Request
    from emulator.world import Application, World

MODES = ("query", "fragment", "form_post")


def trusted(world: World, asked: dict[str, str], directory: str) -> tuple[Application, str]:
    """Return the application and its redirect URI, after checking that the URI is registered.

    Args:
        world: the world.
        asked: the request's parameters.
        directory: the tenant as the request names it.

    Raises:
        Refused: it is not. Show the error to the person; never send it to that address.
    """
    client_id, uri = asked.get("client_id", ""), asked.get("redirect_uri", "")
    if not client_id:
        raise Refused(refusals.MISSING, name="client_id")
    application = world.application(client_id)
    if application is None or application.refusal in _GONE:
        raise Refused(refusals.APP_UNKNOWN, client=client_id[:200], tenant=directory)
    if not uri and len(application.redirect_uris) == 1:
        uri = application.redirect_uris[0]
    if not is_registered(uri, application):
        raise Refused(refusals.REDIRECT_UNKNOWN, uri=uri[:2000], client=client_id)
    return application, uri


def is_registered(uri: str, application: Application) -> bool:
    """Return whether an application is registered with a redirect URI."""
    return any(_same_address(uri, known) for known in application.redirect_uris)


def send(uri: str, mode: str, state: str | None, found: dict[str, str]) -> Answer:
    """Send parameters to the application in the requested response mode."""
    if state is not None:
        found = {**found, "state": state}
    if mode == "form_post":
        return pages.form_post(uri, found)
    if not found:
        return redirect(uri)
    mark = "#" if mode == "fragment" else "&" if urlsplit(uri).query else "?"
    return redirect(f"{uri}{mark}{urlencode(found, quote_via=quote)}")


def give_up(request: Request, flow: Flow, refused: Refused) -> Answer:
    """Send a refusal to the application."""
    found = refusals.parameters(refused, request)
    if flow.purpose == "admin_consent":  # a failure contains it too
        found = {"admin_consent": "True", **found}
    return send(flow.redirect_uri, flow.response_mode, flow.state, found)


def refusal_page(request: Request, refused: Refused) -> Answer:
    """Return the page that shows a refusal to the person only."""
    return pages.refused(refusals.parameters(refused, request)["error_description"])


_GONE = {"removed", "not_in_tenant", "disabled", "switched_off"}


def _same_address(uri: str, known: str) -> bool:
    """Return whether a redirect URI is the registered one; as in Entra, the port of http://localhost is ignored."""
    if uri == known:
        return bool(uri)
    try:
        a, b = urlsplit(uri), urlsplit(known)
    except ValueError:
        return False
    local = a.scheme == b.scheme == "http" and a.hostname == b.hostname == "localhost"
    return local and (a.path, a.query, a.fragment) == (b.path, b.query, b.fragment)
