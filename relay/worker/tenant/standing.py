"""The standing of one tenant: its state, its grants, and the meaning of Microsoft's errors for it.

record, grants changed ──► reload ─┐
a grant died or healed ──► judge ──┴─► _check_grants ──► state ──► contact, users' statuses; the record with the next sweep
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from relay.core.consent.tenant import TenantEvent, TenantState, after, is_read, status_of
from relay.core.presence import Status
from relay.errors import AccessDenied, ConsentRequired, CredentialRejected, SourceThrottled, support_fields
from relay.graph.errors import GrantRefused
from relay.ops.turns import in_slices

if TYPE_CHECKING:
    from collections.abc import Collection

    from relay.core.consent.microsoft_error import RefusalRecord
    from relay.core.presence import UserId
    from relay.errors import RelayError
    from relay.store.custody.tenants import Tenant
    from relay.worker.context import Resources
    from relay.worker.grants.pool import GrantPool
    from relay.worker.ownership import Ownership
    from relay.worker.reads.reader import PresenceReader
    from relay.worker.reads.schedule import Scheduler
    from relay.worker.tenant.books import Books
    from relay.worker.tenant.contact import Contact
    from relay.worker.tenant.directory import DirectoryWriter
    from relay.worker.tenant.enforcement import Enforcer
    from relay.worker.tenant.trouble import TroubleLog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """A change of the tenant's state that its record does not show yet."""

    event: TenantEvent
    trouble: RefusalRecord | None


class TenantStanding:
    """The tenant's record, and its state in this worker.

    A change of state takes effect at once; it is stored with the next sweep, or when the store is available again.

    Attributes:
        tenant: the record, with the state in this worker.
        failures: failed calls of Graph since the last success.
    """

    def __init__(
        self,
        tenant: Tenant,
        resources: Resources,
        ownership: Ownership,
        *,
        books: Books,
        pool: GrantPool,
        directory: DirectoryWriter,
        schedule: Scheduler,
        reader: PresenceReader,
        enforcer: Enforcer,
        contact: Contact,
        trouble: TroubleLog,
    ) -> None:
        self.tenant = tenant
        self.failures = 0
        self._resources = resources
        self._ownership = ownership
        self._pool = pool
        self._users = books.users
        self._names = books.names
        self._wanted = books.wanted
        self._directory = directory
        self._answers = books.answers
        self._schedule = schedule
        self._reader = reader
        self._enforcer = enforcer
        self._contact = contact
        self._trouble = trouble
        self._unwritten: _Unwritten | None = None
        self._moved: TenantEvent | None = None
        """The last event that this worker caused, written or not."""
        self._reloading = asyncio.Lock()
        self._is_refreshing = False

    @property
    def is_read(self) -> bool:
        """True if the tenant's users are read."""
        return is_read(self.tenant.state)

    # Graph's answers

    def confirmed(self, account: str = "") -> None:
        """Note that Graph answered.

        Args:
            account: account whose token read presence; empty for a lookup of names.
        """
        self._trouble.clear()
        self._pool.confirmed(account)
        if self.is_read:
            self._contact.report(self._reader.trouble)

    def read_accepted(self, account: str) -> None:
        """Note that a read of presence with this account's token was accepted."""
        self.failures = 0
        self.confirmed(account)

    async def judge(self, error: RelayError, account: str) -> Status:
        """Handle an error of Graph or Entra; return the status of the users who could not be read.

        The status is NONE when a grant other than `account`'s continues at once.

        Raises:
            StoreUnavailable, LeaseLost: the tenant needs consent, and some users do not have that status yet.
        """
        self._trouble.note_refusal(error)
        if isinstance(error, GrantRefused):
            self._pool.dropped(error, account)
        if isinstance(error, ConsentRequired):
            return Status.CONSENT_REQUIRED if await self.check_grants() else Status.NONE
        self.failures += 1
        if isinstance(error, AccessDenied):
            if self._pool.denied(account, error):
                return Status.NONE
            if self._pool.is_denied:
                self._contact.report(Status.ACCESS_DENIED)
            return Status.ACCESS_DENIED
        if isinstance(error, SourceThrottled):
            self._schedule.throttled(error.retry_after.total_seconds() if error.retry_after is not None else None)
            self._contact.report(Status.THROTTLED)
            return Status.THROTTLED
        if isinstance(error, CredentialRejected):
            log.error(
                "relay_credential_rejected", tenant_id=self.tenant.tenant_id, error=str(error), **support_fields(error)
            )
        self._contact.report(Status.SOURCE_UNREACHABLE)
        return Status.SOURCE_UNREACHABLE

    # Grants

    async def check_grants(self) -> bool:
        """Update the tenant's state from its grants; return whether it needs consent."""
        dead = self._pool.is_dead
        if dead and self.tenant.state is TenantState.ACTIVE:
            self._move(TenantEvent.LAST_GRANT_DIED)
        elif not dead and self.tenant.state is TenantState.CONSENT_REQUIRED:
            self._move(TenantEvent.HEALED)
            await self._read_again()
        if not self.is_read:
            await self.write_unread()
        return dead

    def _move(self, event: TenantEvent) -> None:
        self.tenant = replace(self.tenant, state=after(self.tenant.state, event))
        self._moved, self._unwritten = event, _Unwritten(event, self._pool.trouble)
        log.warning(
            "tenant_state_changed",
            tenant_id=self.tenant.tenant_id,
            state=self.tenant.state.value,
            code=self._pool.reason,
        )
        self._contact.report(status_of(self.tenant.state))

    def due_for_refresh(self) -> list[UserId]:
        """Return the accounts to `refresh` now; none while a refresh is under way."""
        return [] if self._is_refreshing else self._pool.due_for_refresh(self._resources.settings.grant_refresh)

    async def refresh(self, accounts: Collection[UserId]) -> None:
        """Check these grants by refreshing them."""
        if self._is_refreshing:
            return
        self._is_refreshing = True
        try:
            for account in accounts:
                await self._pool.refresh(account)
            await self.check_grants()
        finally:
            self._is_refreshing = False

    @property
    def may_open_grants(self) -> bool:
        """True if a grant that the key ring could not open might open now: call `reload` then."""
        return self._pool.may_open

    # Statuses of a tenant that is not read

    async def write_unread(self) -> None:
        """Store the tenant's state as the status of every user, and of every name without a user."""
        status = status_of(self.tenant.state)
        async for users in in_slices(self._names.users()):
            if status_of(self.tenant.state) is not status:
                return  # the change of state reads all users again, or writes the new status
            reasoned = [user for user in users if not self._users.forbids(user)]
            await self._reader.store(self._answers.statuses(reasoned, status))
        unknown = [*self._names.nobodies(), *self._names.pending()]
        self._names.drop_pending()
        async for some in in_slices(unknown):
            wanted = [name for name in some if name in self._wanted]
            await self._directory.write(self._names.mark(wanted, status))

    async def _read_again(self) -> None:
        async for names in in_slices(self._names.nobodies()):
            self._names.want(names)
        async for users in in_slices(self._names.users()):
            self._reader.read_now(users)

    # The record

    async def reload(self) -> None:
        """Load the tenant's record and grants. One load at a time, so that an older read is not applied last."""
        async with self._reloading:
            mark = await self._resources.enforcement.pending(self.tenant.tenant_id)
            await self._reload_record()
            if mark is not None:
                await self._resources.enforcement.done(self._ownership.lease, self.tenant.tenant_id, mark)

    async def reload_if_marked(self) -> None:
        """Reload if a permission change is pending, in case its author died before sending the hint."""
        if await self._resources.enforcement.pending(self.tenant.tenant_id) is not None:
            await self.reload()

    async def _reload_record(self) -> None:
        before = self.tenant
        tenant = await self._resources.tenants.load(self.tenant.tenant_id)
        if tenant is None:
            return  # it left; its grants stay in memory until its subscriptions are deleted
        await self._pool.load()
        self._resources.wake_alerts()  # a new consent may cause a notice
        was_read = self.is_read
        await self._enforcer.apply(tenant.settings)
        # Apply events that happened meanwhile, or are not written yet, to the record's state; the operator's decision stays.
        is_newer = self._unwritten is not None or self.tenant is not before
        if is_newer and self._moved is not None:
            tenant = replace(tenant, state=after(tenant.state, self._moved))
        self.tenant = tenant
        await self.check_grants()
        if self.is_read and was_read:
            return  # reads decide the status, not the record
        self._contact.report(status_of(self.tenant.state))
        if self.is_read:
            await self._read_again()

    async def write(self) -> None:
        """Write changes of grants and tenant into their records; the next sweep repeats failed writes."""
        # Copied first: the grants must be written before an event that happens during their write.
        happened = self._unwritten
        await self._pool.keep()
        if happened is not None and happened.event is TenantEvent.LAST_GRANT_DIED and not self._pool.is_dead:
            await self.check_grants()  # a grant works again: nobody is told of a death that is over
            happened = self._unwritten
        if happened is not None:
            await self._resources.tenants.happened(self.tenant.tenant_id, happened.event, trouble=happened.trouble)
            self._resources.wake_alerts()
            if self._unwritten is happened:
                self._unwritten = None
