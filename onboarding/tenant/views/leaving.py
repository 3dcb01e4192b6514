"""Leaving for good: what is deleted, in which order, and what is said of it.

    0  Microsoft      says again who is there; see `again`
    1  session        notes what is about to go, so that the page after it can say what went, whatever happens in between
    2  suite keys     revoked one by one; their streams end
    3  tenant, grants, audit log    one step, on disk; the worker is told, and finds it noted when it is away
    4  Microsoft      the subscriptions are ended with the tokens that are still at hand

Cut short before 3, the organisation is still here, its suites perhaps without keys, and pressing the button again goes on. Cut
short after 3, nothing is left to do but what the worker does, and what ends at Microsoft by itself within the hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import cookies as sessions
from onboarding.tenant import cookies
from onboarding.tenant.access import Deed
from onboarding.tenant.auth import SignInNeeded
from onboarding.tenant.layout import SETTINGS
from onboarding.tenant.sessions import Left
from relay.consent.unsubscribe import end_subscriptions
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.store.custody.notices import NoticeKind
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.access import Deed
    from onboarding.tenant.reauthentication import AskedAgain
    from onboarding.tenant.services import Desk
from onboarding.tenant.auth import Visitor

log = structlog.get_logger(__name__)

LEAVE: Final = f"{TENANT}/leave"
LEFT: Final = f"{TENANT}/left"


class LeavingViews:
    """The routes' functions."""

    def __init__(self, desk: Desk, again: AskedAgain) -> None:
        self._desk = desk
        self._again = again
        again.know("leave", Deed.LEAVE, self._left_by)

    def routes(self) -> list[Route]:
        """Which function answers what."""
        return [
            Route(LEAVE, self.leave, methods=["GET", "POST"]),
            Route(LEFT, self.left, methods=["GET"]),
        ]

    async def leave(self, request: Request) -> Response:
        """Ask for the domain, or delete everything."""
        desk = self._desk
        given: dict[str, str] = {}
        if request.method == "POST":
            visitor, given = await desk.door.sent(request, Deed.LEAVE)
        else:
            visitor = await desk.door.visitor(request, Deed.LEAVE)
        if given and given.get("domain", "")[:300].strip().casefold() == phrase(visitor).casefold():
            return await self._again.ask(request, visitor, "leave", {"phrase": phrase(visitor)})
        return await desk.frame.page(
            visitor,
            "tenant/leave.html",
            SETTINGS,
            english("Leave for good"),
            status=422 if given else 200,
            is_wrong=bool(given),
            phrase=phrase(visitor),
            suites=len(await desk.suite_keys.list(visitor.tenant_id)),
        )

    async def left(self, request: Request) -> Response:
        """What was deleted. The organisation is not here any more, and nobody is let in."""
        desk = self._desk
        secret = cookies.session_secret(request)
        held = await desk.sessions.load(secret)
        if held is None:
            raise SignInNeeded
        left, tenant_id = held.session.left, held.session.tenant_id
        if left is None or await desk.tenants.load(tenant_id) is not None:
            return RedirectResponse(TENANT, status_code=303)
        return desk.pages.page(
            "tenant/left.html",
            left=left,
            token=sessions.form_token(secret),
            is_complete=tenant_id not in await desk.tenants.left(keys.partition_of(tenant_id)),
        )

    async def _left_by(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """Everything goes, if it is still called what was typed."""
        if what.get("phrase") != phrase(visitor):
            await self._desk.frame.note(visitor, "unknown_thing")
            return RedirectResponse(TENANT, status_code=303)
        await self._leave(visitor)
        return RedirectResponse(LEFT, status_code=303)

    async def _leave(self, visitor: Visitor) -> None:
        desk, tenant_id = self._desk, visitor.tenant_id
        records = await desk.suite_keys.list(tenant_id)
        entries = await desk.audit.count(tenant_id) if records or visitor.grants else 0
        subscriptions = await desk.subscriptions.of(tenant_id)
        accounts = tuple(grant.upn or grant.account_id for grant in visitor.grants)
        left = Left(visitor.title, accounts, len(records), entries)
        if await desk.sessions.change(visitor.held, left=left, fresh=None, note=None) is None:
            log.info("tenant_leaving_twice", tenant_id=tenant_id)  # a second click; repeating is safe
        if await desk.tenants.remove(tenant_id, visitor.actor):
            tenant = visitor.tenant
            await desk.letters.to_managers(tenant, NoticeKind.TENANT_LEFT, visitor.actor, managers=visitor.managers)
        await end_subscriptions(desk.client, subscriptions, visitor.grants)


def phrase(visitor: Visitor) -> str:
    """What has to be typed."""
    return visitor.tenant.domain or visitor.tenant.name or visitor.tenant_id
