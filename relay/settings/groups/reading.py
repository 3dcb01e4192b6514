"""Settings of workers: how often users are read, when Graph is subscribed to, and how workers share tenants."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core.push.subscription import MAX_USERS, SubscriptionPolicy
from relay.core.push.watchdog import ANNOUNCED_WITHIN
from relay.graph.settings import MAX_BULK_SIZE
from relay.settings.env import Duration, SettingsGroup
from relay.settings.validators import SECOND

if TYPE_CHECKING:
    from typing import Self


_USUAL: Final = SubscriptionPolicy()
RENEWAL_SPREAD: Final = 1.2
"""Ratio of the latest to the earliest renewal, so that renewals of many tenants spread out."""


class PollConfig(SettingsGroup):
    """Intervals, page size and Graph's limits of reads."""

    model_config = SettingsConfigDict(env_prefix="RELAY_POLL_")

    interval: Duration = Field(
        timedelta(seconds=5),
        ge=SECOND,
        le=timedelta(hours=1),
        description="time between two reads of a user, as far as Graph's limit allows",
    )
    reconcile_interval: Duration = Field(
        timedelta(seconds=60),
        ge=SECOND,
        le=timedelta(hours=1),
        description="time between two reads of a user who is in a subscription: a lost notification delays a change "
        "by as much",
    )
    page_size: int = Field(MAX_BULK_SIZE, ge=1, le=MAX_BULK_SIZE, description="number of users in one read")
    limit: int = Field(1500, ge=1, description="number of requests that Graph allows a tenant in 30 s")
    headroom: float = Field(0.1, ge=0, le=0.9, description="share of `RELAY_POLL_LIMIT` that stays unused")
    count_ids: bool = Field(
        default=False,
        description="count a read as many times as it has users. Microsoft does not document which Graph does",
    )


class SubscriptionConfig(SettingsGroup):
    """Size and times of subscriptions: creation, renewal, replacement, retries."""

    model_config = SettingsConfigDict(env_prefix="RELAY_SUBSCRIPTION_")

    users: int = Field(
        MAX_USERS, ge=1, le=MAX_USERS, description="number of users in one subscription; Graph's limit is 650"
    )
    life: Duration = Field(
        _USUAL.life,
        ge=SECOND,
        le=timedelta(hours=1),
        description="subscription lifetime requested from Graph (its maximum is 60 min; the margin covers clock skew)",
    )
    renew_after: Duration = Field(
        _USUAL.renew_least,
        ge=SECOND,
        le=timedelta(hours=1),
        description="age at which a subscription is renewed with a new token, up to a fifth later: half of the hour "
        "for which Graph uses a token",
    )
    gather: Duration = Field(
        _USUAL.gather,
        ge=timedelta(),
        description="time for which the first users wait for others before a subscription is made",
    )
    remake_soon: Duration = Field(
        _USUAL.remake_soon,
        ge=timedelta(milliseconds=100),
        description="minimum age before replacing a subscription for a tenth or more of its users: each replacement "
        "costs a gap of a second and a read of all its users",
    )
    remake_late: Duration = Field(
        _USUAL.remake_late,
        ge=timedelta(milliseconds=100),
        description="minimum age before replacing a subscription for less than a tenth of its users",
    )
    retry_least: Duration = Field(
        _USUAL.retry_least,
        ge=timedelta(milliseconds=100),
        description="first retry delay after a refusal; it doubles each time",
    )
    retry_most: Duration = Field(
        _USUAL.retry_most, ge=timedelta(milliseconds=100), description="upper bound of the retry delay"
    )
    look_after: Duration = Field(
        _USUAL.look_after,
        ge=timedelta(),
        description="time until a worker that takes over checks whether the former worker's subscription still exists",
    )
    announced_within: Duration = Field(
        ANNOUNCED_WITHIN,
        ge=timedelta(milliseconds=100),
        description="time after which a change without a notification counts as unannounced: Graph takes a minute, "
        "and longer when it retries",
    )
    silent_pause: Duration = Field(
        _USUAL.silent_pause,
        ge=timedelta(milliseconds=100),
        description="minimum time between two replacements of a subscription that fell silent",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = []
        if self.renew_after * RENEWAL_SPREAD >= self.life:
            faults.append("RELAY_SUBSCRIPTION_RENEW_AFTER: and a fifth of it must be less than RELAY_SUBSCRIPTION_LIFE")
        if self.retry_least > self.retry_most:
            faults.append("RELAY_SUBSCRIPTION_RETRY_LEAST: must not be more than RELAY_SUBSCRIPTION_RETRY_MOST")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def policy(self) -> SubscriptionPolicy:
        """Return these settings in the form that the rules of `core.push` take."""
        return SubscriptionPolicy(
            life=self.life,
            renew_least=self.renew_after,
            renew_most=self.renew_after * RENEWAL_SPREAD,
            gather=self.gather,
            remake_soon=self.remake_soon,
            remake_late=self.remake_late,
            retry_least=self.retry_least,
            retry_most=self.retry_most,
            look_after=self.look_after,
            silent_pause=self.silent_pause,
        )


class WorkerConfig(SettingsGroup):
    """Lease of a partition and refresh of grants."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WORKER_")

    lease: Duration = Field(
        timedelta(seconds=6),
        ge=SECOND,
        description="length of a worker's lease: time until another worker takes over from one that was killed",
    )
    grant_refresh: Duration = Field(
        timedelta(hours=24),
        ge=timedelta(minutes=5),
        description="time between two refreshes of each grant, used or not",
    )
