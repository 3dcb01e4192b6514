"""Authentication and authorisation of every request to the tenant's page.

A view first calls `visitor` (or `form`, for a form), which returns a `Visitor` or raises. The tenant comes from the session; a view
cannot select another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.access import Access, Action, access_of
from pages import forms
from pages.browser_secrets import form_token
from relay.core.audit.events import Actor

if TYPE_CHECKING:
    from starlette.requests import Request

    from onboarding.settings import WebSettings
    from onboarding.tenant.sessions import LoadedSession, Session, Sessions
    from pages.door import Door
    from relay.core.presence import TenantId, UserId
    from relay.store.custody.managers import Claim, Manager, Managers
    from relay.store.custody.tenants import Tenant, Tenants
    from relay.store.custody.vault import Grant, Vault


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person with access, within the limits of their right.

    Attributes:
        session: the person, and the tenant that they signed in to.
        access: the person's right.
        tenant: the tenant's current record.
        grants: its grants, oldest first.
        managers: its managers, longest-serving first.
        claim: the contact who may still become a manager.
        token: the token of this session's forms.
        held: the session as read from the store.
    """

    session: Session
    access: Access
    tenant: Tenant
    grants: tuple[Grant, ...]
    managers: tuple[Manager, ...]
    claim: Claim
    token: str = field(repr=False)
    held: LoadedSession = field(repr=False)

    @property
    def tenant_id(self) -> TenantId:
        """The id of the session's tenant."""
        return self.session.tenant_id

    @property
    def title(self) -> str:
        """The name of the tenant, its domain or its id, whichever is known."""
        return self.tenant.name or self.tenant.domain or self.tenant_id

    @property
    def actor(self) -> Actor:
        """The visitor in the form of the audit log."""
        return Actor.account(self.session.upn, self.session.account_id)

    @property
    def own_grant(self) -> Grant | None:
        """The grant of the account itself; None when the relay does not read with it."""
        return next((grant for grant in self.grants if grant.account_id == self.session.account_id), None)

    @property
    def right_of(self) -> UserId | None:
        """The account whose manager's right a longer step must check again at its end; None if a directory role gives the right."""
        return self.session.account_id if self.access is Access.MANAGES else None

    def require(self, action: Action) -> None:
        """Check that the visitor's right covers an action.

        Raises:
            ActionDenied: it does not.
        """
        if not self.access.may(action):
            raise ActionDenied(self.session, self.access)


class SignInRequired(Exception):
    """The visitor is not, or no longer, signed in; answered with the sign-in page."""


class ActionDenied(Exception):
    """The signed-in person may not see the page or may not do this.

    Attributes:
        session: the person.
        access: the right that they have.
    """

    def __init__(self, session: Session, access: Access) -> None:
        super().__init__(access.name)
        self.session = session
        self.access = access


class Authenticator:
    """Authenticates every request. Rights are read again each time, so a right that ends also ends in open sessions.

    Raises `StoreUnavailable` if sessions or rights cannot be read.
    """

    def __init__(
        self, door: Door, sessions: Sessions, tenants: Tenants, vault: Vault, managers: Managers, settings: WebSettings
    ) -> None:
        self._door = door
        self._sessions = sessions
        self._tenants = tenants
        self._vault = vault
        self._managers = managers
        self._roles = settings.manager_roles

    async def visitor(self, request: Request, action: Action, *, renews: bool = True) -> Visitor:
        """Return the visitor who requests a page.

        Args:
            request: the request.
            action: the action that the page is for.
            renews: False for requests that an open page makes automatically; they do not extend the session.

        Raises:
            SignInRequired: the visitor is not signed in.
            ActionDenied: the visitor's right does not cover the action.
        """
        secret = TENANT_COOKIES.session_secret(request)
        held = await self._sessions.load(secret, renews=renews)
        if held is None:
            raise SignInRequired
        return await self.authorize(held, action, form_token(secret))

    async def form(
        self, request: Request, action: Action, max_fields: int = forms.MAX_FIELDS
    ) -> tuple[Visitor, dict[str, str]]:
        """Return the visitor who sent a form, and the form's fields.

        Raises:
            ProblemError: the form was not sent from a page of this session.
            SignInRequired, ActionDenied: see `visitor`.
        """
        given = await self._door.form(request, max_fields)
        return await self.visitor(request, action), given

    async def authorize(self, held: LoadedSession, action: Action, token: str = "") -> Visitor:
        """Return the visitor of a session, if their right covers an action now.

        Raises:
            ActionDenied: it does not.
        """
        session = held.session
        tenant = await self._tenants.load(session.tenant_id)
        grants = tuple(await self._vault.list(session.tenant_id)) if tenant is not None else ()
        managers, claim = await self._managers.read(session.tenant_id)
        accounts = {grant.account_id for grant in grants}
        access = access_of(session, tenant, {one.account_id for one in managers}, accounts, self._roles)
        if tenant is None or not access.may(action):
            raise ActionDenied(session, access)
        return Visitor(session, access, tenant, grants, tuple(managers), claim, token, held)
