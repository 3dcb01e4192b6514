"""Settings of messages to administrators and the operator: e-mail and signed notices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core.addresses import mail_address
from relay.settings.clear_text import PLAIN, is_loopback
from relay.settings.env import Secret, SettingsGroup
from relay.settings.validators import Certificates, Port

if TYPE_CHECKING:
    from typing import Self


class MailConfig(SettingsGroup):
    """E-mail to managers of a tenant, and to the operator."""

    model_config = SettingsConfigDict(env_prefix="RELAY_MAIL_")

    host: str | None = Field(None, description="mail server; without one, administrators receive no e-mail")
    port: Port = Field(587, description="port of the mail server; 465 is usual for `tls`, 25 for `none`")
    tls: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="`starttls` requires an upgrade, `tls` begins with TLS, `none` is for a server on the relay's "
        "own host",
    )
    plaintext: bool = Field(
        default=False,
        description="allow `none` to another host. E-mail to administrators and to you crosses the network in the "
        "clear: use it only inside a tunnel or a mesh that encrypts",
    )
    user: str = Field("", description="user name at the mail server; empty: no sign-in")
    password: Secret | None = Field(None, description="password of `RELAY_MAIL_USER`")
    sender: str | None = Field(
        None,
        description="sender address of e-mail",
        json_schema_extra={"variable": "RELAY_MAIL_FROM"},
    )
    operator: str | None = Field(
        None,
        description="your address. It receives an e-mail when a tenant waits for approval, and when a limit on new "
        "tenants is reached",
    )
    ca: Certificates | None = Field(
        None, description="CA certificates to trust for the mail server, instead of the system's"
    )

    @field_validator("sender", "operator")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        address = mail_address(value) if value is not None else None
        if value is not None and address is None:
            raise ValueError(f"{value!r} is no plain e-mail address")
        return address

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.host is None) is not (self.sender is None):
            absent = "HOST" if self.host is None else "FROM"
            raise ValueError(f"RELAY_MAIL_{absent}: must be set too, server and sender belong together")
        if self.operator is not None and self.host is None:
            raise ValueError("RELAY_MAIL_HOST: must be set too, or nothing reaches RELAY_MAIL_OPERATOR")
        if bool(self.user) is not (self.password is not None):
            absent = "PASSWORD" if self.user else "USER"
            raise ValueError(f"RELAY_MAIL_{absent}: must be set too, user and password belong together")
        if self.user and self.tls == "none":
            raise ValueError("RELAY_MAIL_TLS: is none although there is a password, which would be sent in clear text")
        if self.host is not None and self.tls == "none" and not self.plaintext and not is_loopback(self.host):
            raise ValueError(f"RELAY_MAIL_TLS: {PLAIN.format('e-mails', 'starttls or tls', 'RELAY_MAIL_PLAINTEXT')}")
        return self

    @property
    def is_sent(self) -> bool:
        """True if e-mail is configured."""
        return self.host is not None


class NoticeConfig(SettingsGroup):
    """Signed notices to addresses that tenants choose."""

    model_config = SettingsConfigDict(env_prefix="RELAY_NOTICE_")

    private_addresses: bool = Field(
        default=False,
        description="allow notices to addresses that are not on the public internet. A tenant could then reach into "
        "your network",
    )
    ca: Certificates | None = Field(
        None, description="CA certificates to trust for receivers of notices, instead of the system's"
    )
