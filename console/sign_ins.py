"""Sign-ins of operators at Entra: those that a person begins, and silent ones that check a session's role again.

begin ──► Entra: who, and with which roles? ──► POST to the callback ──► take, once ──► identify
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import structlog

from console.sessions import OperatorRight
from pages.browser_secrets import fingerprint
from pages.pending_sign_ins import BoundSignIn, PendingSignIns, SignInFailed, take_bound
from relay.errors import ConsentRequired
from relay.graph.auth.consent import ConsentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.settings import ConsoleSettings, EntraAccess
    from relay.graph.auth.consent import Consent
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.sealing.short_lived import Flows

log = structlog.get_logger(__name__)


class PendingOperatorSignIn(BoundSignIn, frozen=True):
    """A sign-in that Entra has not answered yet.

    Attributes:
        back: the path to go to afterwards.
        session: fingerprint of the session to check again; empty for a new session.
    """

    back: str
    session: str = ""


class SignIns:
    """Begins sign-ins and takes Entra's answers. Raises the errors of `Flows` and `Consent`."""

    def __init__(self, flows: Flows, consent: Consent, settings: ConsoleSettings, access: EntraAccess) -> None:
        self._pending = PendingSignIns(flows, settings.sign_ins, PendingOperatorSignIn, "console-sign-in")
        self._consent = consent
        self._settings = settings
        self._access = access

    async def begin(self, return_secret: str, back: str) -> str:
        """Begin a sign-in; return Entra's address for the browser that holds `return_secret`."""
        begun = await self._consent.begin_sign_in(
            self._settings.redirect_uri, state=secrets.token_urlsafe(32), tenant=self._access.tenant_id
        )
        return await self._pending.begin(begun, PendingOperatorSignIn(fingerprint(return_secret), begun.kept, back))

    async def begin_recheck(self, return_secret: str, back: str, session: str, name: str) -> str:
        """Begin a silent sign-in that checks the role of a signed-in operator; return Entra's address for the browser.

        Args:
            return_secret: of the browser.
            back: the path to go to afterwards.
            session: fingerprint of the session.
            name: the account's name.
        """
        begun = await self._consent.begin_sign_in(
            self._settings.redirect_uri,
            state=secrets.token_urlsafe(32),
            tenant=self._access.tenant_id,
            login_hint=name,
            is_silent=True,
        )
        pending = PendingOperatorSignIn(fingerprint(return_secret), begun.kept, back, session)
        return await self._pending.begin(begun, pending)

    async def take(self, answer: Mapping[str, str], return_secret: str) -> PendingOperatorSignIn:
        """Return the sign-in that Entra's answer belongs to. It cannot be taken again.

        Raises:
            SignInFailed: it was taken before, has expired, or was begun in another browser.
        """
        try:
            return await take_bound(self._pending, answer, return_secret)
        except SignInFailed as failed:
            log.info("console_sign_in_unknown", known=failed.is_of_another_browser)
            raise

    async def identify(
        self, pending: PendingOperatorSignIn, answer: Mapping[str, str]
    ) -> tuple[VerifiedIdentity, OperatorRight]:
        """Return the identity of an operator of the configured tenant, and the right that their role gives.

        Raises:
            SignInFailed: the sign-in failed, or the account is not an operator's.
            Retryable, CredentialRejected: see `Consent`.
        """
        try:
            who = await self._consent.identify(pending.kept, answer)
        except ConsentFailed as failed:
            log.info("console_sign_in_failed", problem=failed.problem.name, code=failed.code)
            raise SignInFailed.of(failed) from failed
        except ConsentRequired as refused:
            log.info("console_sign_in_failed", problem="REFUSED", code=refused.code)
            raise SignInFailed.of(refused) from refused
        if who.tenant_id != self._access.tenant_id:
            log.warning("console_access_refused", account_id=who.account_id, why="other tenant")
            raise SignInFailed("other_tenant", who.upn)
        right = right_of(who, self._access)
        if right is None:
            log.warning("console_access_refused", account_id=who.account_id, why="no role")
            raise SignInFailed("too_many_groups" if who.has_more_groups and self._access.groups else "no_role", who.upn)
        return who, right


def right_of(who: VerifiedIdentity, access: EntraAccess) -> OperatorRight | None:
    """Return the highest right that any app role or group of the account gives; None if it has no right."""
    if (access.role and access.role in who.app_roles) or access.groups.intersection(who.groups):
        return OperatorRight.CHANGE
    if access.reader_role and access.reader_role in who.app_roles:
        return OperatorRight.READ
    return None
