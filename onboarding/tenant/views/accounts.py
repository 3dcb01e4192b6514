"""The overview: how the connection fares, and the accounts that read for it: add one, cure, replace, withdraw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding import cookies as sessions
from onboarding.problems import of_error
from onboarding.rate_limit import Budget, demand
from onboarding.tenant import cookies
from onboarding.tenant.access import Deed
from onboarding.tenant.auth import NotAdmitted
from onboarding.tenant.layout import OVERVIEW
from onboarding.tenant.sign_ins import SignInFailed, Wanted
from onboarding.tenant.trying import proven
from relay.consent import admit
from relay.consent.unsubscribe import end_subscriptions
from relay.core.audit.events import grant_withdrawn
from relay.core.consent.grants import GrantState, classify
from relay.core.consent.tenant import TenantState
from relay.core.presence import UserId
from relay.core.push.subscription import MAX_USERS
from relay.errors import RelayError
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.store.custody.access_requests import RequestState
from relay.store.custody.admissions import Replaced
from relay.store.custody.managers import RightEnded
from relay.store.custody.notices import NoticeKind
from relay.store.custody.vault import LastGrant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.reauthentication import AskedAgain
    from onboarding.tenant.services import Desk
    from onboarding.tenant.sign_ins import Trip
    from relay.core.consent.microsoft_error import Trouble
    from relay.store.custody.vault import Grant

log = structlog.get_logger(__name__)

_ACCOUNTS: Final = f"{TENANT}/accounts"


@dataclass(frozen=True, slots=True)
class Account:
    """One grant as the page shows it.

    Attributes:
        grant: the record. No template reads its token cache.
        reason: why it does not work, in a sentence; empty when it does.
        is_me: whether whoever looks at the page is this account.
    """

    grant: Grant
    reason: str
    is_me: bool

    @property
    def state(self) -> str:
        """A word for the chip: works, waits, is dead, or sealed shut."""
        if self.grant.sealed_shut:
            return "sealed"
        return str(self.grant.state)


class AccountViews:
    """The routes' functions."""

    def __init__(self, desk: Desk, again: AskedAgain) -> None:
        self._desk = desk
        self._again = again
        again.know("withdraw-last", Deed.SEE_OWN_STATE, self._withdrawn_by)

    def routes(self) -> list[Route]:
        """Which function answers what."""
        one = f"{_ACCOUNTS}/{{account_id}}"
        return [
            Route(TENANT, self.show, methods=["GET"]),
            Route(f"{_ACCOUNTS}/add", self.add, methods=["POST"]),
            Route(f"{one}/renew", self.renew, methods=["POST"]),
            Route(f"{one}/replace", self.replace, methods=["POST"]),
            Route(f"{one}/withdraw", self.withdraw, methods=["GET", "POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page."""
        desk = self._desk
        visitor = await desk.door.visitor(request, Deed.SEE_OWN_STATE)
        if not visitor.access.looks_after:
            return await self._own_page(visitor)
        asked = [one for one in await desk.requests.list(visitor.tenant_id) if one.state is RequestState.WAITING]
        accounts = [_account(grant, visitor) for grant in visitor.grants]
        dead = next((account for account in accounts if account.state != GrantState.HEALTHY), None)
        contact = await desk.presences.contact_of(visitor.tenant_id)
        tenant = visitor.tenant
        return await desk.frame.page(
            visitor,
            "tenant/overview.html",
            OVERVIEW,
            english("Overview"),
            accounts=accounts,
            cure=dead.grant.account_id if dead is not None else "",
            needs_consent=tenant.state is TenantState.CONSENT_REQUIRED or not visitor.grants,
            reason=_sentence(tenant.trouble) or next((one.reason for one in accounts if one.reason), ""),
            trouble=tenant.trouble,
            interval=timedelta(milliseconds=contact.interval_ms) if contact is not None else None,
            contact_time=datetime.fromtimestamp(contact.contact_ms / 1000, UTC)
            if contact and contact.contact_ms
            else None,
            fares=contact.status.name if contact is not None else "",
            push=await desk.push.load(visitor.tenant_id),
            capacity=MAX_USERS * sum(grant.state is GrantState.HEALTHY for grant in visitor.grants),
            per_account=MAX_USERS,
            asked=asked,
            manager_roles=bool(desk.settings.manager_roles),
        )

    async def _own_page(self, visitor: Visitor) -> Response:
        """What an account sees that reads for the tenant and does not look after it: its own state."""
        grant = visitor.own_grant
        assert grant is not None
        heading = english("Your account")
        account = _account(grant, visitor)
        return await self._desk.frame.page(visitor, "tenant/own.html", OVERVIEW, heading, account=account)

    async def add(self, request: Request) -> Response:
        """Off to Microsoft, for another account's consent."""
        visitor, _ = await self._desk.door.sent(request, Deed.CHANGE_ACCOUNTS)
        return await self._leave(request, visitor)

    async def renew(self, request: Request) -> Response:
        """Off to Microsoft, for the consent that died: the one button."""
        visitor, grant = await self._sent(request, Deed.CHANGE_ACCOUNTS)
        return await self._leave(request, visitor, login_hint=grant.upn if grant is not None else "")

    async def replace(self, request: Request) -> Response:
        """Off to Microsoft, for another account that takes this one's place."""
        visitor, grant = await self._sent(request, Deed.CHANGE_ACCOUNTS)
        if grant is None:
            await self._desk.frame.note(visitor, "unknown_thing")
            return _to_page()
        return await self._leave(request, visitor, replaces=grant.account_id)

    async def withdraw(self, request: Request) -> Response:
        """Ask whether an account shall be withdrawn, or do it."""
        desk = self._desk
        if request.method == "POST":
            visitor, grant = await self._sent(request, Deed.SEE_OWN_STATE)
        else:
            visitor = await desk.door.visitor(request, Deed.SEE_OWN_STATE)
            grant = _named(request, visitor)
        is_own = grant is not None and grant is visitor.own_grant
        visitor.demand(Deed.WITHDRAW_OWN_GRANT if is_own else Deed.WITHDRAW_GRANT)
        if grant is None:
            await desk.frame.note(visitor, "unknown_thing")
            return _to_page()
        if request.method != "POST":
            return await desk.frame.page(
                visitor,
                "tenant/withdraw.html",
                OVERVIEW,
                english("Withdraw an account"),
                grant=grant,
                is_last=len(visitor.grants) == 1,
                is_me=grant.account_id == visitor.session.account_id,
            )
        what = {"account_id": grant.account_id}
        if not any(one.state is GrantState.HEALTHY for one in visitor.grants if one is not grant):
            return await self._again.ask(request, visitor, "withdraw-last", what)
        try:
            await self._withdraw(visitor, grant, unless_last=True)
        except LastGrant:  # the others were withdrawn in this very moment
            return await self._again.ask(request, visitor, "withdraw-last", what)
        return _to_page()

    async def _withdrawn_by(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """An account goes, the last one or not."""
        grant = next((one for one in visitor.grants if one.account_id == what.get("account_id")), None)
        if grant is None:
            await self._desk.frame.note(visitor, "unknown_thing")
            return _to_page()
        visitor.demand(Deed.WITHDRAW_OWN_GRANT if grant is visitor.own_grant else Deed.WITHDRAW_GRANT)
        await self._withdraw(visitor, grant, unless_last=False)
        return _to_page()

    async def returned(self, trip: Trip, answer: Mapping[str, str]) -> Response:
        """Microsoft's answer to a wish for a consent."""
        desk, wanted = self._desk, trip.wanted
        assert wanted is not None
        held = await desk.sessions.named(wanted.session)
        if held is None or held.session.tenant_id != wanted.tenant_id:
            raise SignInFailed("signed_out")
        try:
            visitor = await desk.door.admit(held, Deed.CHANGE_ACCOUNTS)
        except NotAdmitted:
            return _to_page()
        try:
            key, about = await self._brought(visitor, trip, answer)
        except SignInFailed as failed:
            key, about = failed.problem, failed.detail
        except RightEnded:
            log.warning("tenant_right_ended_meanwhile", tenant_id=visitor.tenant_id, account_id=held.session.account_id)
            return _to_page()
        except RelayError as error:
            log.warning("tenant_consent_postponed", problem=of_error(error), error=str(error))
            key, about = of_error(error), ""
        await desk.frame.note(visitor, key, about)
        return _to_page()

    async def _brought(self, visitor: Visitor, trip: Trip, answer: Mapping[str, str]) -> tuple[str, str]:
        """Keep a consent that works; returns the note about it."""
        desk, wanted = self._desk, trip.wanted
        assert wanted is not None
        consented = await desk.sign_ins.consented(trip, answer)
        former = next((grant for grant in visitor.grants if grant.account_id == wanted.replaces), None)
        grant = await proven(desk.client, consented)
        await admit.by_manager(
            desk.admissions,
            grant,
            by=visitor.actor,
            right_of=visitor.right_of,
            replaces=None if former is None else Replaced(former.account_id, former.upn),
        )
        log.info("tenant_grant_brought", tenant_id=visitor.tenant_id, account_id=consented.account_id)
        is_known = any(grant.account_id == consented.account_id for grant in visitor.grants)
        if former is not None and former.account_id != consented.account_id:
            return "account_replaced", consented.upn
        return "account_renewed" if is_known else "account_added", consented.upn

    async def _withdraw(self, visitor: Visitor, grant: Grant, *, unless_last: bool) -> None:
        desk = self._desk
        subscriptions = [
            one for one in await desk.subscriptions.of(visitor.tenant_id) if one.account_id == grant.account_id
        ]
        entry = grant_withdrawn(visitor.actor, grant.account_id, grant.upn)
        await desk.vault.remove(visitor.tenant_id, grant.account_id, entry, unless_last=unless_last)
        if len(visitor.grants) == 1:
            about = grant.upn or grant.account_id
            await desk.letters.to_managers(
                visitor.tenant, NoticeKind.LAST_ACCOUNT_WITHDRAWN, visitor.actor, about=about
            )
        log.info("tenant_grant_withdrawn", tenant_id=visitor.tenant_id, account_id=grant.account_id)
        is_last = len(visitor.grants) == 1
        await desk.frame.note(visitor, "last_withdrawn" if is_last else "account_withdrawn", grant.upn)
        await end_subscriptions(desk.client, subscriptions, [grant])

    async def _leave(self, request: Request, visitor: Visitor, *, login_hint: str = "", replaces: str = "") -> Response:
        demand(request, Budget.SIGN_IN)
        desk = self._desk
        returning = cookies.return_secret(request) or sessions.new_secret()
        wanted = Wanted(sessions.fingerprint(cookies.session_secret(request)), visitor.tenant_id, replaces)
        url = await desk.sign_ins.begin_consent(returning, wanted, login_hint)
        response = desk.pages.page("tenant/to_microsoft.html", url=url, is_consent=True)
        cookies.keep_return(response, returning)
        return response

    async def _sent(self, request: Request, deed: Deed) -> tuple[Visitor, Grant | None]:
        """Who sent a form, and the account in its address; None when this tenant has no such account."""
        visitor, _ = await self._desk.door.sent(request, deed)
        return visitor, _named(request, visitor)


def _named(request: Request, visitor: Visitor) -> Grant | None:
    account_id = UserId(request.path_params["account_id"].lower())
    return next((grant for grant in visitor.grants if grant.account_id == account_id), None)


def _account(grant: Grant, visitor: Visitor) -> Account:
    is_well = grant.state is GrantState.HEALTHY
    reason = "" if is_well else _sentence(grant.last_error) or _meaning(grant.error)
    return Account(grant, reason, grant.account_id == visitor.session.account_id)


def _sentence(trouble: Trouble | None) -> str:
    return "" if trouble is None else _meaning(trouble.code, trouble.said.number)


def _meaning(code: str, number: int = 0) -> str:
    """What Microsoft's code means, as the core says it to people; empty without one."""
    if not code:
        return ""
    error, _, suberror = code.partition("/")
    return classify(error, suberror, [number] if number else []).sentence


def _to_page() -> RedirectResponse:
    return RedirectResponse(TENANT, status_code=303)
