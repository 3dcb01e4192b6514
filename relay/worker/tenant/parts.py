"""The parts of one tenant's work, each built from those before it: no part knows a later one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from relay.core.consent.tenant import status_of
from relay.worker.grants.pool import GrantPool
from relay.worker.push.announcements import Announcements
from relay.worker.push.opening import Opening
from relay.worker.push.subscriber import Subscriber
from relay.worker.reads.page_hashes import SeenPages
from relay.worker.reads.reader import PresenceReader
from relay.worker.reads.schedule import Scheduler
from relay.worker.tenant.books import books_of
from relay.worker.tenant.contact import Contact
from relay.worker.tenant.directory import DirectoryWriter
from relay.worker.tenant.enforcement import Enforcer
from relay.worker.tenant.explain import Explainer
from relay.worker.tenant.interest import InterestReader
from relay.worker.tenant.resolver import NameResolver
from relay.worker.tenant.standing import TenantStanding
from relay.worker.tenant.trouble import TroubleLog

if TYPE_CHECKING:
    import asyncio

    from relay.core.presence import TenantId
    from relay.store.custody.tenants import Tenant
    from relay.worker.contacts import ContactWriter
    from relay.worker.context import Resources
    from relay.worker.ownership import Ownership
    from relay.worker.reads.answers import AnswerBook
    from relay.worker.tenant.books import Books


class Push(NamedTuple):
    """Change notifications, if there is a webhook and the cloud supports them."""

    subscriber: Subscriber
    announcements: Announcements


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All parts of one tenant's work; `push` is None without notifications."""

    books: Books
    trouble: TroubleLog
    pool: GrantPool
    schedule: Scheduler
    reader: PresenceReader
    contact: Contact
    directory: DirectoryWriter
    enforcer: Enforcer
    standing: TenantStanding
    resolver: NameResolver
    interest: InterestReader
    push: Push | None
    explainer: Explainer


def assemble(
    tenant: Tenant, resources: Resources, ownership: Ownership, contacts: ContactWriter, wake: asyncio.Event
) -> Parts:
    """Build the parts for one tenant; `contacts` are its partition's, and `wake` wakes its loop."""
    tenant_id, clock = tenant.tenant_id, resources.clock
    books, trouble = books_of(tenant, resources), TroubleLog(tenant_id, resources.failed_calls)
    names, answers = books.names, books.answers
    pool = _pool(tenant_id, resources, ownership)
    schedule = Scheduler(resources.settings, clock)
    seen = SeenPages(schedule.plan.page_of)
    reader = PresenceReader(ownership, schedule, answers, seen, pool, clock)
    contact = Contact(tenant_id, resources, contacts, schedule, names, status_of(tenant.state))
    directory = DirectoryWriter(tenant_id, resources, ownership, names)
    enforcer = Enforcer(resources, ownership, books, schedule, reader)
    standing = TenantStanding(
        tenant,
        resources,
        ownership,
        books=books,
        pool=pool,
        directory=directory,
        schedule=schedule,
        reader=reader,
        enforcer=enforcer,
        contact=contact,
        trouble=trouble,
    )
    resolver = NameResolver(
        resources,
        ownership,
        books=books,
        directory=directory,
        schedule=schedule,
        pool=pool,
        standing=standing,
        contact=contact,
        trouble=trouble,
        wake=wake,
    )
    push = _push(tenant_id, resources, ownership, pool, schedule, answers, seen)
    subscriber = push.subscriber if push is not None else None
    return Parts(
        books=books,
        trouble=trouble,
        pool=pool,
        schedule=schedule,
        reader=reader,
        contact=contact,
        directory=directory,
        enforcer=enforcer,
        standing=standing,
        resolver=resolver,
        interest=InterestReader(tenant_id, resources, books.wanted, names, wake),
        push=push,
        explainer=Explainer(tenant_id, resources, ownership, books, schedule, pool, subscriber, trouble),
    )


def _pool(tenant_id: TenantId, resources: Resources, ownership: Ownership) -> GrantPool:
    settings = resources.settings
    patience, graph_patience = settings.grant_patience, settings.graph_patience

    async def has_left() -> bool:
        return await resources.tenants.load(tenant_id) is None

    return GrantPool(tenant_id, resources.vault, ownership.cloud, patience, graph_patience, resources.clock, has_left)


def _push(
    tenant_id: TenantId,
    resources: Resources,
    ownership: Ownership,
    pool: GrantPool,
    schedule: Scheduler,
    answers: AnswerBook,
    seen: SeenPages,
) -> Push | None:
    """Build the parts for change notifications; return None without notifications."""
    push = resources.settings.push
    if push is None:
        return None
    subscriber = Subscriber(tenant_id, resources, ownership, pool, push)
    announcements = Announcements(
        tenant_id,
        resources,
        ownership,
        subscriber=subscriber,
        opening=Opening(push.certificates),
        schedule=schedule,
        answers=answers,
        seen=seen,
    )
    return Push(subscriber, announcements)
