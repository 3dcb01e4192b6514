"""Settings that bound strangers at the pages and the webhook. `docs/limits.md` states what each of them costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from relay.http.limits import HttpLimits
from relay.settings.env import Duration, Group

_DEFAULT: Final = HttpLimits()


class HttpConfig(Group):
    """Pages and webhook before anybody has shown a credential; each role by itself."""

    model_config = SettingsConfigDict(env_prefix="RELAY_HTTP_")

    connections: int = Field(
        _DEFAULT.connections,
        ge=10,
        le=100_000,
        description="connections open at once for each role, never more than a quarter of the files that the process may open; "
        "beyond, the one that waits longest is closed. Each costs up to 128 KiB",
    )
    connections_per_address: int = Field(
        _DEFAULT.connections_per_address,
        ge=2,
        le=100_000,
        description="of those, for one IPv4 address or IPv6 /64; trusted proxies are not counted. An office behind one address "
        "keeps some 20 open",
    )
    requests: int = Field(
        _DEFAULT.requests,
        ge=5,
        le=100_000,
        description="requests that are answered at once for each role; beyond, `503`. Those whose body is still arriving do not count",
    )
    head_time: Duration = Field(
        _DEFAULT.head_time,
        ge=timedelta(seconds=1),
        le=timedelta(minutes=2),
        description="how long a TLS handshake with the first head, and the head of each later request, may take. A phone on a "
        "bad network takes 3 s",
    )

    def limits(self) -> HttpLimits:
        """What the servers need."""
        return HttpLimits(
            connections=self.connections,
            connections_per_address=self.connections_per_address,
            requests=self.requests,
            head_time=self.head_time,
        )
