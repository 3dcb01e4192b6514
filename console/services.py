"""The services that the views of the console share."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.auth import OperatorAuthenticator
from console.cookies import COOKIES
from console.layout import ConsoleLayout
from console.sessions import OperatorSessions
from console.sign_ins import SignIns
from pages.door import Door
from pages.problems import ProblemError
from relay.core import names
from relay.diagnosis.tenant_list import TenantLists
from relay.graph.auth.consent import Consent
from relay.graph.client import GraphClient
from relay.store.custody.audit import AuditLog
from relay.store.custody.operator_log import OperatorLog
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.sealing.short_lived import Flows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from console.settings import ConsoleSettings
    from pages.layout import Pages
    from relay.graph.settings import GraphSettings
    from relay.store.custody.tenants import Tenant
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """Repositories, read models, Microsoft, authentication and layout; made by `open`."""

    settings: ConsoleSettings
    pages: Pages
    store: Store
    ring: KeyRing
    client: GraphClient
    """Reads Microsoft's public documents."""
    sessions: OperatorSessions
    door: Door
    auth: OperatorAuthenticator
    layout: ConsoleLayout
    sign_ins: SignIns | None
    """None: only holders of the trial token have access."""
    tenants: Tenants
    vault: Vault
    audit: AuditLog
    acts: OperatorLog
    lists: TenantLists

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        store: Store,
        ring: KeyRing,
        settings: ConsoleSettings,
        pages: Pages,
        public: GraphSettings,
        entra: GraphSettings | None,
    ) -> AsyncIterator[Self]:
        """Yield the services; close the connections to Microsoft on exit.

        Args:
            store: the relay's store.
            ring: seals sessions, and determines which grants can be decrypted.
            settings: of the console.
            pages: renders its templates.
            public: reads Microsoft's public documents.
            entra: the console's app registration; None if the console uses a trial token.
        """
        sessions = OperatorSessions(store, ring, settings.sessions)
        door = Door(pages, settings.public_url, COOKIES, sessions)
        async with AsyncExitStack() as stack:
            sign_ins = None
            if entra is not None and settings.entra is not None:
                consent = await stack.enter_async_context(Consent(await stack.enter_async_context(GraphClient(entra))))
                sign_ins = SignIns(Flows(store, ring), consent, settings, settings.entra)
            yield cls(
                settings=settings,
                pages=pages,
                store=store,
                ring=ring,
                client=await stack.enter_async_context(GraphClient(public)),
                sessions=sessions,
                door=door,
                auth=OperatorAuthenticator(door, sessions, settings),
                layout=ConsoleLayout(pages, sessions),
                sign_ins=sign_ins,
                tenants=Tenants(store),
                vault=Vault(store, ring),
                audit=AuditLog(store),
                acts=OperatorLog(store),
                lists=TenantLists(store),
            )

    async def tenant(self, text: str) -> Tenant:
        """Return the tenant whose id is in an address.

        Raises:
            ProblemError: there is no such tenant, or the text is not a tenant id.
        """
        tenant_id = names.tenant_id(text)
        found = None if tenant_id is None else await self.tenants.load(tenant_id)
        if found is None:
            raise ProblemError("unknown_tenant")
        return found
