"""The way to Microsoft and back: who somebody is. Each sign-in is kept under its `state`, taken once, and bound to its browser."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from onboarding.problems import OF_CONSENT
from onboarding.sessions import fingerprint
from relay.errors import ConsentRequired
from relay.graph.consent import ConsentFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.graph.consent import Consent
    from relay.graph.idtokens import VerifiedIdentity
    from relay.store.flows import Flows

log = structlog.get_logger(__name__)

_MARK: Final = "tenant."
"""What states of ours begin with, so that an onboarding's answers are not looked for here, nor ours there."""
_MAX_STATE_CHARS: Final = 200
_MAX_DETAIL_CHARS: Final = 300


class Trip(msgspec.Struct, frozen=True):
    """A way to Microsoft that is under way. `kept` holds the PKCE verifier and the nonce.

    Attributes:
        returning: fingerprint of what the browser that began it brings back with the answer.
        kept: what `Consent` needs of it.
    """

    returning: str
    kept: dict[str, Any]

    def __repr__(self) -> str:
        return "Trip()"


class SignInFailed(Exception):
    """A sign-in came to nothing.

    Attributes:
        problem: a key of `problems.PROBLEMS`.
        detail: what Microsoft said, if that helps.
    """

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.detail = detail[:_MAX_DETAIL_CHARS]


class SignIns:
    """The sign-ins under way. Raises what `Flows` and `Consent` raise."""

    def __init__(self, flows: Flows, consent: Consent, redirect_uri: str) -> None:
        self._flows = flows
        self._consent = consent
        self._redirect_uri = redirect_uri

    async def begin(self, return_secret: str) -> str:
        """Begin one; returns Microsoft's address for the browser that holds `return_secret`."""
        begun = await self._consent.begin_sign_in(self._redirect_uri, state=_MARK + secrets.token_urlsafe(32))
        trip = Trip(fingerprint(return_secret), begun.kept)
        await self._flows.put(_name(begun.state), msgspec.json.encode(trip).decode())
        return begun.authorize_url

    async def take(self, answer: Mapping[str, str], return_secret: str) -> Trip:
        """The trip that Microsoft's answer ends, which cannot be taken again.

        Raises:
            SignInFailed: there is none (any more), or it was begun in another browser.
        """
        state = answer.get("state", "")
        taken = await self._flows.take(_name(state)) if len(state) <= _MAX_STATE_CHARS else None
        trip = None if taken is None else _decode(taken)
        if trip is None or not hmac.compare_digest(trip.returning, fingerprint(return_secret)):
            log.info("tenant_sign_in_unknown", known=trip is not None)
            raise SignInFailed("sign_in_stale")
        return trip

    async def identify(self, trip: Trip, answer: Mapping[str, str]) -> VerifiedIdentity:
        """Who signed in.

        Raises:
            SignInFailed: nobody did.
            Retryable, CredentialRejected: as of `Consent`.
        """
        try:
            return await self._consent.identify(trip.kept, answer)
        except ConsentFailed as failed:
            log.info("tenant_sign_in_failed", problem=failed.problem.name, code=failed.code)
            raise SignInFailed(OF_CONSENT[failed.problem], failed.sentence) from failed
        except ConsentRequired as refused:
            raise SignInFailed("refused", str(refused)) from refused


def is_ours(answer: Mapping[str, str]) -> bool:
    """Whether an answer of Microsoft's is to a sign-in to the tenant's page. Who may use it, `take` looks at."""
    return answer.get("state", "").startswith(_MARK)


def _name(state: str) -> str:
    return f"sign-in:{state}"


def _decode(text: str) -> Trip | None:
    try:
        return msgspec.json.decode(text, type=Trip)
    except msgspec.DecodeError:
        return None
