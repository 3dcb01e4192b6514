"""Access tokens of grants, through MSAL in threads.

MSAL blocks, does not combine simultaneous calls, and repeats a refusal from its cache for a minute. So each version of
a grant has an application of its own, one call refreshes a grant for all waiters, and the event loop never blocks.
"""

from __future__ import annotations

import asyncio
import copy
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import msal

from relay.core.consent.refusals import Refusal, RefusalClass, classify
from relay.core.consent.values import TokenGrant
from relay.core.presence import TenantId
from relay.errors import CredentialRejected, RelayError, Retryable, SourceThrottled, SourceUnreachable
from relay.graph.auth.applications import NONSENSE, Applications, refusal_words, translated
from relay.graph.auth.credentials import Credential
from relay.graph.client import Gate, TokenSource, open_gate
from relay.graph.errors import GrantRefused, from_refusal
from relay.graph.lanes import EXTRA, Lanes
from relay.graph.metrics import TOKENS, UNSAVED
from relay.graph.settings import GraphSettings


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token for Graph.

    Attributes:
        text: the token.
        good_until: by the monotonic clock, with a margin for the transfer.
        renew_at: when the next token is requested, while this one is still in use.
    """

    text: str = field(repr=False)
    good_until: float
    renew_at: float = math.inf


Save = Callable[[TokenGrant, str, datetime], Awaitable[TokenGrant]]
"""Saves a grant's changed token cache, requested from Entra at the given time, and returns the grant as stored.

The write must compare `grant.version`. If a newer version is stored, another process was faster: return that one.
"""


async def discard(grant: TokenGrant, _token_cache: str, _asked_at: datetime) -> TokenGrant:
    """Return the grant unchanged: a `Save` for code that uses a grant once and stores nothing. Its older refresh token stays valid."""
    return grant


_SLOW_S: Final = 1.0
"""Duration from which a call of Entra counts as slow. Shorter than for Graph, because there are fewer threads than
connections."""


class GrantTokens:
    """Access tokens of all grants, as an async context manager.

    Only one call of MSAL is under way for a grant, and for a tenant, so a tenant whose token endpoint is slow holds one
    of the threads; such tenants together cannot hold all (`lanes`). A token that is still good is used while the next one is
    fetched. Waiters may be cancelled; the call continues for the others. Nothing is retried: the caller decides when to retry.

    A changed token cache is given to `save` before any caller gets the new token. If the save fails, the token is still
    served, and the next call that reaches MSAL saves again: Entra does not revoke an old refresh token when it issues a new one.

    Raises (from every method that gives a token): `GrantRefused`, `CredentialRejected`, `SourceThrottled`,
    `SourceUnreachable`.
    """

    def __init__(self, settings: GraphSettings, save: Save) -> None:
        self._settings = settings
        self._save = save
        self._applications = Applications(settings)
        self._threads = ThreadPoolExecutor((1 + EXTRA) * settings.token_threads, thread_name_prefix="msal")
        self._lanes = Lanes(settings.token_threads, set(), _SLOW_S)
        self._kept: dict[tuple[TenantId, str], _Kept] = {}
        self._turns: dict[TenantId, asyncio.Lock] = {}
        self._gate: Gate = open_gate

    async def __aenter__(self) -> Self:
        self._applications.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        flights = [kept.flight for kept in self._kept.values() if kept.flight is not None]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._applications.__exit__()

    def behind(self, gate: Gate) -> GrantTokens:
        """Return the same tokens behind a gate, which is called before each request to Entra. Do not enter it."""
        view = copy.copy(self)
        view._gate = gate
        return view

    async def access_token(self, grant: TokenGrant) -> AccessToken:
        """Return a token that is valid for a while: the last one, or a new one."""
        kept = self._take_up(grant)
        now = time.monotonic()
        if kept.token is not None and now < kept.token.good_until:
            if now >= max(kept.token.renew_at, kept.renew_not_before) and kept.flight is None:
                kept.renew_not_before = now + _RENEW_AGAIN_S
                self._take_off(kept, force=False)  # nothing awaits it
            return kept.token
        return await self._fly(kept, force=False)

    async def refresh(self, grant: TokenGrant, *, refused: str = "") -> AccessToken:
        """Return a new token from Entra, which also proves that the grant still works.

        Args:
            grant: the grant.
            refused: the token that Graph did not accept. If there is already another token, that one is returned.
        """
        kept = self._take_up(grant)
        if refused and kept.token is not None and kept.token.text != refused:
            return await self.access_token(grant)
        return await self._fly(kept, force=True)

    def source(self, grant: TokenGrant) -> TokenSource:
        """Return the source of this grant's tokens for calls of Graph."""

        async def give(refused: str = "") -> str:
            token = await (self.refresh(grant, refused=refused) if refused else self.access_token(grant))
            return token.text

        return give

    def forget(self, tenant_id: TenantId, account_id: str) -> None:
        """Drop a grant's tokens; for grants of partitions that another worker owns now, and for removed grants."""
        kept = self._kept.pop((tenant_id, account_id), None)
        if kept is not None and kept.flight is not None:
            kept.flight.cancel()
        if not any(tenant == tenant_id for tenant, _ in self._kept):
            self._lanes.forget(tenant_id)
            self._turns.pop(tenant_id, None)

    def _take_up(self, grant: TokenGrant) -> _Kept:
        """Return the entry of a grant, replaced if the grant is newer and was not saved by this object."""
        key = (grant.tenant_id, grant.account_id)
        kept = self._kept.get(key)
        if kept is None or (grant.version > kept.grant.version and grant.token_cache != kept.grant.token_cache):
            if kept is not None and kept.flight is not None:
                kept.flight.cancel()  # it uses an outdated grant; its waiters ask again
            kept = self._kept[key] = _Kept(grant)
        elif grant.version > kept.grant.version:
            kept.grant = grant
        kept.gate = self._gate
        return kept

    async def _fly(self, kept: _Kept, *, force: bool) -> AccessToken:
        """Join the call that is under way for this grant, or make one. A forced call joins only forced calls."""
        if force and kept.flight is not None and not kept.is_forced:
            await asyncio.wait([kept.flight])
        flight = kept.flight or self._take_off(kept, force=force)
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.cancelled() and task is not None and not task.cancelling():
                raise SourceUnreachable("the grant was replaced while its token was requested") from None
            raise

    def _take_off(self, kept: _Kept, *, force: bool) -> asyncio.Task[AccessToken]:
        name = f"token:{kept.grant.tenant_id}"
        kept.is_forced = force
        kept.flight = asyncio.get_running_loop().create_task(self._call(kept), name=name)
        kept.flight.add_done_callback(kept.landed)
        return kept.flight

    async def _call(self, kept: _Kept) -> AccessToken:
        tenant_id = kept.grant.tenant_id
        async with self._turns.setdefault(tenant_id, asyncio.Lock()), self._lanes.place(tenant_id):
            kept.gate()  # checked here: it may have waited long for its turn and a place
            loop = asyncio.get_running_loop()
            kept.asked_at = datetime.now(UTC)
            try:
                # The thread gets this task's context, so that traces continue.
                acquire = partial(copy_context().run, kept.acquire, self._applications, self._settings.scopes)
                token = await loop.run_in_executor(self._threads, acquire)
            except RelayError as error:
                TOKENS.add(1, _OUTCOMES.get(type(error), "unreachable"))
                raise
            TOKENS.add(1, "given")
        await self._keep(kept)
        kept.token = token
        return token

    async def _keep(self, kept: _Kept) -> None:
        if kept.cache.has_state_changed or kept.unsaved:
            kept.unsaved = kept.cache.serialize()
        if not kept.unsaved:
            return
        try:
            kept.grant = await self._save(kept.grant, kept.unsaved, kept.asked_at)
            kept.unsaved = ""
        except Retryable:
            UNSAVED.add()


class _Kept:
    """The token and the call under way of one version of a grant."""

    def __init__(self, grant: TokenGrant) -> None:
        self.grant = grant
        self.cache = msal.SerializableTokenCache()
        self.token: AccessToken | None = None
        self.flight: asyncio.Task[AccessToken] | None = None
        self.gate: Gate = open_gate
        self.is_forced = False
        self.asked_at = datetime.now(UTC)
        self.renew_not_before = 0.0
        self.unsaved = ""
        self._must_ask = False
        self._application: msal.ConfidentialClientApplication | None = None
        self._credential: Credential | None = None

    def landed(self, flight: asyncio.Task[AccessToken]) -> None:
        """End the call; its error goes to the callers that still wait."""
        self.flight = None
        if not flight.cancelled():
            flight.exception()

    def acquire(self, applications: Applications, scopes: list[str]) -> AccessToken:
        """Ask MSAL for a token; blocks the thread."""
        try:
            return applications.credentials.call_with_credential(
                lambda credential: self._acquire(applications, scopes, credential)
            )
        except RelayError as error:
            # The next application starts without a cache: MSAL would repeat this refusal for a minute.
            self._application = None
            if isinstance(error, GrantRefused):
                # MSAL would keep serving its cached access token: it must ask Entra for the next one.
                self.token, self._must_ask = None, True
            raise

    def _acquire(self, applications: Applications, scopes: list[str], credential: Credential) -> AccessToken:
        if self._application is None or self._credential != credential:
            _load(self.cache, self.grant.token_cache)
            self._application = applications.build(
                self.grant.tenant_id, self.cache, credential, gate=lambda: self.gate()
            )
            self._credential = credential
        asked_at = time.monotonic()
        before = self.cache.serialize()
        try:
            with translated():
                account = _account(self._application, self.grant.account_id)
                result = self._application.acquire_token_silent_with_error(
                    scopes, account=account, force_refresh=self.is_forced or self._must_ask
                )
        finally:
            if not _has_refresh_token(self.cache):
                # MSAL accepts any refresh token in an answer: the one that worked is kept.
                self.cache.deserialize(before)
        if not result or "access_token" not in result:
            raise from_refusal(classify(*refusal_words(result or {})))
        self._must_ask = False
        return _access_token(result, asked_at)


def _load(cache: msal.SerializableTokenCache, text: str) -> None:
    """Fill the cache, unless it already holds something newer: a refresh that could not be saved."""
    if _has_refresh_token(cache):
        return
    try:
        cache.deserialize(text if isinstance(json.loads(text), dict) else "{}")
        is_usable = _has_refresh_token(cache)
    except (*NONSENSE, RecursionError):
        is_usable = False
    if not is_usable:
        raise GrantRefused(_NOTHING_KEPT)


def _has_refresh_token(cache: msal.SerializableTokenCache) -> bool:
    kept = cache.search(cache.CredentialType.REFRESH_TOKEN)
    return any(isinstance(token.get("secret"), str) and token["secret"] for token in kept)


def _account(application: msal.ConfidentialClientApplication, account_id: str) -> dict[str, Any]:
    accounts: list[dict[str, Any]] = application.get_accounts()
    own = [account for account in accounts if account.get("local_account_id") == account_id]
    if not (own or accounts):
        raise GrantRefused(_NOTHING_KEPT)
    return (own or accounts)[0]


def _access_token(result: dict[str, Any], asked_at: float) -> AccessToken:
    try:
        lives_s = float(result["expires_in"])
        text = str(result["access_token"])
    except (KeyError, TypeError, ValueError):
        raise SourceUnreachable("Entra's token has no lifetime") from None
    ends = asked_at + lives_s
    return AccessToken(text, ends - min(_WAY_S, lives_s / 20), ends - min(_MARGIN_S, lives_s / 10))


_OUTCOMES: Final[Mapping[type[RelayError], str]] = {
    GrantRefused: "consent_required",
    CredentialRejected: "credential_rejected",
    SourceThrottled: "throttled",
}
"""Error -> outcome in metrics."""

_MARGIN_S: Final = 300.0
"""A token is renewed this long before its end (MSAL does the same); a tenth of its life when that is shorter."""
_WAY_S: Final = 30.0
"""A token is not used for a call in its last seconds; half of the margin when that is shorter."""
_RENEW_AGAIN_S: Final = 15.0
"""Pause between two tries to renew a token that is still valid."""

_NOTHING_KEPT: Final = Refusal(
    RefusalClass.CONSENT_REQUIRED,
    "The stored consent cannot be used. Consent again.",
    "nothing_kept",
)
