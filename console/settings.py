"""Settings of the console: the address, and who may sign in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from pages.settings import PagesSettings, RateLimits
from relay.core.presence import TenantId
from relay.http.paths import CONSOLE, CONSOLE_CALLBACK
from relay.settings.validators import key_bytes, listed, pem_bytes, revealed
from relay.store.sealing.quotas import Quota

if TYPE_CHECKING:
    from relay.settings.groups.console import ConsoleConfig
    from relay.settings.groups.http import HttpConfig
    from relay.settings.groups.web import WebConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EntraAccess:
    """The accounts that may sign in with Entra.

    Attributes:
        tenant_id: the operator's own tenant; accounts of other tenants are refused.
        role: value of the app role whose holders may change tenants; empty: no role.
        groups: object ids of the groups whose members may change tenants too.
        reader_role: value of the app role whose holders may only read; empty: no role.
    """

    tenant_id: TenantId
    role: str = ""
    groups: frozenset[str] = frozenset()
    reader_role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings(PagesSettings):
    """Settings of the role `console`, in addition to those of any pages.

    Attributes:
        entra: the accounts that may sign in with Entra; None: only the trial token gives access.
        token: the trial token; None: there is none.
        recheck: time after which an operator's role is checked at Entra again.
        pages_url: the address of the pages for tenants, which invitations link to.
        sessions: sessions at a time; beyond, the one that was idle longest ends. Many more than an operator has people.
        sign_ins: sign-ins in progress at a time.
    """

    ROLE: ClassVar[str] = "console"
    HOME: ClassVar[str] = CONSOLE
    entra: EntraAccess | None = None
    token: str | None = field(default=None, repr=False)
    recheck: timedelta = timedelta(minutes=10)
    pages_url: str = ""
    sessions: Quota = field(default_factory=lambda: Quota("sessions-console", 200))
    sign_ins: Quota = field(default_factory=lambda: Quota("trips-console", 1_000))

    @property
    def redirect_uri(self) -> str:
        """The redirect URI to register at Microsoft, type Web."""
        return self.public_url + CONSOLE_CALLBACK


def console_settings(console: ConsoleConfig, web: WebConfig, http: HttpConfig) -> ConsoleSettings:
    """Return the console's settings from the operator's configuration; the console's address must be set.

    Args:
        console: the settings of the console.
        web: the settings of the pages, for their address and the operator's name.
        http: limits on unauthenticated clients.
    """
    entra = None
    if console.tenant is not None and console.client_id is not None:
        groups = frozenset(group.lower() for group in listed(console.groups))
        entra = EntraAccess(
            tenant_id=TenantId(console.tenant),
            role=console.role.strip(),
            groups=groups,
            reader_role=console.reader_role.strip(),
        )
    return ConsoleSettings(
        public_url=console.url or "",
        operator=web.operator,
        host=console.host,
        port=console.port,
        tls_cert_pem=pem_bytes(console.tls_cert),
        tls_key_pem=key_bytes(console.tls_key),
        trusted_proxies=console.trusted_proxies,
        limits=http.limits(),
        rate_limits=RateLimits(requests=web.requests_per_minute, sign_ins=web.forms_per_minute),
        entra=entra,
        token=revealed(console.token),
        recheck=console.recheck,
        pages_url=web.public_url or "",
    )
