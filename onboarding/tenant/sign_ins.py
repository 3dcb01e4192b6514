"""Sign-ins at Microsoft: for identity, for a new consent, and for typing the password again.

Each is stored under its `state`, usable once, and bound to its browser. A sign-in for a consent is also bound to its session, and
thereby to the tenant.
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from pages.browser_secrets import fingerprint
from pages.pending_sign_ins import BoundSignIn, PendingSignIns, SignInFailed, take_bound
from relay.core.consent.values import NewGrant
from relay.core.presence import TenantId, UserId
from relay.errors import ConsentRequired
from relay.graph.auth.consent import ConsentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relay.graph.auth.consent import Consent
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.sealing.quotas import Quota
    from relay.store.sealing.short_lived import Flows

log = structlog.get_logger(__name__)

_STATE_PREFIX: Final = "tenant."
"""Prefix of every `state` of the tenant's page, which separates its answers from the wizard's."""
ACTION_TIMEOUT: Final = timedelta(minutes=10)
"""Time to type a password and a second factor for an action that cannot be undone."""
CLOCK_SKEW_S: Final = 30.0
"""Our clock and Microsoft's may differ by this much; Entra's claims are in whole seconds."""


class ConsentRequest(msgspec.Struct, frozen=True):
    """A consent that a signed-in person has requested from Microsoft.

    Attributes:
        session: fingerprint of the session, whose cookie does not come with Microsoft's answer.
        tenant_id: the session's tenant. An account of any other tenant is refused.
        replaces: the account that the new one replaces; empty: none.
    """

    session: str
    tenant_id: TenantId
    replaces: str = ""


class PendingAction(msgspec.Struct, frozen=True):
    """An action that cannot be undone and waits for the password; see `reauthentication`.

    Attributes:
        session: fingerprint of the session that requested it.
        tenant_id: the session's tenant.
        account_id: the session's account.
        name: the registered name of the action.
        what: its arguments, as requested.
        asked_s: the time of the request, in seconds since 1970.
    """

    session: str
    tenant_id: TenantId
    account_id: UserId
    name: str
    what: dict[str, str]
    asked_s: float


class PendingSignIn(BoundSignIn, frozen=True):
    """A sign-in that Microsoft has not answered yet.

    Attributes:
        consent: the consent that it is for; None: it only identifies a person.
        action: the action that it is for; None: there is none.
    """

    consent: ConsentRequest | None = None
    action: PendingAction | None = None


class TenantSignIns:
    """Begins sign-ins for the tenant's page and processes Microsoft's answers. Raises the errors of `Flows` and `Consent`."""

    def __init__(self, flows: Flows, consent: Consent, redirect_uri: str, quota: Quota) -> None:
        self._pending = PendingSignIns(flows, quota, PendingSignIn, "sign-in")
        self._consent = consent
        self._redirect_uri = redirect_uri

    async def begin(self, return_secret: str) -> str:
        """Begin a sign-in for identity; return Microsoft's address for the browser that holds `return_secret`."""
        begun = await self._consent.begin_sign_in(self._redirect_uri, state=_new_state())
        return await self._pending.begin(begun, PendingSignIn(fingerprint(return_secret), begun.kept))

    async def begin_consent(self, return_secret: str, consent: ConsentRequest, login_hint: str = "") -> str:
        """Begin a sign-in for a consent; return Microsoft's address.

        Any work account may sign in, as in the wizard; its tenant is checked afterwards.
        """
        begun = await self._consent.begin(
            self._redirect_uri, prompt="select_account", login_hint=login_hint or None, state=_new_state()
        )
        return await self._pending.begin(begun, PendingSignIn(fingerprint(return_secret), begun.kept, consent))

    async def begin_reauthentication(self, return_secret: str, action: PendingAction, login_hint: str) -> str:
        """Begin a sign-in that requires the password again; return Microsoft's address.

        Raises:
            FlowTooLarge: the action's arguments are too long to be stored.
        """
        begun = await self._consent.begin_sign_in(
            self._redirect_uri, state=_new_state(), login_hint=login_hint, is_fresh=True
        )
        return await self._pending.begin(begun, PendingSignIn(fingerprint(return_secret), begun.kept, action=action))

    async def reauthenticated(
        self, pending: PendingSignIn, answer: Mapping[str, str], proven_s: int
    ) -> VerifiedIdentity:
        """Check that the account typed its password after it requested the action; return it with its `auth_time`.

        Args:
            pending: the sign-in that was begun for the action.
            answer: Microsoft's answer.
            proven_s: the `auth_time` of the action before this one: a password allows one action.

        Raises:
            SignInFailed: another account answered, the password is too old, or Microsoft does not report when it was typed.
            Retryable, CredentialRejected: see `Consent`.
        """
        action = pending.action
        assert action is not None
        who = await self.identify(pending, answer)
        if (who.tenant_id, who.account_id) != (action.tenant_id, action.account_id):
            raise SignInFailed("other_account", who.upn)
        if who.auth_time is None:
            log.error("auth_time_missing", remedy="add the optional claim auth_time to the application's id tokens")
            raise SignInFailed("auth_time_missing")
        if who.auth_time < action.asked_s - CLOCK_SKEW_S or who.auth_time <= proven_s:
            raise SignInFailed("signed_in_before")
        if time.time() - action.asked_s > ACTION_TIMEOUT.total_seconds():
            raise SignInFailed("sign_in_stale")
        return who

    async def take(self, answer: Mapping[str, str], return_secret: str) -> PendingSignIn:
        """Return the sign-in that Microsoft's answer belongs to. It cannot be taken again.

        Raises:
            SignInFailed: it was taken before, has expired, or was begun in another browser.
        """
        try:
            return await take_bound(self._pending, answer, return_secret)
        except SignInFailed as failed:
            log.info("tenant_sign_in_unknown", known=failed.is_of_another_browser)
            raise

    async def identify(self, pending: PendingSignIn, answer: Mapping[str, str]) -> VerifiedIdentity:
        """Return the identity of the person who signed in.

        Raises:
            SignInFailed: the sign-in failed.
            Retryable, CredentialRejected: see `Consent`.
        """
        with _translated():
            return await self._consent.identify(pending.kept, answer)

    async def consented(self, pending: PendingSignIn, answer: Mapping[str, str]) -> NewGrant:
        """Return the consent, given by an account of the tenant that it was requested for.

        Raises:
            SignInFailed: no consent was given, or an account of another tenant gave it.
            Retryable, CredentialRejected: see `Consent`.
        """
        assert pending.consent is not None
        with _translated():
            grant = await self._consent.complete(pending.kept, answer)
        if grant.tenant_id != pending.consent.tenant_id:
            log.info("tenant_consent_of_another_tenant", tenant_id=pending.consent.tenant_id, came_from=grant.tenant_id)
            raise SignInFailed("other_tenant", grant.upn)
        return grant


@contextmanager
def _translated() -> Iterator[None]:
    """Translate Microsoft's refusals into `SignInFailed`."""
    try:
        yield
    except ConsentFailed as failed:
        log.info("tenant_sign_in_failed", problem=failed.problem.name, code=failed.code)
        raise SignInFailed.of(failed) from failed
    except ConsentRequired as refused:
        raise SignInFailed.of(refused) from refused


def is_ours(answer: Mapping[str, str]) -> bool:
    """Return whether an answer from Microsoft is for the tenant's page. `take` checks whether it may be used."""
    return answer.get("state", "").startswith(_STATE_PREFIX)


def _new_state() -> str:
    return _STATE_PREFIX + secrets.token_urlsafe(32)
