"""The one way in: who is in front of a page of the tenant's, and for which tenant.

A view asks `visitor` (or `sent`, for a form) first and gets a `Visitor`, or does not go on. The tenant is the session's; a view
has no other to choose from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onboarding import cookies as sessions
from onboarding import forms
from onboarding.problems import Stopped
from onboarding.rate_limit import Budget, demand
from onboarding.tenant import cookies
from onboarding.tenant.access import Access, Deed, access_of
from relay.core.audit.events import Actor

if TYPE_CHECKING:
    from starlette.requests import Request

    from onboarding.settings import WebSettings
    from onboarding.tenant.sessions import HeldSession, Session, Sessions
    from relay.core.presence import TenantId, UserId
    from relay.store.custody.managers import Claim, Manager, Managers
    from relay.store.custody.tenants import Tenant, Tenants
    from relay.store.custody.vault import Grant, Vault


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in, for what their right covers.

    Attributes:
        session: who.
        access: by which right.
        tenant: the tenant's record, as it is now.
        grants: its grants, oldest first.
        managers: who looks after it, longest first.
        claim: who may come and do so too.
        token: what forms of this session carry.
        held: the session as it was read.
    """

    session: Session
    access: Access
    tenant: Tenant
    grants: tuple[Grant, ...]
    managers: tuple[Manager, ...]
    claim: Claim
    token: str = field(repr=False)
    held: HeldSession = field(repr=False)

    @property
    def tenant_id(self) -> TenantId:
        """The tenant: the session's."""
        return self.session.tenant_id

    @property
    def title(self) -> str:
        """What the tenant is called."""
        return self.tenant.name or self.tenant.domain or self.tenant_id

    @property
    def actor(self) -> Actor:
        """Who, as the audit log has it."""
        return Actor.account(self.session.upn, self.session.account_id)

    @property
    def own_grant(self) -> Grant | None:
        """The grant of the account itself; None when the relay does not read with it."""
        return next((grant for grant in self.grants if grant.account_id == self.session.account_id), None)

    @property
    def right_of(self) -> UserId | None:
        """Whose right to look after the tenant a step rests on, for a step that takes a while; None when it rests on a role."""
        return self.session.account_id if self.access is Access.MANAGES else None

    def demand(self, deed: Deed) -> None:
        """Go on only if their right covers a deed.

        Raises:
            NotAdmitted: it does not.
        """
        if not self.access.may(deed):
            raise NotAdmitted(self.session, self.access)


class SignInNeeded(Exception):
    """Nobody is signed in (any more): to be answered with the page that offers it."""


class NotAdmitted(Exception):
    """Somebody signed in who may not see the page, or not do what they want to.

    Attributes:
        session: who.
        access: what they may instead.
    """

    def __init__(self, session: Session, access: Access) -> None:
        super().__init__(access.name)
        self.session = session
        self.access = access


class Door:
    """Lets people in, request by request: what they may is asked anew each time, so a right that ended ends open sessions' too.

    Raises `StoreUnavailable` when nobody can tell who somebody is.
    """

    def __init__(
        self, the_sessions: Sessions, tenants: Tenants, vault: Vault, managers: Managers, settings: WebSettings
    ) -> None:
        self._sessions = the_sessions
        self._tenants = tenants
        self._vault = vault
        self._managers = managers
        self._public_url = settings.public_url
        self._roles = settings.manager_roles

    async def visitor(self, request: Request, deed: Deed, *, renews: bool = True) -> Visitor:
        """Who asks for a page.

        Args:
            request: theirs.
            deed: what the page is for.
            renews: whether a person asks; False for what an open page asks for by itself, which keeps no session alive.

        Raises:
            SignInNeeded: nobody is signed in.
            NotAdmitted: they may not.
        """
        secret = cookies.session_secret(request)
        held = await self._sessions.load(secret, renews=renews)
        if held is None:
            raise SignInNeeded
        return await self.admit(held, deed, sessions.form_token(secret))

    async def sent(
        self, request: Request, deed: Deed, max_fields: int = forms.MAX_FIELDS
    ) -> tuple[Visitor, dict[str, str]]:
        """Who sent a form of ours, and its fields.

        Raises:
            Stopped: the form was not sent from a page of this session.
            SignInNeeded, NotAdmitted: see `visitor`.
        """
        given = await forms.ours(request, self._public_url, max_fields)
        secret = cookies.session_secret(request)
        # Before Redis is asked; without a cookie `visitor` offers to sign in, and asks nobody either.
        if secret and not sessions.is_form_of(secret, given.get("token", "")):
            raise Stopped("form_stale")
        if secret:
            demand(request, Budget.CHANGE)
        return await self.visitor(request, deed), given

    async def admit(self, held: HeldSession, deed: Deed, token: str = "") -> Visitor:
        """A session's holder, if they may do something now.

        Raises:
            NotAdmitted: they may not.
        """
        session = held.session
        tenant = await self._tenants.load(session.tenant_id)
        grants = tuple(await self._vault.list(session.tenant_id)) if tenant is not None else ()
        managers, claim = await self._managers.read(session.tenant_id)
        accounts = {grant.account_id for grant in grants}
        access = access_of(session, tenant, {one.account_id for one in managers}, accounts, self._roles)
        if tenant is None or not access.may(deed):
            raise NotAdmitted(session, access)
        return Visitor(session, access, tenant, grants, tuple(managers), claim, token, held)
