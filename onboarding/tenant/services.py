"""The services that the views of the tenant's page share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.auth import Authenticator
from onboarding.tenant.layout import TenantLayout
from onboarding.tenant.sessions import Sessions
from onboarding.tenant.sign_ins import TenantSignIns
from pages.door import Door
from relay.graph.auth.consent import Consent
from relay.graph.client import GraphClient
from relay.store.custody.access_requests import AccessRequests
from relay.store.custody.admissions import Admissions
from relay.store.custody.audit import AuditLog
from relay.store.custody.emails import Letters
from relay.store.custody.managers import Managers
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.turned_away import TurnedAway
from relay.store.custody.vault import Vault
from relay.store.presence.connected import ConnectedSuites
from relay.store.presence.enforcement import Enforcement
from relay.store.presence.presences import Presences
from relay.store.presence.push import PushStatuses
from relay.store.presence.subscriptions import Subscriptions
from relay.store.sealing.marks import RingMarks
from relay.store.sealing.short_lived import Flows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from onboarding.settings import WebSettings
    from pages.layout import Pages
    from relay.graph.settings import GraphSettings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantServices:
    """Repositories, the Graph client, authentication and layout; made by `open`."""

    settings: WebSettings
    pages: Pages
    store: Store
    client: GraphClient
    sessions: Sessions
    door: Door
    auth: Authenticator
    layout: TenantLayout
    sign_ins: TenantSignIns
    tenants: Tenants
    vault: Vault
    admissions: Admissions
    managers: Managers
    requests: AccessRequests
    suite_keys: SuiteKeys
    connected: ConnectedSuites
    presences: Presences
    push: PushStatuses
    subscriptions: Subscriptions
    enforcement: Enforcement
    audit: AuditLog
    letters: Letters
    turned_away: TurnedAway

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, ring: KeyRing, graph: GraphSettings, settings: WebSettings, pages: Pages
    ) -> AsyncIterator[Self]:
        """Yield the services; close the Graph client on exit."""
        sessions = Sessions(store, ring, quota=settings.quotas.sessions)
        door = Door(pages, settings.public_url, TENANT_COOKIES, sessions, "tenant/")
        tenants, vault, managers = Tenants(store), Vault(store, ring), Managers(store)
        async with GraphClient(graph) as client, Consent(client) as consent:
            yield cls(
                settings=settings,
                pages=pages,
                store=store,
                client=client,
                sessions=sessions,
                door=door,
                auth=Authenticator(door, sessions, tenants, vault, managers, settings),
                layout=TenantLayout(pages, sessions),
                sign_ins=TenantSignIns(
                    Flows(store, ring), consent, settings.redirect_uri, settings.quotas.tenant_sign_ins
                ),
                tenants=tenants,
                vault=vault,
                admissions=Admissions(store, ring),
                managers=managers,
                requests=AccessRequests(store, ring),
                suite_keys=SuiteKeys(store, RingMarks(ring)),
                connected=ConnectedSuites(store),
                presences=Presences(store),
                push=PushStatuses(store),
                subscriptions=Subscriptions(store),
                enforcement=Enforcement(store),
                audit=AuditLog(store),
                letters=Letters(store),
                turned_away=TurnedAway(store),
            )
