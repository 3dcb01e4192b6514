"""The ways to Microsoft and back: who somebody is, and a new consent.

Each is kept under its `state`, taken once, and bound to its browser; one for a consent also to the session, and so to the
tenant, that it was begun in.
"""

from __future__ import annotations

import hmac
import secrets
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from onboarding.cookies import fingerprint
from onboarding.problems import OF_CONSENT
from relay.core.consent.values import NewGrant
from relay.core.presence import TenantId, UserId
from relay.errors import ConsentRequired
from relay.graph.auth.consent import ConsentFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relay.graph.auth.consent import Consent, ConsentFlow
    from relay.graph.auth.idtokens import VerifiedIdentity
    from relay.store.sealing.rooms import Room
    from relay.store.sealing.short_lived import Flows

log = structlog.get_logger(__name__)

_MARK: Final = "tenant."
"""What states of ours begin with, so that an onboarding's answers are not looked for here, nor ours there."""
_MAX_STATE_CHARS: Final = 200
_MAX_DETAIL_CHARS: Final = 300
DEED_WAITS: Final = timedelta(minutes=10)
"""For a deed that was asked for: time to type a password and fetch a second factor."""
CLOCKS_S: Final = 30.0
"""Our clock and Microsoft's may differ by this much; Entra tells whole seconds."""


class Wanted(msgspec.Struct, frozen=True):
    """A consent that somebody who is signed in wants to bring.

    Attributes:
        session: fingerprint of the session: the cookie that leads to it does not come with Microsoft's answer.
        tenant_id: the session's tenant. An account of any other is refused.
        replaces: the account whose place it takes; empty: none.
    """

    session: str
    tenant_id: TenantId
    replaces: str = ""


class AskedDeed(msgspec.Struct, frozen=True):
    """A deed that cannot be undone and waits for Microsoft to say again who is there; see `again`.

    Attributes:
        session: fingerprint of the session that it was asked in.
        tenant_id: the session's.
        account_id: the session's.
        name: which deed.
        what: what it is about, as it was asked for.
        asked_s: when, in seconds since 1970.
    """

    session: str
    tenant_id: TenantId
    account_id: UserId
    name: str
    what: dict[str, str]
    asked_s: float


class Trip(msgspec.Struct, frozen=True):
    """A way to Microsoft that is under way. `kept` holds the PKCE verifier and the nonce.

    Attributes:
        returning: fingerprint of what the browser that began it brings back with the answer.
        kept: what `Consent` needs of it.
        wanted: the consent that it is for; None: it tells who somebody is.
        asked: the deed that it is for; None: there is none.
    """

    returning: str
    kept: dict[str, Any]
    wanted: Wanted | None = None
    asked: AskedDeed | None = None

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

    def __init__(self, flows: Flows, consent: Consent, redirect_uri: str, room: Room) -> None:
        self._room = room
        self._flows = flows
        self._consent = consent
        self._redirect_uri = redirect_uri

    async def begin(self, return_secret: str) -> str:
        """Begin to ask who somebody is; returns Microsoft's address for the browser that holds `return_secret`."""
        begun = await self._consent.begin_sign_in(self._redirect_uri, state=_new_state())
        return await self._keep(begun, Trip(fingerprint(return_secret), begun.kept))

    async def begin_consent(self, return_secret: str, wanted: Wanted, login_hint: str = "") -> str:
        """Begin to ask for a consent; returns Microsoft's address.

        Any work account may sign in, as in an onboarding: whose tenant it is of is looked at afterwards.
        """
        begun = await self._consent.begin(
            self._redirect_uri, prompt="select_account", login_hint=login_hint or None, state=_new_state()
        )
        return await self._keep(begun, Trip(fingerprint(return_secret), begun.kept, wanted))

    async def begin_again(self, return_secret: str, asked: AskedDeed, login_hint: str) -> str:
        """Begin to ask who is there now, password and all; returns Microsoft's address.

        Raises:
            FlowTooLarge: the deed has more to say than is kept.
        """
        begun = await self._consent.begin_sign_in(
            self._redirect_uri, state=_new_state(), login_hint=login_hint, is_fresh=True
        )
        return await self._keep(begun, Trip(fingerprint(return_secret), begun.kept, asked=asked))

    async def again(self, trip: Trip, answer: Mapping[str, str], proven_s: int) -> VerifiedIdentity:
        """Make sure that the one who asked for a deed was there just now; returns who, `auth_time` and all.

        Args:
            trip: the way that was begun for the deed.
            answer: Microsoft's.
            proven_s: when it was typed for the deed before: one password does one deed.

        Raises:
            SignInFailed: somebody else was, or nobody, or Microsoft does not say when.
            Retryable, CredentialRejected: as of `Consent`.
        """
        asked = trip.asked
        assert asked is not None
        who = await self.identify(trip, answer)
        if (who.tenant_id, who.account_id) != (asked.tenant_id, asked.account_id):
            raise SignInFailed("other_account", who.upn)
        if who.auth_time is None:
            log.error("auth_time_missing", remedy="add the optional claim auth_time to the application's id tokens")
            raise SignInFailed("auth_time_missing")
        if who.auth_time < asked.asked_s - CLOCKS_S or who.auth_time <= proven_s:
            raise SignInFailed("signed_in_before")
        if time.time() - asked.asked_s > DEED_WAITS.total_seconds():
            raise SignInFailed("sign_in_stale")
        return who

    async def _keep(self, begun: ConsentFlow, trip: Trip) -> str:
        await self._flows.put(_name(begun.state), msgspec.json.encode(trip).decode(), room=self._room)
        return begun.authorize_url

    async def take(self, answer: Mapping[str, str], return_secret: str) -> Trip:
        """The trip that Microsoft's answer ends, which cannot be taken again.

        Raises:
            SignInFailed: there is none (any more), or it was begun in another browser.
        """
        state = answer.get("state", "")
        may_be = bool(return_secret) and len(state) <= _MAX_STATE_CHARS  # without our cookie nobody asks Redis
        taken = await self._flows.take(_name(state), self._room) if may_be else None
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
        with _told():
            return await self._consent.identify(trip.kept, answer)

    async def consented(self, trip: Trip, answer: Mapping[str, str]) -> NewGrant:
        """The consent that was given, by an account of the very tenant that it was wanted for.

        Raises:
            SignInFailed: there is none.
            Retryable, CredentialRejected: as of `Consent`.
        """
        assert trip.wanted is not None
        with _told():
            grant = await self._consent.complete(trip.kept, answer)
        if grant.tenant_id != trip.wanted.tenant_id:
            log.info("tenant_consent_of_others", tenant_id=trip.wanted.tenant_id, came_from=grant.tenant_id)
            raise SignInFailed("other_tenant", grant.upn)
        return grant


@contextmanager
def _told() -> Iterator[None]:
    """Refusals of Microsoft's, as a person is told of them."""
    try:
        yield
    except ConsentFailed as failed:
        log.info("tenant_sign_in_failed", problem=failed.problem.name, code=failed.code)
        raise SignInFailed(OF_CONSENT[failed.problem], failed.sentence) from failed
    except ConsentRequired as refused:
        raise SignInFailed("refused", str(refused)) from refused


def is_ours(answer: Mapping[str, str]) -> bool:
    """Whether an answer of Microsoft's is to a sign-in to the tenant's page. Who may use it, `take` looks at."""
    return answer.get("state", "").startswith(_MARK)


def _new_state() -> str:
    return _MARK + secrets.token_urlsafe(32)


def _name(state: str) -> str:
    return f"sign-in:{state}"


def _decode(text: str) -> Trip | None:
    try:
        return msgspec.json.decode(text, type=Trip)
    except msgspec.DecodeError:
        return None
