"""Settings of the pages where tenants are onboarded and managed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core import names
from relay.settings.env import Duration, SettingsGroup
from relay.settings.validators import Certificates, ListenHost, PagesAddress, Port, PrivateKey, Proxies, is_pair, listed
from relay.store.custody.sign_ups import SignUpLimits

if TYPE_CHECKING:
    from typing import Self


_NO_ROLES: Final = frozenset(
    {
        "b79fbf4d-3ef9-4689-8143-76b194e85509",  # in the `wids` of every user
        "a0b1b346-4d3e-4e8b-98f8-753987be4970",  # User
        "10dae51f-b6af-4016-8d66-8c2a99b929b3",  # Guest User
        "2af84b1e-32c8-42b7-82bc-daa82404023b",  # Restricted Guest User
    }
)
"""Role ids that every member or guest of a tenant has. With one of them, any employee could manage the tenant."""


class WebConfig(SettingsGroup):
    """Address, texts and limits of the pages."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WEB_")

    public_url: PagesAddress | None = Field(
        None,
        description="URL of the pages for browsers, without a path. The redirect URI is this and "
        "`/onboarding/callback`",
    )
    suite_address: str | None = Field(
        None, description="address of the edge for suites, `host:port`, as the pages show it"
    )
    operator: str = Field("Presence relay", description="name of the relay's operator, as the pages show it")
    support: str = Field("", description="e-mail or web address for help, as the pages show it; empty shows none")
    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  browsers come from outside
    port: Port = Field(8080, description="port to listen on; 0 takes a free one")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain, PEM. Without one the pages are plain HTTP, for an ingress that ends TLS"
    )
    tls_key: PrivateKey | None = Field(None, description="private key of `RELAY_WEB_TLS_CERT`, PEM, without a password")
    egress_addresses: str = Field(
        "",
        description="outgoing addresses of the relay towards Microsoft, separated by commas; the pages show them for "
        "a named location. Empty shows none",
    )
    manager_roles: str = Field(
        "",
        description="directory roles of Entra whose holders manage their organisation, as role template ids "
        "separated by commas. Empty: none, because many people have such roles in a large organisation. "
        "The app registration must send the `wids` claim",
    )
    suite_ca_file: str = Field(
        "", description="CA file in the command that the pages show, when suites must trust a CA of their own"
    )
    identity_association: bool = Field(
        default=False,
        description="serve `/.well-known/microsoft-identity-association.json`, by which Microsoft verifies the domain of "
        "`RELAY_WEB_PUBLIC_URL` as your publisher domain",
    )
    trusted_proxies: Proxies = Field(
        "",
        description="addresses of proxies whose `X-Forwarded-For` is trusted, separated by commas. Empty: none, and "
        "all customers behind a proxy share the limits of one network",
    )
    sign_up: Literal["invited", "approval", "open"] = Field(
        "approval",
        description="who may become a tenant: `invited` has a link from you, `approval` waits for `tenants "
        "approve`, `open` is "
        "any organisation with a Microsoft 365 domain",
    )
    sign_ups_per_hour: int = Field(
        SignUpLimits().hourly,
        ge=1,
        description="number of tenants that may sign up without an invitation within an hour; more than a busy operator "
        "onboards. Links from you do not count",
    )
    pending_most: int = Field(
        SignUpLimits().pending,
        ge=1,
        description="number of tenants that may wait for approval: as many as a person can review",
    )
    pending_for: Duration = Field(
        SignUpLimits().waits,
        ge=timedelta(seconds=1),
        description="time for which a tenant may wait for approval; then its consent is deleted. Longer than a holiday",
    )
    requests_per_minute: int = Field(
        240,
        ge=10,
        description="number of requests a minute from one network: an IPv4 address or an IPv6 /64; four times as "
        "many from a /48",
    )
    forms_per_minute: int = Field(
        10,
        ge=1,
        description="number of forms a minute that begin an onboarding, and of forms that begin a sign-in, from one "
        "network",
    )
    flows: int = Field(
        20_000,
        ge=10,
        description="number of onboardings, sign-ins, sessions and links under way, of each kind; some 1 KB in "
        "Redis each. Beyond, the ones that were idle for longest are dropped",
    )

    @field_validator("manager_roles")
    @classmethod
    def _role_ids(cls, value: str) -> str:
        wrong = [role for role in listed(value) if names.user_id(role) is None]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no role template id, which is a GUID")
        everybodys = [role for role in listed(value) if role.lower() in _NO_ROLES]
        if everybodys:
            raise ValueError(f"{everybodys[0]} is no administrator's role: every user or guest has it")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) is not (self.tls_key is None):
            raise ValueError("RELAY_WEB_TLS_KEY: certificate and private key belong together")
        if not is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_WEB_TLS_KEY: is not the key of RELAY_WEB_TLS_CERT")
        return self
