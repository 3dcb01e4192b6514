"""The console, served as in production, and what stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import trustme

from console.app import served
from console.settings import ConsoleSettings, EntraAccess
from emulator import Cloud
from emulator.world import Application
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.http.paths import CONSOLE
from relay.store.custody.audit import AuditLog
from relay.store.custody.operator_log import OperatorLog
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.sealing.keyring import KeyRing
from relay.store.server.connection import Store
from relay.store.server.layout import Client
from tests.graph.conftest import settings_for
from tests.onboarding.site import NO_RATE_LIMITS
from tests.support.valkey import as_role

CLIENT_ID = "0c0c0c0c-0000-4000-8000-000000000001"
SECRET = "console-secret"
ROLE = "Relay.Operate"
OPERATOR = "mia@fabrikam.example"
"""Has the role in the operator's own tenant, Fabrikam."""
READER_ROLE = "Relay.Read"
READER = "olga@fabrikam.example"
"""Of the same tenant, with the role for reading."""
STRANGER = "noah@fabrikam.example"
"""Of the same tenant, without a role."""
TOKEN = "0123456789abcdef0123456789abcdef-trial"
GROUP = "99999999-0000-4000-8000-000000000001"
CONTOSO = TenantId("c0c0c0c0-1111-4111-8111-111111111111")


def console_settings(port: int, cert: trustme.LeafCert, **changes: Any) -> ConsoleSettings:
    given: dict[str, Any] = {
        "public_url": f"https://localhost:{port}",
        "operator": "Northwind Presence",
        "host": "127.0.0.1",
        "port": port,
        "tls_cert_pem": b"".join(pem.bytes() for pem in cert.cert_chain_pems),
        "tls_key_pem": cert.private_key_pem.bytes(),
        "rate_limits": NO_RATE_LIMITS,
        "pages_url": "https://relay.example",
    }
    return ConsoleSettings(**{**given, **changes})


@dataclass
class ConsoleSite:
    """A console at work."""

    settings: ConsoleSettings
    store: Store
    ring: KeyRing
    cloud: Cloud

    @classmethod
    @asynccontextmanager
    async def serving(cls, settings: ConsoleSettings, store: Store, ring: KeyRing, cloud: Cloud) -> AsyncIterator[Self]:
        """Serve a console: by Entra unless the settings have a token."""
        entra = None
        if settings.token is None:
            register(cloud, settings.redirect_uri)
            entra = settings_for(cloud, client_id=CLIENT_ID, client_secret=SECRET)
        public = settings_for(cloud, client_secret=None, anonymous=True)
        async with (
            Store(as_role(store.settings, Client.CONSOLE)) as its_store,
            served(settings, its_store, ring, public, entra),
        ):
            yield cls(settings, store, ring, cloud)

    @property
    def url(self) -> str:
        return self.settings.public_url

    @property
    def tenants(self) -> Tenants:
        return Tenants(self.store)

    async def put(self, tenant_id: TenantId = CONTOSO, **changes: Any) -> Tenant:
        """A tenant is there."""
        given: dict[str, Any] = {
            "name": "Contoso", "domain": "contoso.example", "state": TenantState.ACTIVE, "created": datetime.now(UTC),
        }  # fmt: skip
        tenant = Tenant(tenant_id=tenant_id, **{**given, **changes})
        await self.tenants.put(tenant)
        return tenant

    async def state(self, tenant_id: TenantId = CONTOSO) -> TenantState | None:
        tenant = await self.tenants.load(tenant_id)
        return None if tenant is None else tenant.state

    async def audit(self, tenant_id: TenantId = CONTOSO) -> list[tuple[str, str, str]]:
        """(what, name, id) of each entry of a tenant's log, newest first."""
        page = await AuditLog(self.store).page(tenant_id)
        return [(str(one.entry.kind), one.entry.by.name, one.entry.by.id) for one in page.entries]

    async def acts(self) -> list[tuple[str, str, str]]:
        """(what, name, id) of each act of operators, newest first."""
        return [(str(one.act.kind), one.act.by.name, one.act.by.id) for one in await OperatorLog(self.store).recent()]


def register(cloud: Cloud, redirect_uri: str) -> None:
    """The console's app registration, with each role for one account."""
    application = cloud.world.application(CLIENT_ID)
    if application is None:
        application = Application(client_id=CLIENT_ID, name="Relay console", publisher="Fabrikam", secrets=[SECRET])
        cloud.directory.put_application(application)
    application.redirect_uris.append(redirect_uri)
    cloud.directory.give_roles(OPERATOR, CLIENT_ID, [ROLE])
    cloud.directory.give_roles(READER, CLIENT_ID, [READER_ROLE])


def entra(cloud: Cloud, **changes: Any) -> EntraAccess:
    fabrikam = cloud.world.tenant("fabrikam.example")
    assert fabrikam is not None
    return EntraAccess(
        **{"tenant_id": TenantId(fabrikam.tenant_id), "role": ROLE, "reader_role": READER_ROLE, **changes}
    )


HOME = CONSOLE
