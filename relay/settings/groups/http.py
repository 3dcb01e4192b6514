"""Settings that limit clients of the pages and the webhook. `docs/limits.md` states the cost of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from relay.http.limits import HttpLimits
from relay.settings.env import Duration, SettingsGroup

_DEFAULT: Final = HttpLimits()


class HttpConfig(SettingsGroup):
    """Limits for clients without a credential, separately for pages and webhook."""

    model_config = SettingsConfigDict(env_prefix="RELAY_HTTP_")

    connections: int = Field(
        _DEFAULT.connections,
        ge=10,
        le=100_000,
        description="number of open connections of each role, never more than a quarter of the files that the "
        "process may open. Beyond, the connection that has waited longest is closed. Each costs up to "
        "128 KiB",
    )
    connections_per_address: int = Field(
        _DEFAULT.connections_per_address,
        ge=2,
        le=100_000,
        description="number of open connections from one IPv4 address or IPv6 /64; trusted proxies are not limited. "
        "An office behind one address keeps some 20 open",
    )
    requests: int = Field(
        _DEFAULT.requests,
        ge=5,
        le=100_000,
        description="number of requests that each role answers at a time; others receive `503`. Requests whose body "
        "is still arriving do not count",
    )
    head_time: Duration = Field(
        _DEFAULT.head_time,
        ge=timedelta(seconds=1),
        le=timedelta(minutes=2),
        description="time limit of a TLS handshake with the first request head, and of each later head. A phone on "
        "a bad network takes 3 s",
    )

    def limits(self) -> HttpLimits:
        """Return the limits in the form that HTTP servers take."""
        return HttpLimits(
            connections=self.connections,
            connections_per_address=self.connections_per_address,
            requests=self.requests,
            head_time=self.head_time,
        )
