"""Sign-ins of operators at Entra: one that a person begins, and silent ones by which a session is looked at again.

    begin ──► Entra: who, and with which roles? ──► POST to the callback ──► take, once ──► identify

Each is stored under its `state`, taken once, and bound to its browser.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from onboarding.browser_secrets import fingerprint
from onboarding.problems import OF_CONSENT
from relay.errors import ConsentRequired
from relay.graph.auth.consent import ConsentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.settings import ConsoleSettings, EntraAccess
    from relay.graph.auth.consent import Consent
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.sealing.short_lived import Flows

log = structlog.get_logger(__name__)

_MAX_STATE_CHARS: Final = 200


class PendingOperatorSignIn(msgspec.Struct, frozen=True):
    """A sign-in that Entra has not answered yet.

    Attributes:
        returning: fingerprint of the secret that its browser brings back with the answer.
        kept: the PKCE verifier and the nonce, for `Consent`.
        back: the path to go to afterwards.
        session: fingerprint of the session that is looked at again; empty for a new one.
    """

    returning: str
    kept: dict[str, Any]
    back: str
    session: str = ""

    def __repr__(self) -> str:
        return "PendingOperatorSignIn()"


class OperatorSignInFailed(Exception):
    """A sign-in failed.

    Attributes:
        problem: a key of `problems.PROBLEMS`.
        detail: Microsoft's sentence, or the account, if that helps.
    """

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.detail = detail


class SignIns:
    """Begins sign-ins and takes Entra's answers. Raises what `Flows` and `Consent` raise."""

    def __init__(self, flows: Flows, consent: Consent, settings: ConsoleSettings, access: EntraAccess) -> None:
        self._flows = flows
        self._consent = consent
        self._settings = settings
        self._access = access

    async def begin(self, return_secret: str, back: str) -> str:
        """Begin a sign-in; return Entra's address for the browser that holds `return_secret`."""
        begun = await self._consent.begin_sign_in(
            self._settings.redirect_uri, state=secrets.token_urlsafe(32), tenant=self._access.tenant_id
        )
        await self._keep(begun.state, PendingOperatorSignIn(fingerprint(return_secret), begun.kept, back))
        return begun.authorize_url

    async def begin_recheck(self, return_secret: str, back: str, session: str, name: str) -> str:
        """Begin to ask Entra about somebody who is signed in; it asks that person nothing. Return its address.

        Args:
            return_secret: of the browser.
            back: the path to go on to.
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
        await self._keep(begun.state, PendingOperatorSignIn(fingerprint(return_secret), begun.kept, back, session))
        return begun.authorize_url

    async def _keep(self, state: str, pending: PendingOperatorSignIn) -> None:
        await self._flows.put(_name(state), msgspec.json.encode(pending).decode(), quota=self._settings.sign_ins)

    async def take(self, answer: Mapping[str, str], return_secret: str) -> PendingOperatorSignIn:
        """Return the sign-in that Entra's answer ends. It cannot be taken again.

        Raises:
            OperatorSignInFailed: it was taken before, has expired, or was begun in another browser.
        """
        state = answer.get("state", "")
        may_be = bool(return_secret) and 0 < len(state) <= _MAX_STATE_CHARS  # without our cookie nobody asks Redis
        taken = await self._flows.take(_name(state), self._settings.sign_ins) if may_be else None
        pending = None if taken is None else _decode(taken)
        if pending is None or not hmac.compare_digest(pending.returning, fingerprint(return_secret)):
            log.info("console_sign_in_unknown", known=pending is not None)
            raise OperatorSignInFailed("sign_in_stale")
        return pending

    async def identify(self, pending: PendingOperatorSignIn, answer: Mapping[str, str]) -> VerifiedIdentity:
        """Return the identity of an operator of the right tenant with the role.

        Raises:
            OperatorSignInFailed: nobody signed in, or somebody who is no operator.
            Retryable, CredentialRejected: as of `Consent`.
        """
        try:
            who = await self._consent.identify(pending.kept, answer)
        except ConsentFailed as failed:
            log.info("console_sign_in_failed", problem=failed.problem.name, code=failed.code)
            raise OperatorSignInFailed(OF_CONSENT[failed.problem], failed.sentence) from failed
        except ConsentRequired as refused:
            log.info("console_sign_in_failed", problem="REFUSED", code=refused.code)
            raise OperatorSignInFailed("refused", str(refused)) from refused
        if who.tenant_id != self._access.tenant_id:
            log.warning("console_access_refused", account_id=who.account_id, why="other tenant")
            raise OperatorSignInFailed("other_tenant", who.upn)
        if not is_operator(who, self._access):
            log.warning("console_access_refused", account_id=who.account_id, why="no role")
            raise OperatorSignInFailed(
                "too_many_groups" if who.has_more_groups and self._access.groups else "no_role", who.upn
            )
        return who


def is_operator(who: VerifiedIdentity, access: EntraAccess) -> bool:
    """Return whether somebody has the app role, or is in one of the groups."""
    return bool((access.role and access.role in who.app_roles) or access.groups.intersection(who.groups))


def _name(state: str) -> str:
    return f"console-sign-in:{state}"


def _decode(text: str) -> PendingOperatorSignIn | None:
    try:
        return msgspec.json.decode(text, type=PendingOperatorSignIn)
    except msgspec.DecodeError:
        return None
