"""Managers of a tenant, and requests to read for it.

A manager's right is bound to the object id in Microsoft's directory, because a name may be reassigned to another person. A person
who requests to read has already consented; a read tests the consent before it becomes a grant. The grant gives no other right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.tenant.access import Action
from onboarding.tenant.layout import OVERVIEW
from onboarding.tenant.proving import proven
from pages.pending_sign_ins import SignInFailed
from pages.problems import problem_of
from relay.consent import admit
from relay.consent.account_names import NotFound, find_account
from relay.core.consent.values import NewGrant
from relay.core.presence import UserId
from relay.errors import RelayError, TenantRemoved, support_fields
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.store.custody.access_requests import RequestState
from relay.store.custody.admissions import RequestGone
from relay.store.custody.managers import AddOutcome, RemoveOutcome, RightEnded
from relay.store.custody.notices import NoticeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.reauthentication import Reauthentication
    from onboarding.tenant.services import TenantServices
    from relay.store.custody.access_requests import AccessRequest

log = structlog.get_logger(__name__)

_MANAGERS: Final = f"{TENANT}/managers"
_REQUESTS: Final = f"{TENANT}/requests"
_MAX_TYPED: Final = 400
_NOT_FOUND: Final = {
    NotFound.UNKNOWN: "name_unknown",
    NotFound.GUEST: "name_of_guest",
    NotFound.NO_GRANT: "name_without_grant",
    NotFound.NO_ANSWER: "name_not_looked_up",
}
_ADDED: Final = {
    AddOutcome.ADDED: "manager_added",
    AddOutcome.THERE: "manager_there",
    AddOutcome.FULL: "too_many_managers",
}
_REMOVED: Final = {
    RemoveOutcome.REMOVED: "manager_ended",
    RemoveOutcome.NONE: "unknown_thing",
    RemoveOutcome.LAST: "last_manager",
}


class PeopleViews:
    """Views of managers and requests."""

    def __init__(self, services: TenantServices, reauthentication: Reauthentication) -> None:
        self._services = services
        self._reauthentication = reauthentication
        reauthentication.register("end-right", Action.CHANGE_MANAGERS, self._remove_confirmed)

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        return [
            Route(f"{_MANAGERS}/add", self.add, methods=["POST"]),
            Route(f"{_MANAGERS}/{{account_id}}/end", self.end, methods=["GET", "POST"]),
            Route(f"{_REQUESTS}/withdraw", self.withdraw, methods=["POST"]),
            Route(f"{_REQUESTS}/{{account_id}}/accept", self.accept, methods=["POST"]),
            Route(f"{_REQUESTS}/{{account_id}}/refuse", self.refuse, methods=["POST"]),
        ]

    async def add(self, request: Request) -> Response:
        """Add a manager by account name or object id."""
        services = self._services
        visitor, given = await services.auth.form(request, Action.CHANGE_MANAGERS)
        typed = given.get("name", "")[:_MAX_TYPED]
        found = await find_account(services.client, visitor.grants, typed)
        if isinstance(found, NotFound):
            await services.layout.flash(visitor, _NOT_FOUND[found], typed)
            return _to_page()
        try:
            added = await services.managers.add(
                visitor.tenant_id, found.user_id, found.upn, visitor.actor, visitor.right_of
            )
        except RightEnded:
            return _ended(visitor, "name_manager")
        log.info("tenant_manager_added", tenant_id=visitor.tenant_id, account_id=found.user_id, outcome=added.name)
        if added is AddOutcome.ADDED:
            await services.letters.to_managers(visitor.tenant, NoticeKind.MANAGER_ADDED, visitor.actor, about=found.upn)
        await services.layout.flash(visitor, _ADDED[added], found.upn)
        return _to_page()

    async def end(self, request: Request) -> Response:
        """Ask for confirmation, or remove a manager."""
        services = self._services
        if request.method == "POST":
            visitor, _ = await services.auth.form(request, Action.CHANGE_MANAGERS)
        else:
            visitor = await services.auth.visitor(request, Action.CHANGE_MANAGERS)
        account_id = _account_of(request)
        manager = next((one for one in visitor.managers if one.account_id == account_id), None)
        if manager is None:
            await services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        if request.method != "POST":
            return await services.layout.page(
                visitor,
                "tenant/end_manager.html",
                OVERVIEW,
                english("Remove a manager"),
                manager=manager,
                is_me=account_id == visitor.session.account_id,
                is_last=len(visitor.managers) == 1,
            )
        if len(visitor.managers) == 1:
            await services.layout.flash(visitor, "last_manager")
            return _to_page()
        return await self._reauthentication.require(
            request, visitor, "end-right", {"account_id": account_id, "since": manager.since.isoformat()}
        )

    async def _remove_confirmed(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """Remove a manager after the password was typed again, unless it is the last."""
        services, account_id = self._services, what.get("account_id")
        manager = next((one for one in visitor.managers if one.account_id == account_id), None)
        if manager is None or manager.since.isoformat() != what.get("since"):
            await services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        try:
            removed = await services.managers.remove(visitor.tenant_id, manager, visitor.actor, visitor.right_of)
        except RightEnded:
            return _ended(visitor, "end_manager")
        log.info("tenant_manager_removed", tenant_id=visitor.tenant_id, account_id=account_id, outcome=removed.name)
        if removed is RemoveOutcome.REMOVED:
            await services.letters.to_managers(
                visitor.tenant,
                NoticeKind.MANAGER_REMOVED,
                visitor.actor,
                about=manager.upn,
                managers=visitor.managers,
            )
        await services.layout.flash(visitor, _REMOVED[removed], manager.upn)
        return _to_page()

    async def accept(self, request: Request) -> Response:
        """Accept a request, if its consent still works."""
        visitor, asked = await self._sent(request)
        if asked is None:
            await self._services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        try:
            key, about = await self._accepted(visitor, asked)
        except SignInFailed as failed:
            key, about = failed.problem, failed.detail
        except TenantRemoved:
            raise
        except RightEnded:
            return _ended(visitor, "accept_request")
        except RelayError as error:
            log.warning(
                "tenant_request_postponed", problem=problem_of(error), error=str(error), **support_fields(error)
            )
            key, about = problem_of(error), ""
        await self._services.layout.flash(visitor, key, about)
        return _to_page()

    async def refuse(self, request: Request) -> Response:
        """Refuse a request and delete its consent."""
        services = self._services
        visitor, asked = await self._sent(request)
        refused = asked is not None and await services.requests.refuse(visitor.tenant_id, asked, visitor.actor)
        if asked is None or not refused:
            await services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        log.info("tenant_request_refused", tenant_id=visitor.tenant_id, account_id=asked.account_id)
        await services.layout.flash(visitor, "request_refused", asked.upn)
        return _to_page()

    async def withdraw(self, request: Request) -> Response:
        """Withdraw the visitor's own request while it waits."""
        services = self._services
        visitor, _ = await services.auth.form(request, Action.WITHDRAW_OWN_REQUEST)
        session = visitor.session
        asked = await services.requests.load(visitor.tenant_id, session.account_id)
        if asked is not None and asked.state is RequestState.WAITING:
            await services.requests.withdraw(visitor.tenant_id, asked)
            log.info("tenant_request_withdrawn", tenant_id=visitor.tenant_id, account_id=session.account_id)
        return _to_page()

    async def _accepted(self, visitor: Visitor, asked: AccessRequest) -> tuple[str, str]:
        services, tenant_id = self._services, visitor.tenant_id
        cache = await services.requests.consent(tenant_id, asked.account_id)
        if cache is None:
            return "unknown_thing", ""
        new = NewGrant(tenant_id=tenant_id, account_id=asked.account_id, upn=asked.upn, token_cache=cache)
        grant = await proven(services.client, new)
        try:
            await admit.by_manager(services.admissions, grant, by=visitor.actor, right_of=visitor.right_of, asked=asked)
        except RequestGone:
            return "unknown_thing", ""
        log.info("tenant_request_accepted", tenant_id=tenant_id, account_id=asked.account_id)
        return "request_accepted", asked.upn

    async def _sent(self, request: Request) -> tuple[Visitor, AccessRequest | None]:
        """Return the visitor who sent a form, and the waiting request in its address; None when there is none."""
        visitor, _ = await self._services.auth.form(request, Action.DECIDE_REQUESTS)
        found = await self._services.requests.load(visitor.tenant_id, _account_of(request))
        return visitor, found if found is not None and found.state is RequestState.WAITING else None


def _account_of(request: Request) -> UserId:
    return UserId(request.path_params["account_id"].lower())


def _ended(visitor: Visitor, step: str) -> RedirectResponse:
    """Log that the visitor's right ended during the step, and redirect to the page, which refuses access."""
    log.warning(
        "tenant_right_ended_meanwhile", tenant_id=visitor.tenant_id, account_id=visitor.session.account_id, step=step
    )
    return _to_page()


def _to_page() -> RedirectResponse:
    return RedirectResponse(TENANT, status_code=303)
