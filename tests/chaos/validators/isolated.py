"""Isolated: no suite ever receives anything of a tenant that its key does not belong to."""

from __future__ import annotations

from tests.chaos.history import History
from tests.chaos.record import Opened, Record, Resolved, Shown


def isolated(record: Record) -> list[str]:
    """Judge that every user a suite is told of is of the tenant of its key."""
    history = History(record)
    tenants = {line.suite: line.tenant for line in record.of(Opened)}
    told = {(line.suite, line.user) for line in record if isinstance(line, Shown | Resolved) and line.user}
    return [
        f"{suite} of {tenants.get(suite, 'no tenant')} is told of {history.name(user)}"
        for suite, user in sorted(told)
        if user not in history.people or history.people[user].tenant != tenants.get(suite)
    ]
