"""Who looks after a tenant, and who asks to read for it: named, ended, let in and refused.

A right is bound to the object id that Microsoft's directory knows at the time, because a name may be given to somebody else.
Somebody who asked gave their consent already: it is proven again by a read before a yes makes a grant of it, and no more than a
grant comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.problems import of_error
from onboarding.tenant.access import Deed
from onboarding.tenant.layout import OVERVIEW
from onboarding.tenant.sign_ins import SignInFailed
from onboarding.tenant.trying import proven
from relay.consent import admit
from relay.consent.account_names import NotFound, account_named
from relay.core.consent.values import NewGrant
from relay.core.presence import UserId
from relay.errors import RelayError, TenantRemoved
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.store.custody.access_requests import RequestState
from relay.store.custody.admissions import RequestGone
from relay.store.custody.managers import Added, Removed, RightEnded
from relay.store.custody.notices import NoticeKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.reauthentication import AskedAgain
    from onboarding.tenant.services import Desk
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
_ADDED: Final = {Added.ADDED: "manager_added", Added.THERE: "manager_there", Added.FULL: "too_many_managers"}
_REMOVED: Final = {
    Removed.REMOVED: "manager_ended",
    Removed.NONE: "unknown_thing",
    Removed.LAST: "last_manager",
}


class PeopleViews:
    """The routes' functions."""

    def __init__(self, desk: Desk, again: AskedAgain) -> None:
        self._desk = desk
        self._again = again
        again.know("end-right", Deed.CHANGE_MANAGERS, self._ended_by)

    def routes(self) -> list[Route]:
        """Which function answers what."""
        return [
            Route(f"{_MANAGERS}/add", self.add, methods=["POST"]),
            Route(f"{_MANAGERS}/{{account_id}}/end", self.end, methods=["GET", "POST"]),
            Route(f"{_REQUESTS}/withdraw", self.withdraw, methods=["POST"]),
            Route(f"{_REQUESTS}/{{account_id}}/accept", self.accept, methods=["POST"]),
            Route(f"{_REQUESTS}/{{account_id}}/refuse", self.refuse, methods=["POST"]),
        ]

    async def add(self, request: Request) -> Response:
        """Let somebody else look after the tenant, by name."""
        desk = self._desk
        visitor, given = await desk.door.sent(request, Deed.CHANGE_MANAGERS)
        typed = given.get("name", "")[:_MAX_TYPED]
        found = await account_named(desk.client, visitor.grants, typed)
        if isinstance(found, NotFound):
            await desk.frame.note(visitor, _NOT_FOUND[found], typed)
            return _to_page()
        try:
            added = await desk.managers.add(
                visitor.tenant_id, found.user_id, found.upn, visitor.actor, visitor.right_of
            )
        except RightEnded:
            return _ended(visitor, "name_manager")
        log.info("tenant_manager_named", tenant_id=visitor.tenant_id, account_id=found.user_id, outcome=added.name)
        if added is Added.ADDED:
            await desk.letters.to_managers(visitor.tenant, NoticeKind.MANAGER_ADDED, visitor.actor, about=found.upn)
        await desk.frame.note(visitor, _ADDED[added], found.upn)
        return _to_page()

    async def end(self, request: Request) -> Response:
        """Ask whether somebody's right shall end, or end it."""
        desk = self._desk
        if request.method == "POST":
            visitor, _ = await desk.door.sent(request, Deed.CHANGE_MANAGERS)
        else:
            visitor = await desk.door.visitor(request, Deed.CHANGE_MANAGERS)
        account_id = _account_of(request)
        manager = next((one for one in visitor.managers if one.account_id == account_id), None)
        if manager is None:
            await desk.frame.note(visitor, "unknown_thing")
            return _to_page()
        if request.method != "POST":
            return await desk.frame.page(
                visitor,
                "tenant/end_manager.html",
                OVERVIEW,
                english("End a right"),
                manager=manager,
                is_me=account_id == visitor.session.account_id,
                is_last=len(visitor.managers) == 1,
            )
        if len(visitor.managers) == 1:
            await desk.frame.note(visitor, "last_manager")
            return _to_page()
        return await self._again.ask(
            request, visitor, "end-right", {"account_id": account_id, "since": manager.since.isoformat()}
        )

    async def _ended_by(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """Somebody's right ends, if they have one and are not the last."""
        desk, account_id = self._desk, what.get("account_id")
        manager = next((one for one in visitor.managers if one.account_id == account_id), None)
        if manager is None or manager.since.isoformat() != what.get("since"):
            await desk.frame.note(visitor, "unknown_thing")
            return _to_page()
        try:
            removed = await desk.managers.remove(visitor.tenant_id, manager, visitor.actor, visitor.right_of)
        except RightEnded:
            return _ended(visitor, "end_manager")
        log.info("tenant_manager_ended", tenant_id=visitor.tenant_id, account_id=account_id, outcome=removed.name)
        if removed is Removed.REMOVED:
            await desk.letters.to_managers(
                visitor.tenant,
                NoticeKind.MANAGER_REMOVED,
                visitor.actor,
                about=manager.upn,
                managers=visitor.managers,
            )
        await desk.frame.note(visitor, _REMOVED[removed], manager.upn)
        return _to_page()

    async def accept(self, request: Request) -> Response:
        """Yes: the account reads for the tenant, if its consent still works."""
        visitor, asked = await self._sent(request)
        if asked is None:
            await self._desk.frame.note(visitor, "unknown_thing")
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
            log.warning("tenant_request_postponed", problem=of_error(error), error=str(error))
            key, about = of_error(error), ""
        await self._desk.frame.note(visitor, key, about)
        return _to_page()

    async def refuse(self, request: Request) -> Response:
        """No: the consent is deleted."""
        desk = self._desk
        visitor, asked = await self._sent(request)
        refused = asked is not None and await desk.requests.refuse(visitor.tenant_id, asked, visitor.actor)
        if asked is None or not refused:
            await desk.frame.note(visitor, "unknown_thing")
            return _to_page()
        log.info("tenant_request_refused", tenant_id=visitor.tenant_id, account_id=asked.account_id)
        await desk.frame.note(visitor, "request_refused", asked.upn)
        return _to_page()

    async def withdraw(self, request: Request) -> Response:
        """Take one's own request back, as long as it waits."""
        desk = self._desk
        visitor, _ = await desk.door.sent(request, Deed.WITHDRAW_OWN_REQUEST)
        session = visitor.session
        asked = await desk.requests.load(visitor.tenant_id, session.account_id)
        if asked is not None and asked.state is RequestState.WAITING:
            await desk.requests.withdraw(visitor.tenant_id, asked)
            log.info("tenant_request_withdrawn", tenant_id=visitor.tenant_id, account_id=session.account_id)
        return _to_page()

    async def _accepted(self, visitor: Visitor, asked: AccessRequest) -> tuple[str, str]:
        desk, tenant_id = self._desk, visitor.tenant_id
        cache = await desk.requests.consent(tenant_id, asked.account_id)
        if cache is None:
            return "unknown_thing", ""
        new = NewGrant(tenant_id=tenant_id, account_id=asked.account_id, upn=asked.upn, token_cache=cache)
        grant = await proven(desk.client, new)
        try:
            await admit.by_manager(desk.admissions, grant, by=visitor.actor, right_of=visitor.right_of, asked=asked)
        except RequestGone:
            return "unknown_thing", ""
        log.info("tenant_request_accepted", tenant_id=tenant_id, account_id=asked.account_id)
        return "request_accepted", asked.upn

    async def _sent(self, request: Request) -> tuple[Visitor, AccessRequest | None]:
        """Who sent a form, and the request in its address; None when none waits (any more)."""
        visitor, _ = await self._desk.door.sent(request, Deed.DECIDE_REQUESTS)
        found = await self._desk.requests.load(visitor.tenant_id, _account_of(request))
        return visitor, found if found is not None and found.state is RequestState.WAITING else None


def _account_of(request: Request) -> UserId:
    return UserId(request.path_params["account_id"].lower())


def _ended(visitor: Visitor, step: str) -> RedirectResponse:
    """Their right was ended while the step was under way: the page says that they may not open it."""
    log.warning(
        "tenant_right_ended_meanwhile", tenant_id=visitor.tenant_id, account_id=visitor.session.account_id, step=step
    )
    return _to_page()


def _to_page() -> RedirectResponse:
    return RedirectResponse(TENANT, status_code=303)
