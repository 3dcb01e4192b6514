"""The health of grants: how refusals change it, and which of several grants is used.

    HEALTHY ──temporary trouble, or a refusal that may pass──► SUSPECT ──success──► HEALTHY
       │                                                         │ still refused after a minute; by Graph alone: after a quarter of an hour
       └──────────────consent ended────────────────────────────► DEAD ──new consent, or success of a later try──► HEALTHY

Graph has refused valid tokens of all tenants for minutes
(https://github.com/microsoftgraph/microsoft-graph-docs/issues/8457). So if Graph refuses a token that Entra has just
given, the consent counts as ended only after a quarter of an hour, and never while many tenants are refused
(`widespread_refusals`). The grant is tried again every minute, dead or not.

Only DEAD is reported as a consent that ended. A grant that is SUSPECT for longer than a minute is stored as SUSPECT.
Before that, it is not reported, and another grant reads meanwhile.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from relay.core.consent.microsoft_error import NO_ERROR, RefusalRecord
from relay.core.consent.refusals import Refusal, RefusalClass, classify
from relay.core.pausing import pause_s


class GrantState(enum.StrEnum):
    """The state of a grant; the store uses these values."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantHealth:
    """The health of one grant.

    Attributes:
        state: healthy, suspect or dead.
        failures: refusals in a row.
        failed_at: time of the last refusal; None when there was none since the last success.
        next_try: earliest time of the next use; None: at any time, or, for a dead grant, never.
        reason: the refusal that made the grant dead or suspect.
        failing_since: time of the first of these refusals.
        refused_since: time of the first of them that reported the consent as ended.
    """

    state: GrantState = GrantState.HEALTHY
    failures: int = 0
    failed_at: datetime | None = None
    next_try: datetime | None = None
    reason: Refusal | None = None
    failing_since: datetime | None = None
    refused_since: datetime | None = None

    @property
    def trouble(self) -> RefusalRecord | None:
        """The refusal in its stored form."""
        if self.reason is None or self.failed_at is None:
            return None
        return RefusalRecord(code=self.reason.code, at=self.failed_at, said=self.reason.said)

    @property
    def is_denied(self) -> bool:
        """True if Graph last answered that this account may not read."""
        return self.state is GrantState.SUSPECT and self.reason is not None and self.reason.kind is RefusalClass.DENIED

    def is_usable(self, now: datetime) -> bool:
        """Return True if the grant may be used for reading now. A dead grant is only retried: see `is_due`.

        A denied grant may be used if there is no better one: its reads have a separate pause.
        """
        is_rested = self.next_try is None or self.next_try <= now
        return self.state is not GrantState.DEAD and (is_rested or self.is_denied)

    def is_due(self, now: datetime) -> bool:
        """Return True if a grant that does not work, but may recover without a new consent, is due for a retry."""
        return self.state is not GrantState.HEALTHY and self.next_try is not None and self.next_try <= now

    def is_told(self, now: datetime, patience: timedelta) -> bool:
        """Return True if the state must be stored: trouble younger than `patience` may pass before a user sees it."""
        if self.state is not GrantState.SUSPECT:
            return True
        return self.failing_since is not None and now - self.failing_since >= patience


HEALTHY: Final = GrantHealth()


PATIENCE: Final = timedelta(minutes=1)
"""The time for which temporary trouble is retried before it is reported."""

GRAPH_PATIENCE: Final = timedelta(minutes=15)
"""The same while Entra still issues tokens and only Graph refuses them: usually Graph itself has a fault then."""


def succeeded(_health: GrantHealth) -> GrantHealth:
    """Return the health of a grant that just worked: earlier refusals no longer count."""
    return HEALTHY


def refused(
    health: GrantHealth,
    refusal: Refusal,
    now: datetime,
    retry_after: timedelta | None = None,
    patience: timedelta = PATIENCE,
    graph_patience: timedelta = GRAPH_PATIENCE,
    *,
    is_widespread: bool = False,
) -> GrantHealth:
    """Return the health of a grant after a refusal.

    A refusal that is the operator's fault does not change the health. A dead grant stays dead when Entra has temporary
    trouble.

    Args:
        health: before the refusal.
        refusal: its meaning.
        now: the present.
        retry_after: the wait that Microsoft requested, if it did.
        patience: time for which a refusal that may pass is retried before the grant is dead.
        graph_patience: the same for a refusal by Graph.
        is_widespread: whether Graph refuses so many tenants that no single tenant is the cause.
    """
    if refusal.kind is RefusalClass.OURS:
        return health
    failures = health.failures + 1
    pause = timedelta(seconds=pause_s(failures, None if retry_after is None else retry_after.total_seconds()))
    after = replace(
        health, failures=failures, failed_at=now, next_try=now + pause, failing_since=health.failing_since or now
    )
    if refusal.kind is RefusalClass.CONSENT_REQUIRED:
        if refusal.by_graph:
            return _refused_consent(after, refusal, now, timedelta.max if is_widespread else graph_patience)
        return _refused_consent(after, refusal, now, patience)
    if health.state is GrantState.DEAD:
        # `failed_at` stays the time at which the consent was refused: this refusal only prevented a retry.
        next_try = None if health.next_try is None else max(health.next_try, now + pause)
        return replace(after, failed_at=health.failed_at, next_try=next_try)
    return replace(after, state=GrantState.SUSPECT, reason=refusal)


def _refused_consent(after: GrantHealth, refusal: Refusal, now: datetime, patience: timedelta) -> GrantHealth:
    since = after.refused_since or now
    left = patience - (now - since)
    if refusal.passes and left > timedelta() and after.state is not GrantState.DEAD:
        soon = min(after.next_try or now, now + min(left, _GRAPH_TRY))
        return replace(after, state=GrantState.SUSPECT, next_try=soon, reason=refusal, refused_since=since)
    next_try = now + _pause_of_the_dead(refusal) if refusal.heals else None
    return replace(after, state=GrantState.DEAD, next_try=next_try, reason=refusal, refused_since=since)


def remembered(state: GrantState, trouble: RefusalRecord | None, now: datetime) -> GrantHealth:
    """Return the health of a grant from its stored record. A dead grant that may recover is retried within the hour."""
    if state is GrantState.HEALTHY:
        return HEALTHY
    code, said, at = (trouble.code, trouble.said, trouble.at) if trouble is not None else ("", NO_ERROR, now)
    error, _, suberror = code.partition("/")
    reason = classify(error, suberror, [said.number], said)
    if state is GrantState.SUSPECT:
        return GrantHealth(state=state, failures=1, failed_at=at, next_try=now, reason=reason, failing_since=at)
    if reason.kind is not RefusalClass.CONSENT_REQUIRED:  # from Graph, or a text that an older release stored
        reason = Refusal(RefusalClass.CONSENT_REQUIRED, _ENDED, code, heals=True, by_graph=True, said=said)
    next_try = max(now, at + _pause_of_the_dead(reason)) if reason.heals else None
    return GrantHealth(state=state, failures=1, failed_at=at, next_try=next_try, reason=reason, failing_since=at)


def choose(pool: Iterable[tuple[str, GrantHealth]], now: datetime) -> str | None:
    """Return the account id of the grant to read with: a healthy one, else the suspect that failed longest ago; None if none may.

    Among equals the smallest account id wins, so that the choice is stable: a token is cached for the grant in use.
    """
    usable = [
        (health.state is not GrantState.HEALTHY, health.failed_at.timestamp() if health.failed_at else 0.0, account)
        for account, health in pool
        if health.is_usable(now)
    ]
    return min(usable)[2] if usable else None


def all_dead(pool: Iterable[GrantHealth]) -> bool:
    """Return True if every grant is dead, so that the tenant needs consent; also True for a tenant without grants."""
    return all(health.state is GrantState.DEAD for health in pool)


def _pause_of_the_dead(refusal: Refusal) -> timedelta:
    return _GRAPH_TRY if refusal.by_graph else _HEALING_TRY


_HEALING_TRY: Final = timedelta(hours=1)
_GRAPH_TRY: Final = timedelta(minutes=1)
_ENDED: Final = "This consent has ended. Consent again."
