"""Settings of logs, the ops port and telemetry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from relay.settings.clear_text import PLAIN, goes_in_the_clear
from relay.settings.env import Duration, SettingsGroup
from relay.settings.validators import ListenHost, Port, WebAddress, listed

if TYPE_CHECKING:
    from typing import Self


MOST_TENANTS: Final = 100
"""Limit of tenants with series of their own: each takes some ten series in each process."""


class LogConfig(SettingsGroup):
    """Form and level of the logs."""

    model_config = SettingsConfigDict(env_prefix="RELAY_LOG_")

    format: Literal["json", "text"] = Field("json", description="`json` for machines, `text` for people")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")


class OpsConfig(SettingsGroup):
    """Address of the ops port: health and metrics."""

    model_config = SettingsConfigDict(env_prefix="RELAY_OPS_")

    host: ListenHost = Field(
        "0.0.0.0",  # noqa: S104  see the description
        description="address that serves /livez, /readyz and /metrics; only on an internal network",
    )
    port: Port = Field(9090, description="port of /livez, /readyz and /metrics; 0 takes a free one")


class TelemetryConfig(SettingsGroup):
    """The OpenTelemetry collector that metrics and traces are sent to."""

    model_config = SettingsConfigDict(env_prefix="RELAY_TELEMETRY_")

    otlp_endpoint: WebAddress | None = Field(
        None, description="collector that receives metrics and traces, OTLP over gRPC"
    )
    otlp_interval: Duration = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="time between two readings that the collector receives",
    )
    trace_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of reads, notifications and visits of pages that are traced to their end. Takes effect with "
        "`RELAY_TELEMETRY_OTLP_ENDPOINT`; 0 makes no traces",
    )
    tenants: str = Field(
        "",
        description=f"ids of tenants that have series of their own (`relay.tenant.…`), and that traces name, separated by commas; at most {MOST_TENANTS}",
    )
    plaintext: bool = Field(
        default=False,
        description="allow an `http://` collector on another host. Metrics and traces cross the network in the clear: use it "
        "only inside a tunnel or a mesh that encrypts",
    )

    @field_validator("tenants")
    @classmethod
    def _are_tenants(cls, value: str) -> str:
        found = dict.fromkeys(one.lower() for one in listed(value))
        if len(found) > MOST_TENANTS:
            raise ValueError(f"names {len(found):,} tenants; at most {MOST_TENANTS} can have series of their own")
        for one in found:
            try:
                is_id = str(UUID(one)) == one
            except ValueError:
                is_id = False
            if not is_id:
                raise ValueError(f"{one[:40]!r} is not a tenant id, such as 11111111-2222-3333-4444-555555555555")
        return ",".join(found)

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.otlp_endpoint is not None and not self.plaintext and goes_in_the_clear(self.otlp_endpoint):
            shown = PLAIN.format("metrics and traces", "https://", "RELAY_TELEMETRY_PLAINTEXT")
            raise ValueError(f"RELAY_TELEMETRY_OTLP_ENDPOINT: {shown}")
        return self
