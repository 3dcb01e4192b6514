"""Deletes a tenant permanently: the data, the order, and the page afterwards.

    0  Microsoft      asks for the password again; see `reauthentication`
    1  session        records the data to be deleted, so that the next page can list it even after an interruption
    2  suite keys     are revoked one by one; their streams end
    3  tenant, grants, audit log    are deleted in one step, on disk; the worker gets a notice, and a record if it missed the notice
    4  Microsoft      the subscriptions are ended with tokens that are still available

Interrupted before 3, the organisation still exists, perhaps without suite keys, and pressing the button again continues.
Interrupted after 3, only work of the worker remains, and subscriptions at Microsoft expire within the hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.access import Action
from onboarding.tenant.auth import SignInRequired
from onboarding.tenant.layout import SETTINGS
from onboarding.tenant.sessions import Deletion
from pages.browser_secrets import form_token
from relay.consent.unsubscribe import end_subscriptions
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.store.custody.notices import NoticeKind
from relay.store.server import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.reauthentication import Reauthentication
    from onboarding.tenant.services import TenantServices
from onboarding.tenant.auth import Visitor

log = structlog.get_logger(__name__)

LEAVE: Final = f"{TENANT}/leave"
LEFT: Final = f"{TENANT}/left"


class LeavingViews:
    """Views of deleting a tenant."""

    def __init__(self, services: TenantServices, reauthentication: Reauthentication) -> None:
        self._services = services
        self._reauthentication = reauthentication
        reauthentication.register("leave", Action.LEAVE, self._leave_confirmed)

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(LEAVE, self.leave, methods=["GET", "POST"]),
            Route(LEFT, self.left, methods=["GET"]),
        ]

    async def leave(self, request: Request) -> Response:
        """Show the form for the domain; once the domain was typed, require the password."""
        services = self._services
        given: dict[str, str] = {}
        if request.method == "POST":
            visitor, given = await services.auth.form(request, Action.LEAVE)
        else:
            visitor = await services.auth.visitor(request, Action.LEAVE)
        if given and given.get("domain", "")[:300].strip().casefold() == phrase(visitor).casefold():
            return await self._reauthentication.require(request, visitor, "leave", {"phrase": phrase(visitor)})
        return await services.layout.page(
            visitor,
            "tenant/leave.html",
            SETTINGS,
            english("Leave this relay"),
            status=422 if given else 200,
            is_wrong=bool(given),
            phrase=phrase(visitor),
            suites=len(await services.suite_keys.list(visitor.tenant_id)),
        )

    async def left(self, request: Request) -> Response:
        """List the deleted data. The tenant no longer exists, so there are no visitors; the list is in the session."""
        services = self._services
        secret = TENANT_COOKIES.session_secret(request)
        held = await services.sessions.load(secret)
        if held is None:
            raise SignInRequired
        left, tenant_id = held.session.left, held.session.tenant_id
        if left is None or await services.tenants.load(tenant_id) is not None:
            return RedirectResponse(TENANT, status_code=303)
        return services.pages.page(
            "tenant/left.html",
            left=left,
            token=form_token(secret),
            is_complete=tenant_id not in await services.tenants.left(keys.partition_of(tenant_id)),
        )

    async def _leave_confirmed(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """Delete the tenant after the password was typed again, if its domain is still the one that was typed."""
        if what.get("phrase") != phrase(visitor):
            await self._services.layout.flash(visitor, "unknown_thing")
            return RedirectResponse(TENANT, status_code=303)
        await self._leave(visitor)
        return RedirectResponse(LEFT, status_code=303)

    async def _leave(self, visitor: Visitor) -> None:
        services, tenant_id = self._services, visitor.tenant_id
        records = await services.suite_keys.list(tenant_id)
        entries = await services.audit.count(tenant_id) if records or visitor.grants else 0
        subscriptions = await services.subscriptions.of(tenant_id)
        accounts = tuple(grant.upn or grant.account_id for grant in visitor.grants)
        left = Deletion(visitor.title, accounts, len(records), entries)
        if await services.sessions.change(visitor.held, left=left, fresh=None, flash=None) is None:
            log.info("tenant_already_left", tenant_id=tenant_id)  # a second click; repeating is safe
        if await services.tenants.remove(tenant_id, visitor.actor):
            tenant = visitor.tenant
            await services.letters.to_managers(tenant, NoticeKind.TENANT_LEFT, visitor.actor, managers=visitor.managers)
        await end_subscriptions(services.client, subscriptions, visitor.grants)


def phrase(visitor: Visitor) -> str:
    """Return the text that the visitor must type to confirm."""
    return visitor.tenant.domain or visitor.tenant.name or visitor.tenant_id
