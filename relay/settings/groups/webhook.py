"""Settings of the webhook: the address for Graph's change notifications, and their certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from relay.graph.push.certificates import Certificates as EncryptionCertificates
from relay.graph.push.settings import PushSettings
from relay.http.paths import NOTIFICATIONS
from relay.settings.env import SettingsGroup
from relay.settings.validators import Certificates, HttpsAddress, ListenHost, Port, PrivateKey, Proxies, is_pair

if TYPE_CHECKING:
    from typing import Self


class WebhookConfig(SettingsGroup):
    """Change notifications: where Graph sends them, and what it encrypts them for."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WEBHOOK_")

    url: HttpsAddress | None = Field(
        None,
        description="URL at which Graph reaches the webhook, `https://` and a host. Workers subscribe when it and "
        "`RELAY_WEBHOOK_CERTIFICATES` are set",
    )
    certificates: str | None = Field(
        None,
        description="folder of `NAME.pem` files, each a certificate with its private key; notifications are "
        "encrypted for them. `presence-relay certificates make` makes one",
    )
    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  Graph comes from outside
    port: Port = Field(8081, description="port to listen on; 0 takes a free one. Graph expects 443 in front of it")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain, PEM. Without one the webhook is plain HTTP, for an ingress that ends TLS"
    )
    tls_key: PrivateKey | None = Field(
        None, description="private key of `RELAY_WEBHOOK_TLS_CERT`, PEM, without a password"
    )

    trusted_proxies: Proxies = Field(
        "",
        description="addresses or networks of proxies in front of the webhook, separated by commas. "
        "`RELAY_HTTP_CONNECTIONS_PER_ADDRESS` does not limit them. Empty: none",
    )

    @field_validator("url")
    @classmethod
    def _has_no_path(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).path or urlsplit(value).query or not urlsplit(value).hostname):
            raise ValueError(f"{value!r} must be like https://hook.example, without a path")
        return value

    @field_validator("certificates")
    @classmethod
    def _can_be_loaded(cls, value: str | None) -> str | None:
        if value is not None:
            EncryptionCertificates.load(value)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ValueError("RELAY_WEBHOOK_TLS_KEY: certificate and private key belong together")
        if not is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_WEBHOOK_TLS_KEY: is not the key of RELAY_WEBHOOK_TLS_CERT")
        if (self.url is None) is not (self.certificates is None):
            absent = "URL" if self.url is None else "CERTIFICATES"
            raise ValueError(f"RELAY_WEBHOOK_{absent}: must be set too, address and certificates belong together")
        return self

    def push_settings(self) -> PushSettings | None:
        """Return the settings of subscriptions; None when there should be no subscriptions."""
        if self.url is None or self.certificates is None:
            return None
        return PushSettings(
            url_base=f"{self.url}{NOTIFICATIONS}", certificates=EncryptionCertificates.load(self.certificates)
        )
