"""Settings of the operator's console: its internal address, and who may sign in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core import names
from relay.http.paths import is_local
from relay.settings.env import Duration, Secret, SettingsGroup
from relay.settings.validators import (
    Certificates,
    ClientSecret,
    ListenHost,
    PagesAddress,
    Port,
    PrivateKey,
    Proxies,
    is_pair,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

LEAST_TOKEN_CHARS: Final = 32
MOST_GROUPS: Final = 20


class ConsoleConfig(SettingsGroup):
    """Address of the console, and the sign-in of operators."""

    model_config = SettingsConfigDict(env_prefix="RELAY_CONSOLE_")

    url: PagesAddress | None = Field(
        None,
        description="URL at which operators open the console, without a path. Never the host of "
        "`RELAY_WEB_PUBLIC_URL`: an internal name, or `http://localhost:8082` behind a port-forward. The redirect URI is this "
        "and `/console/callback`",
    )
    host: ListenHost = Field(
        "127.0.0.1",
        description="address to listen on. Another one only where a firewall or NetworkPolicy keeps the internet out",
    )
    port: Port = Field(8082, description="port to listen on; 0 takes a free one")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain, PEM. Without one the console is plain HTTP, for a proxy that ends TLS"
    )
    tls_key: PrivateKey | None = Field(
        None, description="private key of `RELAY_CONSOLE_TLS_CERT`, PEM, without a password"
    )
    trusted_proxies: Proxies = Field(
        "", description="addresses of proxies whose `X-Forwarded-For` is trusted, separated by commas. Empty: none"
    )
    tenant: str | None = Field(None, description="id of your own Entra tenant, whose people may sign in")
    client_id: str | None = Field(None, description="application id of the console's app registration in that tenant")
    client_secret: ClientSecret | None = Field(
        None, description="client secret of that app registration; a certificate is better"
    )
    certificate: Certificates | None = Field(None, description="certificate of that app registration, PEM")
    private_key: PrivateKey | None = Field(
        None, description="private key of `RELAY_CONSOLE_CERTIFICATE`, PEM, without a password"
    )
    role: str = Field(
        "Relay.Operate",
        description="app role of that registration whose holders see and change everything. Empty: no role, and "
        "`RELAY_CONSOLE_GROUPS` must be set",
    )
    reader_role: str = Field(
        "Relay.Read",
        description="app role of that registration whose holders see everything and change nothing. Empty: no role",
    )
    groups: str = Field(
        "",
        description="object ids of groups whose members may see and change everything too, separated by commas. The registration must send "
        "the claim `groups`. An app role is better",
    )
    recheck: Duration = Field(
        timedelta(minutes=10),
        ge=timedelta(minutes=1),
        le=timedelta(hours=1),
        description="time after which the console checks with Entra that a signed-in operator still has the role. An operator whose "
        "role was removed keeps access for at most this time",
    )
    token: Secret | None = Field(
        None,
        description=f"token that admits any holder, {LEAST_TOKEN_CHARS} characters or more, instead of Entra: for a trial, "
        "only with a `RELAY_CONSOLE_URL` on this machine. The audit log cannot name the person who used it",
    )

    @field_validator("tenant")
    @classmethod
    def _is_tenant(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = names.tenant_id(value)
        if found is None:
            raise ValueError(f"{value[:60]!r} is not a tenant id, which is a GUID")
        return found

    @field_validator("groups")
    @classmethod
    def _are_groups(cls, value: str) -> str:
        wrong = [group for group in listed(value) if names.user_id(group) is None]
        if wrong:
            raise ValueError(f"{wrong[0][:60]!r} is no object id of a group, which is a GUID")
        if len(listed(value)) > MOST_GROUPS:
            raise ValueError(f"names more than {MOST_GROUPS} groups; use an app role")
        return value

    @field_validator("token")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        text = "" if value is None else value.get_secret_value()
        if value is not None and (len(text) < LEAST_TOKEN_CHARS or not text.isascii() or not text.isprintable()):
            raise ValueError(
                f"must have {LEAST_TOKEN_CHARS} printable characters or more, as `openssl rand -hex 32` makes them"
            )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults(self) -> Iterator[str]:
        if (self.tls_cert is None) is not (self.tls_key is None):
            yield "RELAY_CONSOLE_TLS_KEY: certificate and private key belong together"
        elif not is_pair(self.tls_cert, self.tls_key):
            yield "RELAY_CONSOLE_TLS_KEY: is not the key of RELAY_CONSOLE_TLS_CERT"
        if self.url is None:
            return
        if self.token is not None:
            yield from self._token_faults(self.url)
        else:
            yield from self._entra_faults()

    def _token_faults(self, url: str) -> Iterator[str]:
        if self.client_id is not None or self.tenant is not None:
            yield "RELAY_CONSOLE_TOKEN: is set together with RELAY_CONSOLE_CLIENT_ID or RELAY_CONSOLE_TENANT; keep one way to sign in"
        if not is_local(url):
            yield (
                "RELAY_CONSOLE_TOKEN: is for a trial with RELAY_CONSOLE_URL on localhost; elsewhere set "
                "RELAY_CONSOLE_TENANT and RELAY_CONSOLE_CLIENT_ID"
            )

    def _entra_faults(self) -> Iterator[str]:
        for field in ("tenant", "client_id"):
            if getattr(self, field) is None:
                yield f"RELAY_CONSOLE_{field.upper()}: must be set, so that operators can sign in"
        if (self.client_secret is None) is (self.certificate is None):
            yield "RELAY_CONSOLE_CLIENT_SECRET: must be set, or RELAY_CONSOLE_CERTIFICATE and its key, and not both"
        if (self.certificate is None) is not (self.private_key is None):
            yield "RELAY_CONSOLE_PRIVATE_KEY: certificate and private key belong together"
        elif not is_pair(self.certificate, self.private_key):
            yield "RELAY_CONSOLE_PRIVATE_KEY: is not the key of RELAY_CONSOLE_CERTIFICATE"
        if not self.role.strip() and not listed(self.groups):
            yield "RELAY_CONSOLE_ROLE: must be set, or RELAY_CONSOLE_GROUPS; otherwise no operator can change anything"
        if self.reader_role.strip() and self.reader_role.strip() == self.role.strip():
            yield "RELAY_CONSOLE_READER_ROLE: is the same as RELAY_CONSOLE_ROLE; read-only operators need a separate role"
