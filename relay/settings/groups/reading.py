"""Settings of workers: how often users are read, when Graph is subscribed to, and how workers share tenants."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core.push.subscription import MAX_USERS, SubscriptionPolicy
from relay.core.push.watchdog import ANNOUNCED_WITHIN
from relay.graph.settings import MAX_BULK_SIZE
from relay.settings.env import Duration, Group
from relay.settings.validators import SECOND

if TYPE_CHECKING:
    from typing import Self


_USUAL: Final = SubscriptionPolicy()
RENEWAL_SPREAD: Final = 1.2
"""The latest renewal is so many times as late as the earliest, so that many tenants do not come together."""


class PollConfig(Group):
    """How users are read."""

    model_config = SettingsConfigDict(env_prefix="RELAY_POLL_")

    interval: Duration = Field(
        timedelta(seconds=5),
        ge=SECOND,
        le=timedelta(hours=1),
        description="between two reads of a user, when Graph allows",
    )
    reconcile_interval: Duration = Field(
        timedelta(seconds=60),
        ge=SECOND,
        le=timedelta(hours=1),
        description="between two reads of a user whose changes Graph announces: what a lost notification costs",
    )
    page_size: int = Field(MAX_BULK_SIZE, ge=1, le=MAX_BULK_SIZE, description="users in one read")
    limit: int = Field(1500, ge=1, description="requests that Graph allows a tenant in 30 s")
    headroom: float = Field(0.1, ge=0, le=0.9, description="share of that limit left unused")
    count_ids: bool = Field(
        default=False, description="whether Graph counts a read as many times as it has users (Microsoft does not say)"
    )


class SubscriptionConfig(Group):
    """When subscriptions are made, renewed, made anew and tried again."""

    model_config = SettingsConfigDict(env_prefix="RELAY_SUBSCRIPTION_")

    users: int = Field(MAX_USERS, ge=1, le=MAX_USERS, description="users of one subscription; Graph's own limit is 650")
    life: Duration = Field(
        _USUAL.life,
        ge=SECOND,
        le=timedelta(hours=1),
        description="what Graph is asked for, of at most an hour: the rest is for clocks that differ",
    )
    renew_after: Duration = Field(
        _USUAL.renew_least,
        ge=SECOND,
        le=timedelta(hours=1),
        description="age at which one is renewed with a fresh token, up to a fifth later: half of the hour that Graph uses a token for",
    )
    gather: Duration = Field(
        _USUAL.gather,
        ge=timedelta(),
        description="how long the first users wait for others before one is made",
    )
    remake_soon: Duration = Field(
        _USUAL.remake_soon,
        ge=timedelta(milliseconds=100),
        description="age at which one is made anew for a tenth or more of its users: each time is a gap of a second and a read of all",
    )
    remake_late: Duration = Field(
        _USUAL.remake_late, ge=timedelta(milliseconds=100), description="the same for fewer users"
    )
    retry_least: Duration = Field(
        _USUAL.retry_least,
        ge=timedelta(milliseconds=100),
        description="between two attempts after a refusal, doubled each time",
    )
    retry_most: Duration = Field(
        _USUAL.retry_most, ge=timedelta(milliseconds=100), description="what the doubling ends at"
    )
    look_after: Duration = Field(
        _USUAL.look_after,
        ge=timedelta(),
        description="how soon a worker that takes over looks whether an earlier one's is still there",
    )
    announced_within: Duration = Field(
        ANNOUNCED_WITHIN,
        ge=timedelta(milliseconds=100),
        description="a change that no notification tells of within this counts as unannounced: Graph takes a minute, repetitions theirs",
    )
    silent_pause: Duration = Field(
        _USUAL.silent_pause,
        ge=timedelta(milliseconds=100),
        description="between two times that one is made anew because it fell silent",
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
        """The rules' times."""
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


class WorkerConfig(Group):
    """How workers share the tenants."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WORKER_")

    lease: Duration = Field(
        timedelta(seconds=6), ge=SECOND, description="what a killed worker costs before another one takes over"
    )
    grant_refresh: Duration = Field(
        timedelta(hours=24), ge=timedelta(minutes=5), description="how often each grant is refreshed, used or not"
    )
