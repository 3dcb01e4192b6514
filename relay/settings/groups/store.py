"""Settings of Redis or Valkey: the server with presence, and the one with custody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from relay.settings.clear_text import IN_THE_CLEAR, is_loopback
from relay.settings.env import Duration, SettingsGroup
from relay.settings.validators import RedisUrl, Ring
from relay.store.server.address import parse_address

if TYPE_CHECKING:
    from typing import Self


class RedisConfig(SettingsGroup):
    """The Redis or Valkey with presence."""

    model_config = SettingsConfigDict(env_prefix="RELAY_REDIS_")

    url: RedisUrl | None = Field(
        None,
        description="URL of Redis or Valkey, for presence: `redis://`, `redis+sentinel://` or `redis+cluster://`, over TLS "
        "`rediss://`, `rediss+sentinel://` or `rediss+cluster://`; or `unix://`",
    )
    operation_timeout: Duration = Field(
        timedelta(seconds=5), ge=timedelta(milliseconds=100), description="time limit of one command"
    )
    plaintext: bool = Field(
        default=False,
        description="allow a URL without TLS to another host. Without TLS the password and presence cross the network in "
        "the clear: use it only inside a tunnel or a mesh that encrypts",
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        _demand_tls(self.url, "RELAY_REDIS_URL", plaintext=self.plaintext)
        return self


class VaultConfig(SettingsGroup):
    """Custody: grants, suite keys, tenants."""

    model_config = SettingsConfigDict(env_prefix="RELAY_VAULT_")

    redis_url: RedisUrl | None = Field(
        None,
        description="URL of a separate server for grants, suite keys and tenants. Default: the server of "
        "`RELAY_REDIS_URL`",
    )
    redis_plaintext: bool = Field(
        default=False,
        description="allow a URL without TLS to another host for `RELAY_VAULT_REDIS_URL`; see `RELAY_REDIS_PLAINTEXT`",
    )
    replicas: int | None = Field(
        None,
        ge=0,
        le=5,
        description="number of replicas that must have a durable write on disk before it counts as saved. Default: 0 on one "
        "server; 1 with Sentinel or Cluster, where it cannot be less",
    )
    key_ring: Ring | None = Field(
        None, description="key ring (JWK set) that encrypts grants; `presence-relay keyring new` makes one"
    )

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        _demand_tls(self.redis_url, "RELAY_VAULT_REDIS_URL", plaintext=self.redis_plaintext)
        return self


def _demand_tls(url: SecretStr | None, name: str, *, plaintext: bool) -> None:
    if url is None or plaintext:
        return
    address = parse_address(url.get_secret_value())
    if not address.is_encrypted and not all(is_loopback(host) for host, _ in address.places):
        raise ValueError(f"{name}: {IN_THE_CLEAR.format(name.rpartition('REDIS_')[0] + 'REDIS_PLAINTEXT')}")
