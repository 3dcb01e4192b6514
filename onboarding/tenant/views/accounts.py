"""The overview: the status of the connection, and the accounts that read presence: add, renew, replace, withdraw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.access import Action
from onboarding.tenant.auth import ActionDenied
from onboarding.tenant.layout import OVERVIEW
from onboarding.tenant.proving import proven
from onboarding.tenant.sign_ins import ConsentRequest
from pages.browser_secrets import fingerprint
from pages.pending_sign_ins import SignInFailed
from pages.problems import problem_of
from pages.rate_limit import RequestKind, count_request
from relay.consent import admit
from relay.consent.unsubscribe import end_subscriptions
from relay.core.audit.events import grant_withdrawn
from relay.core.consent.grants import GrantState
from relay.core.consent.refusals import classify
from relay.core.consent.tenant import TenantState
from relay.core.presence import UserId
from relay.core.push.subscription import MAX_USERS
from relay.errors import RelayError, support_fields
from relay.http.paths import TENANT
from relay.locale.languages import english
from relay.store.custody.access_requests import RequestState
from relay.store.custody.admissions import ReplacedGrant
from relay.store.custody.managers import RightEnded
from relay.store.custody.notices import NoticeKind
from relay.store.custody.vault import LastGrant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.reauthentication import Reauthentication
    from onboarding.tenant.services import TenantServices
    from onboarding.tenant.sign_ins import PendingSignIn
    from relay.core.consent.microsoft_error import RefusalRecord
    from relay.store.custody.vault import Grant

log = structlog.get_logger(__name__)

_ACCOUNTS: Final = f"{TENANT}/accounts"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account on the page.

    Attributes:
        grant: the record. No template reads its token cache.
        reason: a sentence that explains why it does not work; empty if it works.
        is_me: whether the visitor is this account.
    """

    grant: Grant
    reason: str
    is_me: bool

    @property
    def state(self) -> str:
        """The state for the chip: that of the grant, or `sealed` when its key is missing."""
        if self.grant.sealed_shut:
            return "sealed"
        return str(self.grant.state)


class AccountViews:
    """Views of the overview and of the accounts."""

    def __init__(self, services: TenantServices, reauthentication: Reauthentication) -> None:
        self._services = services
        self._reauthentication = reauthentication
        reauthentication.register("withdraw-last", Action.SEE_OWN_STATE, self._withdraw_confirmed)

    def routes(self) -> list[Route]:
        """Return the routes of this section."""
        one = f"{_ACCOUNTS}/{{account_id}}"
        return [
            Route(TENANT, self.show, methods=["GET"]),
            Route(f"{_ACCOUNTS}/add", self.add, methods=["POST"]),
            Route(f"{one}/renew", self.renew, methods=["POST"]),
            Route(f"{one}/replace", self.replace, methods=["POST"]),
            Route(f"{one}/withdraw", self.withdraw, methods=["GET", "POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the overview; an account that only reads presence sees its own state."""
        services = self._services
        visitor = await services.auth.visitor(request, Action.SEE_OWN_STATE)
        if not visitor.access.is_manager:
            return await self._own_page(visitor)
        asked = [one for one in await services.requests.list(visitor.tenant_id) if one.state is RequestState.WAITING]
        accounts = [_account(grant, visitor) for grant in visitor.grants]
        dead = next((account for account in accounts if account.state != GrantState.HEALTHY), None)
        contact = await services.presences.contact_of(visitor.tenant_id)
        tenant = visitor.tenant
        return await services.layout.page(
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
            contact_status=contact.status.name if contact is not None else "",
            push=await services.push.load(visitor.tenant_id),
            capacity=MAX_USERS * sum(grant.state is GrantState.HEALTHY for grant in visitor.grants),
            per_account=MAX_USERS,
            asked=asked,
            manager_roles=bool(services.settings.manager_roles),
        )

    async def _own_page(self, visitor: Visitor) -> Response:
        """Show an account that reads for the tenant but does not manage it its own state."""
        grant = visitor.own_grant
        assert grant is not None
        heading = english("Your account")
        account = _account(grant, visitor)
        return await self._services.layout.page(visitor, "tenant/own.html", OVERVIEW, heading, account=account)

    async def add(self, request: Request) -> Response:
        """Send the browser to Microsoft, for another account's consent."""
        visitor, _ = await self._services.auth.form(request, Action.CHANGE_ACCOUNTS)
        return await self._send_to_microsoft(request, visitor)

    async def renew(self, request: Request) -> Response:
        """Send the browser to Microsoft, to renew a consent that stopped working."""
        visitor, grant = await self._sent(request, Action.CHANGE_ACCOUNTS)
        return await self._send_to_microsoft(request, visitor, login_hint=grant.upn if grant is not None else "")

    async def replace(self, request: Request) -> Response:
        """Send the browser to Microsoft, for an account that replaces this one."""
        visitor, grant = await self._sent(request, Action.CHANGE_ACCOUNTS)
        if grant is None:
            await self._services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        return await self._send_to_microsoft(request, visitor, replaces=grant.account_id)

    async def withdraw(self, request: Request) -> Response:
        """Ask for confirmation, or withdraw an account."""
        services = self._services
        if request.method == "POST":
            visitor, grant = await self._sent(request, Action.SEE_OWN_STATE)
        else:
            visitor = await services.auth.visitor(request, Action.SEE_OWN_STATE)
            grant = _named(request, visitor)
        is_own = grant is not None and grant is visitor.own_grant
        visitor.require(Action.WITHDRAW_OWN_GRANT if is_own else Action.WITHDRAW_GRANT)
        if grant is None:
            await services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        if request.method != "POST":
            return await services.layout.page(
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
            return await self._reauthentication.require(request, visitor, "withdraw-last", what)
        try:
            await self._withdraw(visitor, grant, unless_last=True)
        except LastGrant:  # the others were withdrawn at the same moment
            return await self._reauthentication.require(request, visitor, "withdraw-last", what)
        return _to_page()

    async def _withdraw_confirmed(self, visitor: Visitor, what: Mapping[str, str]) -> Response:
        """Withdraw an account after the password was typed again, even if it is the last."""
        grant = next((one for one in visitor.grants if one.account_id == what.get("account_id")), None)
        if grant is None:
            await self._services.layout.flash(visitor, "unknown_thing")
            return _to_page()
        visitor.require(Action.WITHDRAW_OWN_GRANT if grant is visitor.own_grant else Action.WITHDRAW_GRANT)
        await self._withdraw(visitor, grant, unless_last=False)
        return _to_page()

    async def returned(self, pending: PendingSignIn, answer: Mapping[str, str]) -> Response:
        """Process Microsoft's answer to a request for a consent."""
        services, consent = self._services, pending.consent
        assert consent is not None
        held = await services.sessions.named(consent.session)
        if held is None or held.session.tenant_id != consent.tenant_id:
            raise SignInFailed("signed_out")
        try:
            visitor = await services.auth.authorize(held, Action.CHANGE_ACCOUNTS)
        except ActionDenied:
            return _to_page()
        try:
            key, about = await self._keep_consent(visitor, pending, answer)
        except SignInFailed as failed:
            key, about = failed.problem, failed.detail
        except RightEnded:
            log.warning("tenant_right_ended_meanwhile", tenant_id=visitor.tenant_id, account_id=held.session.account_id)
            return _to_page()
        except RelayError as error:
            log.warning(
                "tenant_consent_postponed", problem=problem_of(error), error=str(error), **support_fields(error)
            )
            key, about = problem_of(error), ""
        await services.layout.flash(visitor, key, about)
        return _to_page()

    async def _keep_consent(
        self, visitor: Visitor, pending: PendingSignIn, answer: Mapping[str, str]
    ) -> tuple[str, str]:
        """Store a consent that works; return the key and the subject of the message about it."""
        services, consent = self._services, pending.consent
        assert consent is not None
        consented = await services.sign_ins.consented(pending, answer)
        former = next((grant for grant in visitor.grants if grant.account_id == consent.replaces), None)
        grant = await proven(services.client, consented)
        await admit.by_manager(
            services.admissions,
            grant,
            by=visitor.actor,
            right_of=visitor.right_of,
            replaces=None if former is None else ReplacedGrant(former.account_id, former.upn),
        )
        log.info("tenant_grant_added", tenant_id=visitor.tenant_id, account_id=consented.account_id)
        is_known = any(grant.account_id == consented.account_id for grant in visitor.grants)
        if former is not None and former.account_id != consented.account_id:
            return "account_replaced", consented.upn
        return "account_renewed" if is_known else "account_added", consented.upn

    async def _withdraw(self, visitor: Visitor, grant: Grant, *, unless_last: bool) -> None:
        services = self._services
        subscriptions = [
            one for one in await services.subscriptions.of(visitor.tenant_id) if one.account_id == grant.account_id
        ]
        entry = grant_withdrawn(visitor.actor, grant.account_id, grant.upn)
        await services.vault.remove(visitor.tenant_id, grant.account_id, entry, unless_last=unless_last)
        if len(visitor.grants) == 1:
            about = grant.upn or grant.account_id
            await services.letters.to_managers(
                visitor.tenant, NoticeKind.LAST_ACCOUNT_WITHDRAWN, visitor.actor, about=about
            )
        log.info("tenant_grant_withdrawn", tenant_id=visitor.tenant_id, account_id=grant.account_id)
        is_last = len(visitor.grants) == 1
        await services.layout.flash(visitor, "last_withdrawn" if is_last else "account_withdrawn", grant.upn)
        await end_subscriptions(services.client, subscriptions, [grant])

    async def _send_to_microsoft(
        self, request: Request, visitor: Visitor, *, login_hint: str = "", replaces: str = ""
    ) -> Response:
        count_request(request, RequestKind.SIGN_IN)
        services = self._services
        returning = services.door.returning(request)
        consent = ConsentRequest(fingerprint(TENANT_COOKIES.session_secret(request)), visitor.tenant_id, replaces)
        url = await services.sign_ins.begin_consent(returning, consent, login_hint)
        return services.door.to_microsoft(url, returning, is_consent=True)

    async def _sent(self, request: Request, action: Action) -> tuple[Visitor, Grant | None]:
        """Return the visitor who sent a form, and the account in its address; None when this tenant has no such account."""
        visitor, _ = await self._services.auth.form(request, action)
        return visitor, _named(request, visitor)


def _named(request: Request, visitor: Visitor) -> Grant | None:
    account_id = UserId(request.path_params["account_id"].lower())
    return next((grant for grant in visitor.grants if grant.account_id == account_id), None)


def _account(grant: Grant, visitor: Visitor) -> AccountRow:
    is_well = grant.state is GrantState.HEALTHY
    reason = "" if is_well else _sentence(grant.last_error) or _meaning(grant.error)
    return AccountRow(grant, reason, grant.account_id == visitor.session.account_id)


def _sentence(trouble: RefusalRecord | None) -> str:
    return "" if trouble is None else _meaning(trouble.code, trouble.said.number)


def _meaning(code: str, number: int = 0) -> str:
    """Return the sentence for a Microsoft error code; empty without a code."""
    if not code:
        return ""
    error, _, suberror = code.partition("/")
    return classify(error, suberror, [number] if number else []).sentence


def _to_page() -> RedirectResponse:
    return RedirectResponse(TENANT, status_code=303)
