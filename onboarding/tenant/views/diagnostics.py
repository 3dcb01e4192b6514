"""Diagnostics: all watched users, the connection to Microsoft, and everything about one user.

A page includes its live part as a template; `static/live.js` requests the part again, and without scripts the page is
reloaded. Requests of the script do not prolong a session. Nothing that is shown here is logged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.tenant.access import Action
from onboarding.tenant.layout import DIAGNOSTICS
from pages.tones import SOURCES, WORD_TONES, shown_connector, shown_explanation
from relay.core.names import MAX_NAME_CHARS, normalise
from relay.core.showing.diagnosis import ABSENCES, NOT_REQUESTED, Word
from relay.core.showing.mapping import LOOKS
from relay.diagnosis import connection, minute
from relay.diagnosis.explanation import explain
from relay.diagnosis.overview import Overviews
from relay.http.paths import TENANT
from relay.locale.languages import english

if TYPE_CHECKING:
    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.services import TenantServices
    from relay.diagnosis.overview import UserRow

USERS: Final = f"{TENANT}/users"
MOST_ROWS: Final = 200
"""Users on a page; the filter finds the others."""


class DiagnosticViews:
    """Views of diagnostics."""

    def __init__(self, services: TenantServices) -> None:
        self._services = services
        self._overviews = Overviews(services.store)

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(DIAGNOSTICS, self.show, methods=["GET"]),
            Route(f"{DIAGNOSTICS}/part", self.show_part, methods=["GET"]),
            Route(f"{DIAGNOSTICS}/watch", self.watch, methods=["POST"]),
            Route(USERS, self.user, methods=["GET"]),
            Route(f"{USERS}/part", self.user_part, methods=["GET"]),
            Route(f"{USERS}/{{user}}", self.user, methods=["GET"]),
        ]

    # All users

    async def show(self, request: Request) -> Response:
        """Show all watched users."""
        visitor = await self._services.auth.visitor(request, Action.SEE_PRESENCE)
        values = await self._listed(visitor, request)
        title = english("Diagnostics")
        return await self._services.layout.page(visitor, "tenant/diagnostics.html", DIAGNOSTICS, title, **values)

    async def show_part(self, request: Request) -> Response:
        """Return the live part of the list."""
        visitor = await self._services.auth.visitor(request, Action.SEE_PRESENCE, renews=False)
        return self._services.pages.page("tenant/_users.html", **await self._listed(visitor, request))

    async def _listed(self, visitor: Visitor, request: Request) -> dict[str, Any]:
        text = request.query_params.get("q", "")[:MAX_NAME_CHARS]
        words = [Word(value) for value in request.query_params.getlist("state") if value in set(Word)]
        overview = await self._overviews.of(visitor.tenant_id)
        found = await asyncio.to_thread(overview.find, text, words, MOST_ROWS)
        connected = await connection.read(self._services.store, self._services.vault, visitor.tenant)
        return {
            "connector": shown_connector(connected.connector),
            "rows": [_shown(row) for row in found.rows],
            "total": found.total,
            "more": found.total - len(found.rows),
            "all": len(overview.rows),
            "counts": [(word, found.counts[word], _address(text, [word])) for word in Word if found.counts.get(word)],
            "tones": WORD_TONES,
            "at": overview.at,
            "text": text,
            "words": words,
            "all_words": list(Word),
            "everybody": _address(text, []),
            "source": f"{DIAGNOSTICS}/part{_query(text, words)}",
            "max_chars": MAX_NAME_CHARS,
        }

    # One user

    async def watch(self, request: Request) -> Response:
        """Watch a user for a minute, and redirect to the page about that user."""
        visitor, given = await self._services.auth.form(request, Action.SEE_PRESENCE)
        text = given.get("name", "")[:MAX_NAME_CHARS]
        name = normalise(text)
        if name is not None and not await minute.watch(self._services.store, visitor.tenant_id, name):
            return await self._user_page(visitor, text, status=429, is_full=True)
        return RedirectResponse(f"{USERS}?{urlencode({'name': text})}", status_code=303)

    async def user(self, request: Request) -> Response:
        """Show everything about one user, named in the path or by a form."""
        visitor = await self._services.auth.visitor(request, Action.SEE_PRESENCE)
        return await self._user_page(visitor, _named(request))

    async def _user_page(self, visitor: Visitor, text: str, status: int = 200, *, is_full: bool = False) -> Response:
        values = await self._explained(visitor, text, is_full=is_full)
        title = english("One user")
        return await self._services.layout.page(
            visitor, "tenant/user.html", DIAGNOSTICS, title, status=status, **values
        )

    async def user_part(self, request: Request) -> Response:
        """Return the live part of the page about one user."""
        visitor = await self._services.auth.visitor(request, Action.SEE_PRESENCE, renews=False)
        return self._services.pages.page(
            "tenant/_user.html", **await self._explained(visitor, _named(request), is_full=False)
        )

    async def _explained(self, visitor: Visitor, text: str, *, is_full: bool) -> dict[str, Any]:
        overview = await self._overviews.of(visitor.tenant_id)
        said = await explain(
            self._services.store,
            self._services.vault,
            visitor.tenant_id,
            await asyncio.to_thread(overview.asked_as, text),
        )
        assert said is not None  # authentication has just loaded the tenant
        return {
            **shown_explanation(said),
            "text": text,
            "is_full": is_full,
            "most": minute.MOST_AT_ONCE,
            "can_watch": normalise(text) is not None,
            "source": f"{USERS}/part?{urlencode({'name': text})}",
        }


def _named(request: Request) -> str:
    given = request.path_params.get("user") or request.query_params.get("name", "")
    return str(given)[:MAX_NAME_CHARS]


def _shown(row: UserRow) -> dict[str, Any]:
    """Return the values of a row for the template."""
    presence = row.presence
    absence = None if row.status is None else ABSENCES.get(row.status)
    if row.word is Word.NOT_REQUESTED:
        absence = NOT_REQUESTED
    return {
        "key": row.names[0],  # does not change while a name is being resolved, so that the focus stays on the link
        "title": row.title,
        "names": [name for name in row.names if name != row.title.casefold()][:5],
        "word": row.word,
        "icon": LOOKS[presence.console_status].icon if presence is not None else "unknown",
        "raw": f"{presence.raw_availability} / {presence.raw_activity}" if presence is not None else "",
        "since": row.since,
        "source": SOURCES[presence.source] if presence is not None else "",
        "why": absence.why if absence is not None else "",
        "is_shown": row.is_shown,
        "address": f"{USERS}/{row.user_id}" if row.user_id else f"{USERS}?{urlencode({'name': row.names[0]})}",
    }


def _address(text: str, words: list[Word]) -> str:
    return DIAGNOSTICS + _query(text, words)


def _query(text: str, words: list[Word]) -> str:
    pairs = [("q", text)] if text else []
    pairs += [("state", word.value) for word in words]
    return f"?{urlencode(pairs)}" if pairs else ""
