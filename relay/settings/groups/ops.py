"""Settings of logs, the ops port and telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from relay.settings.clear_text import PLAIN, goes_in_the_clear
from relay.settings.env import SettingsGroup
from relay.settings.validators import ListenHost, Port, WebAddress

if TYPE_CHECKING:
    from typing import Self


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
    """The OpenTelemetry collector that metrics are sent to."""

    model_config = SettingsConfigDict(env_prefix="RELAY_TELEMETRY_")

    otlp_endpoint: WebAddress | None = Field(None, description="collector that receives metrics, OTLP over gRPC")
    plaintext: bool = Field(
        default=False,
        description="allow an `http://` collector on another host. Metrics cross the network in the clear: use it "
        "only inside a tunnel or a mesh that encrypts",
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.otlp_endpoint is not None and not self.plaintext and goes_in_the_clear(self.otlp_endpoint):
            shown = PLAIN.format("metrics", "https://", "RELAY_TELEMETRY_PLAINTEXT")
            raise ValueError(f"RELAY_TELEMETRY_OTLP_ENDPOINT: {shown}")
        return self
