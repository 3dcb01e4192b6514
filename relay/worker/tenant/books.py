"""The state of one tenant in memory. It ends with the owner: the next one reads it from the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.core.reading.acceptance import disclosure_of
from relay.core.watching.limits import LINGER_FACTOR, most_names
from relay.core.watching.permission import permission
from relay.core.watching.wanted import WantedNames
from relay.worker.reads.answers import AnswerBook
from relay.worker.reads.users import UserBook
from relay.worker.tenant.names import NameBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.store.custody.tenants import Tenant
    from relay.worker.context import Resources
    from relay.worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The books of one tenant.

    Attributes:
        users: the tenant's rules for its users.
        names: the names, and the users that they stand for.
        wanted: the names that edges watch.
        answers: the answers that suites got.
    """

    users: UserBook
    names: NameBook
    wanted: WantedNames
    answers: AnswerBook


def names_kept(tenant: Mapping[str, str], settings: WorkerSettings) -> int:
    """Return the most names to keep for a tenant: the names that it may watch, and as many that linger."""
    return LINGER_FACTOR * most_names(tenant, settings.tenant_names)


def books_of(tenant: Tenant, resources: Resources) -> Books:
    """Return the books of a tenant that is not loaded yet."""
    settings, clock = resources.settings, resources.clock
    users = UserBook(permission(tenant.settings), disclosure_of(tenant.settings))
    names = NameBook(settings, users, clock)
    wanted = WantedNames(
        settings.watch_linger.total_seconds(),
        most=names_kept(tenant.settings, settings),
        brief_s=settings.unknown_linger.total_seconds(),
        is_nobody=lambda name: names.user(name) is None,
    )
    answers = AnswerBook(
        tenant.tenant_id,
        resources.presences,
        users=users,
        people=names.people,
        clock=clock,
        lag_s=settings.lag.total_seconds(),
    )
    return Books(users=users, names=names, wanted=wanted, answers=answers)
