"""The grants of one tenant as a pool: one healthy grant reads, and when it dies the next one takes over."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from relay.core.consent import grants
from relay.core.consent.grants import GrantHealth, GrantState
from relay.core.consent.microsoft_error import RefusalRecord
from relay.core.consent.refusals import Refusal, RefusalClass
from relay.core.presence import TenantId
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    CredentialRejected,
    RequestRefused,
    Retryable,
    SourceThrottled,
    SourceUnreachable,
    support_fields_of,
)
from relay.graph.errors import GrantRefused
from relay.graph.presence.presences import read_presences
from relay.ops.clock import SYSTEM, Clock
from relay.worker.cloud import Cloud
from relay.worker.grants.records import GrantRecords
from relay.worker.grants.tokens import CallTokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from datetime import datetime

    from relay.core.presence import UserId
    from relay.graph.client import TokenSource
    from relay.store.custody.vault import Grant, Vault

log = structlog.get_logger(__name__)

_SHUT: GrantHealth = GrantHealth(
    state=GrantState.DEAD,
    reason=Refusal(RefusalClass.CONSENT_REQUIRED, "This consent cannot be opened. Consent again."),
)
"""The health of a grant sealed with a key that the ring lacks. Its consent has not ended, so its record stays unchanged."""
_TRIES: Final = 3
"""Attempts to write a grant's health while other processes write the grant; the next sweep continues."""
_TEMPORARY = Refusal(RefusalClass.TEMPORARY, "Microsoft's sign-in service asks the relay to wait.")
_UNREACHABLE = Refusal(RefusalClass.UNREACHABLE, "Microsoft's sign-in service cannot be reached.")


class GrantPool:
    """The grants of one tenant, and the choice of the grant for reading. Not persistent: `load` it from the vault.

    The death of a grant takes effect at once, and `keep` writes it to the vault later, so that an unavailable vault
    does not delay reads. If the worker dies in between, the next owner detects the dead grant again.
    """

    def __init__(
        self,
        tenant_id: TenantId,
        vault: Vault,
        cloud: Cloud,
        patience: timedelta = grants.PATIENCE,
        graph_patience: timedelta = grants.GRAPH_PATIENCE,
        clock: Clock = SYSTEM,
        has_left: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Make an empty pool.

        Args:
            tenant_id: the tenant of the grants.
            vault: stores the grants.
            cloud: the connection to Microsoft.
            patience: time for which a refusal that may pass is retried before the grant counts as dead.
            graph_patience: the same when only Graph refuses.
            clock: clock for all times here.
            has_left: returns True once the tenant is removed from the relay; None: the tenant stays.
        """
        self.tenant_id = tenant_id
        self._vault = vault
        self._cloud = cloud
        self._ring_generation = vault.ring_generation
        self._clock = clock
        self._patience = patience
        self._graph_patience = graph_patience
        self._has_left = has_left
        self._loading = asyncio.Lock()
        self._grants: dict[str, Grant] = {}
        self._health: dict[str, GrantHealth] = {}
        self._in_use: str | None = None
        self._records = GrantRecords(vault, patience)

    async def load(self) -> None:
        """Read the tenant's grants again. A grant with a new token cache gets the health of its record.

        One read at a time, so that an older read does not replace a newer one.
        """
        async with self._loading:
            await self._load()

    async def _load(self) -> None:
        self._ring_generation = self._vault.ring_generation
        loaded = {str(grant.account_id): grant for grant in await self._vault.list(self.tenant_id)}
        if self._grants and not loaded and self._has_left is not None and await self._has_left():
            return  # the grants stay in memory until the tenant's subscriptions are deleted
        for account in self._grants.keys() - loaded.keys():
            self._cloud.tokens.forget(self.tenant_id, account)
        self._health = {account: self._judged(account, grant) for account, grant in loaded.items()}
        self._grants = loaded

    def _judged(self, account: str, grant: Grant) -> GrantHealth:
        if grant.sealed_shut:
            return _SHUT
        known = self._grants.get(account)
        if known is not None and not known.sealed_shut:
            health = self._health[account]
            if known.token_cache == grant.token_cache:
                return health
            if _consent(known) == _consent(grant):
                # Renewed, here or elsewhere: earlier refusals are over, except those of Graph, which no renewal disproves.
                was_refused = health.failed_at is not None and health.failed_at >= (grant.last_refresh or grant.created)
                return health if was_refused or self._is_graphs(account) else grants.HEALTHY
        return grants.remembered(grant.state, grant.last_error, self._clock.wall())

    @property
    def may_open(self) -> bool:
        """True if a grant that the key ring could not open might open now, because the keys have changed."""
        is_shut = any(grant.sealed_shut for grant in self._grants.values())
        return is_shut and self._vault.ring_generation != self._ring_generation

    def close(self) -> None:
        """Forget the tokens of this tenant: another worker may own it now."""
        for account in self._grants:
            self._cloud.tokens.forget(self.tenant_id, account)

    @property
    def is_dead(self) -> bool:
        """True if the tenant needs consent, because every grant is dead."""
        return grants.all_dead(self._health.values())

    def due_for_refresh(self, every: timedelta) -> list[UserId]:
        """Return the accounts whose grants were not refreshed for `every`, and those in trouble that are due for a retry."""
        now = self._clock.wall()
        return [
            grant.account_id
            for account, grant in self._grants.items()
            if self._health[account].is_due(now)
            or (self._health[account].is_usable(now) and (grant.last_refresh or grant.created) <= now - every)
        ]

    def ages(self) -> list[tuple[GrantState, float | None]]:
        """Return the state of each grant, and seconds since its last refresh; None for a dead grant, which gets none."""
        now = self._clock.wall()
        return [
            (
                (state := self._health[account].state),
                None if state is GrantState.DEAD else (now - (grant.last_refresh or grant.created)).total_seconds(),
            )
            for account, grant in self._grants.items()
        ]

    async def __call__(self, refused: str = "") -> str:
        """Return an access token of any working grant, as a `TokenSource` for calls of any account; see `for_call`."""
        return (await self._choose(refused))[1]

    def for_call(self, rather_not: Collection[str] = ()) -> CallTokens:
        """Return the `TokenSource` of one call, which records the account; accounts in `rather_not` come last."""
        return CallTokens(self._choose, rather_not)

    async def _choose(self, refused: str, rather_not: Collection[str] = ()) -> tuple[str, str]:
        """Return an account whose grant works, and an access token of it.

        Args:
            refused: the token that Graph did not accept.
            rather_not: accounts to use only if there is no other.

        Raises:
            ConsentRequired: no grant of the tenant is left.
            CredentialRejected, SourceThrottled, SourceUnreachable: the cause is not in the tenant.
        """
        trouble: Retryable | CredentialRejected | None = None
        tried: set[str] = set()
        while True:
            now = self._clock.wall()
            left = [(account, health) for account, health in self._health.items() if account not in tried]
            rather = [(account, health) for account, health in left if account not in rather_not]
            if (account := grants.choose(rather, now) or grants.choose(left, now)) is None:
                break
            tried.add(account)
            try:
                token = await self._token(account, refused)
            except GrantRefused:
                continue  # try the next grant
            except (Retryable, CredentialRejected) as error:
                trouble = trouble or error
            else:
                self._in_use = account
                self._records.note_used(account, now)
                return account, token
        if trouble is not None:
            raise trouble
        if self.is_dead:
            raise ConsentRequired("No grant of this tenant works", code=self.reason)
        raise SourceUnreachable("The relay pauses its requests to Microsoft's sign-in service")

    @property
    def accounts(self) -> list[UserId]:
        """The accounts whose grants work or have temporary trouble; oldest first."""
        return [
            grant.account_id
            for account, grant in self._grants.items()
            if self._health[account].state is not GrantState.DEAD
        ]

    @property
    def reading(self) -> UserId | None:
        """The account whose grant is used for reading at present; None without one."""
        account = grants.choose(self._health.items(), self._clock.wall())
        return None if account is None else self._grants[account].account_id

    def of(self, account_id: UserId, *, fresh: bool = False) -> TokenSource:
        """Return a source of tokens of one account, for objects that belong to the account.

        Args:
            account_id: one of `accounts`.
            fresh: whether each token must be a new one from Entra, so that it is valid for as long as possible.

        Raises (from the source): as `__call__`; no other grant is tried when this one is refused.
        """

        async def give(refused: str = "") -> str:
            if str(account_id) not in self._grants:
                raise ConsentRequired("This account's grant is gone")
            return await self._token(str(account_id), refused, force=fresh and not refused)

        return give

    @property
    def trouble(self) -> RefusalRecord | None:
        """The refusal of the grant that died last; None when Microsoft refused none."""
        troubles = [
            trouble
            for health in self._health.values()
            if health.state is GrantState.DEAD and (trouble := health.trouble) is not None
        ]
        return max(troubles, key=lambda trouble: trouble.at, default=None)

    @property
    def reason(self) -> str:
        """Microsoft's code for the refusal of the grant that died last; empty when unknown."""
        trouble = self.trouble
        return trouble.code if trouble is not None else ""

    async def refresh(self, account_id: UserId) -> bool:
        """Check one grant by refreshing it; return whether it works. Temporary trouble does not change its health.

        A grant that Graph refused is checked with a read of Graph, because Entra issued tokens for it throughout.
        """
        account = str(account_id)
        if account not in self._grants:
            return False
        with suppress(Retryable, CredentialRejected):
            try:
                await self._token(account, "", force=True)
                if self._is_graphs(account):
                    await read_presences(self._cloud.client, self.of(account_id), [account_id])
                    self._note(account, grants.HEALTHY)
            except GrantRefused as error:
                self.refused_by_graph(account_id, error)
            except AccessDenied as error:
                self.denied(account, error)
            except RequestRefused:
                self._note(account, grants.HEALTHY)  # Graph refuses the user id, not the account
        return account in self._health and self._health[account].state is GrantState.HEALTHY

    def confirmed(self, account: str = "") -> None:
        """Note that Graph answered a read with the grant of this account; empty: the grant in use."""
        self._cloud.widespread_refusals.note(self.tenant_id, self._clock.wall(), is_refused=False)
        account = account or self._in_use or ""
        if account in self._grants:
            self._records.note_succeeded(account, self._clock.wall())
            if self._is_graphs(account):
                self._note(account, grants.HEALTHY)

    def denied(self, account: str, error: AccessDenied) -> bool:
        """Note that Graph did not allow this account to read; return whether another account may read at once."""
        if error.refusal is None or account not in self._health:
            return False
        was_denied = self.is_denied
        self._refused(account, error.refusal)
        if self.is_denied and not was_denied:
            log.warning(
                "tenant_access_denied", tenant_id=self.tenant_id, accounts=len(self._health), code=error.refusal.code
            )
        return not self.is_denied

    @property
    def is_denied(self) -> bool:
        """True if Graph denies reading to every usable account."""
        now = self._clock.wall()
        usable = [health for health in self._health.values() if health.is_usable(now)]
        return bool(usable) and all(health.is_denied for health in usable)

    def refused_by_graph(self, account_id: UserId, error: GrantRefused) -> None:
        """Note that Graph refused this account even with a fresh token. The grant pauses, and is dead if that lasts."""
        if error.refusal.by_graph and str(account_id) in self._health:
            self._refused(str(account_id), error.refusal)

    def dropped(self, error: GrantRefused, account: str = "") -> None:
        """Note that Graph refused this account even with a fresh token, so that another one reads. Empty: the grant in use."""
        account = account or grants.choose(self._health.items(), self._clock.wall()) or ""
        if account in self._health and error.refusal.by_graph:
            self._refused(account, error.refusal)

    async def keep(self) -> None:
        """Write the grants' health where it differs from the vault, and the time of their last use.

        Raises:
            StoreUnavailable, NotSaved: some of it is not written; call again.
        """
        now = self._clock.wall()
        for account in list(self._grants):
            for _ in range(_TRIES):
                if await self._is_kept(account, now):
                    break
            if (grant := self._grants.get(account)) is not None:
                await self._records.touch(grant, now)

    async def _is_kept(self, account: str, now: datetime) -> bool:
        """Write one grant's health if it differs from the vault; return False when the grant was changed meanwhile."""
        grant, health = self._grants.get(account), self._health.get(account)
        if grant is None or health is None or health is _SHUT or not self._records.is_news(grant, health, now):
            return True
        kept = await self._records.save(grant, health)
        if kept is None:
            await self.load()
            return False
        # The hint of this write causes a reload of the same state; until then, do not write again.
        if self._grants.get(account) is grant:
            self._grants[account] = kept
        return True

    async def _token(self, account: str, refused: str, *, force: bool = False) -> str:
        held = self._grants[account]
        tokens, asked_at = self._cloud.tokens, self._clock.wall()
        try:
            if force or refused:
                token = await tokens.refresh(held.token_grant, refused=refused)
            else:
                token = await tokens.access_token(held.token_grant)
        except GrantRefused as error:
            self._refused(account, error.refusal, held=held)
            raise
        except (SourceThrottled, SourceUnreachable) as error:
            refusal = error.refusal or (_TEMPORARY if isinstance(error, SourceThrottled) else _UNREACHABLE)
            self._refused(account, refusal, error.retry_after, held)
            raise
        health = self._health.get(account, grants.HEALTHY)
        # A cached token, or one requested before the refusal, proves nothing about a grant refused meanwhile.
        is_later = health.failed_at is None or health.failed_at <= asked_at
        if not self._is_graphs(account) and is_later and (force or health.state is not GrantState.DEAD):
            self._note(account, grants.HEALTHY)
        return token.text

    def _is_graphs(self, account: str) -> bool:
        """Return whether this grant is refused by Graph and not by Entra."""
        health = self._health.get(account)
        return health is not None and health.reason is not None and health.reason.by_graph

    def _note(self, account: str, health: GrantHealth) -> None:
        if account in self._grants:
            self._health[account] = health

    def _refused(
        self, account: str, refusal: Refusal, wait: timedelta | None = None, held: Grant | None = None
    ) -> None:
        before = self._health.get(account)
        if before is None or (held is not None and _consent(self._grants[account]) != _consent(held)):
            return  # a refusal of the earlier consent says nothing about the new one
        now, widespread = self._clock.wall(), self._cloud.widespread_refusals
        if refusal.by_graph:
            widespread.note(self.tenant_id, now, is_refused=True)
        after = grants.refused(
            before, refusal, now, wait, self._patience, self._graph_patience, is_widespread=widespread.is_widespread()
        )
        self._note(account, after)
        if after.state is GrantState.DEAD and before.state is not GrantState.DEAD:
            log.warning(
                "grant_died", tenant_id=self.tenant_id, account_id=account, code=refusal.code, number=refusal.said.number,
                **support_fields_of(refusal.said),
            )  # fmt: skip


def _consent(grant: Grant) -> tuple[datetime, datetime | None]:
    """Return what is the same in all records of one consent, renewed or not, and differs between two consents."""
    return grant.created, grant.consented
