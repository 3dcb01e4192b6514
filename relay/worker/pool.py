"""The grants of one tenant as a pool: any healthy one reads, and when it dies the next goes on."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from relay.core import grants
from relay.core.grants import GrantHealth, GrantState, Refusal, RefusalClass
from relay.core.presence import TenantId
from relay.errors import ConsentRequired, Retryable, SourceThrottled, SourceUnreachable
from relay.graph.errors import GrantRefused
from relay.store.vault import VersionConflict
from relay.worker.cloud import Cloud, token_grant

if TYPE_CHECKING:
    from relay.core.presence import UserId
    from relay.graph.client import TokenSource
    from relay.store.vault import Grant, Vault

log = structlog.get_logger(__name__)

_DIED: GrantHealth = GrantHealth(
    state=GrantState.DEAD,
    reason=Refusal(RefusalClass.CONSENT_REQUIRED, "This consent has ended. Please consent again."),
)
_TEMPORARY = Refusal(RefusalClass.TEMPORARY, "Microsoft's sign-in service asks the relay to wait.")
_UNREACHABLE = Refusal(RefusalClass.UNREACHABLE, "Microsoft's sign-in service cannot be reached.")


class GrantPool:
    """The grants of one tenant, and which of them is used for reading. Not persistent: `load` it from the vault.

    A grant's death is written to the vault, so that the tenant's page and the next owner know of it.
    """

    def __init__(self, tenant_id: TenantId, vault: Vault, cloud: Cloud) -> None:
        self.tenant_id = tenant_id
        self._vault = vault
        self._cloud = cloud
        self._ring_generation = vault.ring_generation
        self._grants: dict[str, Grant] = {}
        self._health: dict[str, GrantHealth] = {}

    async def load(self) -> None:
        """Read the tenant's grants anew; a grant with a new token cache starts healthy."""
        self._ring_generation = self._vault.ring_generation
        loaded = {str(grant.account_id): grant for grant in await self._vault.list(self.tenant_id)}
        for account in self._grants.keys() - loaded.keys():
            self._cloud.tokens.forget(self.tenant_id, account)
        health = {}
        for account, grant in loaded.items():
            known = self._grants.get(account)
            if known is not None and known.token_cache == grant.token_cache and account in self._health:
                health[account] = self._health[account]
            else:
                health[account] = _DIED if grant.state is GrantState.DEAD or grant.sealed_shut else grants.HEALTHY
        self._grants, self._health = loaded, health

    @property
    def may_open(self) -> bool:
        """Whether a grant that the key ring could not open might open now: there are other keys since."""
        is_shut = any(grant.sealed_shut for grant in self._grants.values())
        return is_shut and self._vault.ring_generation != self._ring_generation

    def close(self) -> None:
        """Forget the tokens of this tenant: another worker may own it now."""
        for account in self._grants:
            self._cloud.tokens.forget(self.tenant_id, account)

    @property
    def is_dead(self) -> bool:
        """Whether the tenant needs consent: it has no grant that could work."""
        return grants.all_dead(self._health.values())

    def due_for_refresh(self, every: timedelta) -> list[UserId]:
        """The accounts whose grants were not refreshed for so long, and dead ones that may have healed."""
        now = datetime.now(UTC)
        return [
            grant.account_id
            for account, grant in self._grants.items()
            if self._health[account].is_due(now)
            or (self._health[account].is_usable(now) and (grant.last_refresh or grant.created) <= now - every)
        ]

    async def __call__(self, refused: str = "") -> str:
        """An access token of a grant that works: the `TokenSource` of all of the tenant's calls.

        Args:
            refused: the token that Graph did not accept.

        Raises:
            ConsentRequired: no grant of the tenant is left.
            CredentialRejected, SourceThrottled, SourceUnreachable: nobody of the tenant is to blame.
        """
        trouble: Retryable | None = None
        for _ in range(len(self._grants)):
            account = grants.choose(self._health.items(), datetime.now(UTC))
            if account is None:
                break
            try:
                return await self._token(account, refused)
            except GrantRefused:
                continue  # the next grant goes on
            except Retryable as error:
                trouble = error
        if trouble is not None:
            raise trouble
        if self.is_dead:
            raise ConsentRequired("No grant of this tenant works", code=self.reason)
        raise SourceUnreachable("Microsoft's sign-in service is being given a pause")

    @property
    def accounts(self) -> list[UserId]:
        """The accounts whose grants work, or have trouble that passes; oldest first."""
        return [
            grant.account_id
            for account, grant in self._grants.items()
            if self._health[account].state is not GrantState.DEAD
        ]

    def of(self, account_id: UserId, *, fresh: bool = False) -> TokenSource:
        """The tokens of one account, for what belongs to it.

        Args:
            account_id: one of `accounts`.
            fresh: whether each token is to come from Entra just now, so that it lives as long as one can.

        Raises (from the source): as `__call__`, and nobody goes on when this grant is refused.
        """

        async def give(refused: str = "") -> str:
            if str(account_id) not in self._grants:
                raise ConsentRequired("This account's grant is gone")
            return await self._token(str(account_id), refused, force=fresh and not refused)

        return give

    async def refused_by_graph(self, account_id: UserId, error: GrantRefused) -> None:
        """Graph refused this account's access even with a fresh token: it counts as dead until it heals."""
        health = self._health.get(str(account_id))
        if health is not None and health.state is not GrantState.DEAD:
            await self._refused(str(account_id), error.refusal)

    @property
    def reason(self) -> str:
        """Microsoft's code for why the grant that died last does not work; empty when unknown."""
        dead = [health for health in self._health.values() if health.reason is not None]
        newest = max(dead, key=lambda health: health.failed_at or datetime.min.replace(tzinfo=UTC), default=None)
        return newest.reason.code if newest is not None and newest.reason is not None else ""

    async def refresh(self, account_id: UserId) -> bool:
        """Prove one grant by refreshing it; returns whether it works. Temporary trouble leaves it as it is."""
        with suppress(GrantRefused, Retryable):
            await self._token(str(account_id), "", force=True)
        return self._health[str(account_id)].state is GrantState.HEALTHY

    async def dropped(self, error: GrantRefused) -> None:
        """Graph refused the access of the grant in use even with a fresh token: it counts as dead until it heals."""
        account = grants.choose(self._health.items(), datetime.now(UTC))
        if account is not None:
            await self._refused(account, error.refusal)

    async def _token(self, account: str, refused: str, *, force: bool = False) -> str:
        grant = token_grant(self._grants[account])
        tokens = self._cloud.tokens
        try:
            if force or refused:
                token = await tokens.refresh(grant, refused=refused)
            else:
                token = await tokens.access_token(grant)
        except GrantRefused as error:
            await self._refused(account, error.refusal)
            raise
        except (SourceThrottled, SourceUnreachable) as error:
            kind = _TEMPORARY if isinstance(error, SourceThrottled) else _UNREACHABLE
            self._note(account, grants.refused(self._health[account], kind, datetime.now(UTC), error.retry_after))
            raise
        self._note(account, grants.succeeded(self._health[account]))
        return token.text

    def _note(self, account: str, health: GrantHealth) -> None:
        if account in self._grants:
            self._health[account] = health

    async def _refused(self, account: str, refusal: Refusal) -> None:
        self._note(account, grants.refused(self._health[account], refusal, datetime.now(UTC)))
        grant = self._grants[account]
        log.warning("grant_died", tenant_id=self.tenant_id, account_id=account, code=refusal.code)
        try:
            version = await self._vault.set_state(
                self.tenant_id, grant.account_id, grant.version, GrantState.DEAD, refusal.code
            )
        except VersionConflict:
            await self.load()  # somebody consented anew meanwhile, or the token was renewed: judge that one
        except Retryable:
            log.warning("grant_death_not_written", tenant_id=self.tenant_id, account_id=account)
        else:
            del version  # the hint that the write sends brings the new record
