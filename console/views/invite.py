"""Makes an invitation link for an organisation; the link is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.layout import INVITE
from pages.forms import will_be_seen
from pages.problems import PROBLEMS, problem_of
from pages.text_fields import line
from relay.administration.invitations import InvitationForm, NotInvitable, invite
from relay.core.addresses import MAX_ADDRESS_CHARS, MAX_DOMAIN_CHARS, MAX_NAME_CHARS
from relay.errors import Retryable, StoreUnavailable
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from console.auth import OperatorVisitor
    from console.services import ConsoleServices
    from relay.locale.languages import Sentence

log = structlog.get_logger(__name__)

DAYS: Final = (7, 14, 30, 90)
_USUAL_DAYS: Final = "14"
MAX_CHARS: Final = {
    "domain": MAX_DOMAIN_CHARS,
    "organisation": MAX_NAME_CHARS,
    "contact": MAX_NAME_CHARS,
    "email": MAX_ADDRESS_CHARS,
}


class InviteViews:
    """The view of the form and of the link."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [Route(INVITE, self.invite, methods=["GET", "POST"])]

    async def invite(self, request: Request) -> Response:
        """Show the form and, once, the last link; or process the form."""
        services = self._services
        if request.method == "POST":
            visitor, given = await services.auth.form(request)
            return await self._make(visitor, given)
        visitor = await services.auth.operator(request, to_change=True)
        link = visitor.session.link if will_be_seen(request) else ""
        if link:
            # Deleted from the store before it is shown: a reload shows only the form.
            changed = await services.sessions.change(visitor.held, link="")
            link = link if changed is not None else ""
        return await self._page(visitor, {}, {}, link=link)

    async def _make(self, visitor: OperatorVisitor, given: Mapping[str, str]) -> Response:
        services = self._services
        typed: dict[str, str] = {}
        faults: dict[str, str | Sentence] = {}
        for name, limit in MAX_CHARS.items():
            typed[name], fault = line(given.get(name, ""), limit, needed=name == "domain")
            if fault:
                faults[name] = fault
        days = given.get("days", _USUAL_DAYS)
        if faults or days not in map(str, DAYS):
            return await self._page(visitor, given, faults, status=422)
        form = InvitationForm(**typed, days=int(days))
        try:
            link = await invite(
                services.store, services.ring, services.client, services.settings.pages_url, form, visitor.actor
            )
        except NotInvitable as error:
            return await self._page(visitor, given, {error.field: _fault(error)}, status=422)
        except StoreUnavailable:
            raise
        except Retryable as error:
            # Show the form again, so that the typed text is not lost.
            return await self._page(visitor, given, {}, status=503, notice=problem_of(error))
        log.info("console_act", act="invited", account_id=visitor.session.account_id)
        await services.sessions.change(visitor.held, link=link)
        return RedirectResponse(INVITE, status_code=303)

    async def _page(
        self,
        visitor: OperatorVisitor,
        given: Mapping[str, str],
        faults: Mapping[str, str | Sentence],
        *,
        status: int = 200,
        link: str = "",
        notice: str = "",
    ) -> Response:
        return await self._services.layout.page(
            visitor,
            "invite.html",
            INVITE,
            english("Invite an organisation"),
            status=status,
            given={name: given.get(name, "") for name in MAX_CHARS},
            faults=faults,
            limits=MAX_CHARS,
            days=DAYS,
            chosen_days=given.get("days", _USUAL_DAYS),
            link=link,
            problem=PROBLEMS[notice] if notice else None,
        )


def _fault(error: NotInvitable) -> str:
    if error.is_unknown:
        return PROBLEMS["domain_unknown"].text
    return _FAULTS.get(error.field, _FAULTS["organisation"])


_FAULTS: Final = {
    "domain": english("Enter a domain, such as contoso.com."),
    "email": english("Enter an e-mail address, such as ada@contoso.com."),
    "organisation": english("This is too long, or it has invisible characters."),
}
