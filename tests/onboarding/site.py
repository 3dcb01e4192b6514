"""The pages, served as in production, and what stands behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import trustme

from emulator import Cloud
from onboarding.app import served
from onboarding.settings import WebSettings
from onboarding.tenant.sessions import Sessions
from onboarding.wizard.flow import Flow, decode
from pages.settings import RateLimits
from relay.consent import admit
from relay.consent.prove import ProvenGrant
from relay.core.audit.events import Actor, key_made
from relay.core.consent.tenant import SignUp, TenantEvent
from relay.core.presence import TenantId, UserId
from relay.graph.auth.id_tokens import VerifiedIdentity
from relay.store.custody.admissions import Admissions
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import RingMarks
from relay.store.sealing.short_lived import Flows
from relay.store.server.connection import Store
from relay.store.server.layout import Client
from tests.graph.conftest import settings_for
from tests.graph.consents import consent_at_once
from tests.support.topology import raw_client
from tests.support.valkey import as_role

ACCOUNT = "presence-relay@contoso.example"
NO_RATE_LIMITS = RateLimits(requests=100_000, sign_ups=100_000, sign_ins=100_000, changes=100_000)


def web_settings(port: int, cert: trustme.LeafCert, **changes: Any) -> WebSettings:
    given: dict[str, Any] = {
        "public_url": f"https://localhost:{port}",
        "suite_address": "relay.example:443",
        "operator": "Northwind Presence",
        "support": "Write to help@northwind.example.",
        "host": "127.0.0.1",
        "port": port,
        "tls_cert_pem": b"".join(pem.bytes() for pem in cert.cert_chain_pems),
        "tls_key_pem": cert.private_key_pem.bytes(),
        "rate_limits": NO_RATE_LIMITS,
        "sign_up": SignUp.OPEN,
    }
    return WebSettings(**{**given, **changes})


@dataclass
class Site:
    """Pages at work."""

    settings: WebSettings
    store: Store
    ring: KeyRing
    cloud: Cloud

    @classmethod
    @asynccontextmanager
    async def serving(
        cls, settings: WebSettings, store: Store, ring: KeyRing, cloud: Cloud, **graph: object
    ) -> AsyncIterator[Self]:
        for application in cloud.world.applications.values():
            application.redirect_uris.append(settings.redirect_uri)
        async with (
            Store(as_role(store.settings, Client.WEB)) as its_store,
            served(settings, its_store, ring, settings_for(cloud, **graph)),
        ):
            yield cls(settings, store, ring, cloud)

    @property
    def url(self) -> str:
        return self.settings.public_url

    @property
    def tenants(self) -> Tenants:
        return Tenants(self.store)

    @property
    def vault(self) -> Vault:
        return Vault(self.store, self.ring)

    @property
    def suite_keys(self) -> SuiteKeys:
        return SuiteKeys(self.store, RingMarks(self.ring))

    async def flow(self, flow_id: str) -> Flow:
        """An onboarding under way, as it is kept."""
        kept = await Flows(self.store, self.ring).peek(f"flow:{flow_id}")
        assert kept is not None
        flow = decode(kept.content)
        assert flow is not None
        return flow

    def tenant_id(self, domain: str = "contoso.example") -> TenantId:
        tenant = self.cloud.world.tenant(domain)
        assert tenant is not None
        return TenantId(tenant.tenant_id)

    async def connect(self, applicant: Mapping[str, str], account: str = ACCOUNT) -> str:
        """Connect an organisation as the wizard does, without its pages and Microsoft's; returns the suite key.

        Args:
            applicant: the fields of the wizard's first form.
            account: who consents.
        """
        new = consent_at_once(self.cloud, settings_for(self.cloud), account)
        await admit.by_applicant(
            Admissions(self.store, self.ring),
            ProvenGrant(tenant_id=new.tenant_id, account_id=new.account_id, upn=new.upn, token_cache=new.token_cache),
            event=TenantEvent.CONSENTED,
            name=applicant["organisation"],
            domain=applicant["domain"],
            settings={"contact_name": applicant["contact"], "contact_email": applicant["email"]},
            word_ms=0,
        )
        label, by = "Onboarding 7K3QX", Actor.account(new.upn, new.account_id)
        return (await self.suite_keys.issue(new.tenant_id, label, key_made(by, label))).text

    async def begin_session(self, account: str = ACCOUNT) -> str:
        """Begin a session of the tenant's page without Microsoft's pages; returns its secret.

        The contact does not become a manager by it, as by their first sign-in.
        """
        person = self.cloud.person(account)
        who = VerifiedIdentity(TenantId(person.tenant.tenant_id), UserId(person.oid), person.upn)
        return await Sessions(self.store, self.ring).begin(who)

    async def is_untouched(self) -> bool:
        """Whether nothing but flows and links to them, and their counts, is kept."""
        names = [name async for name in raw_client(self.store).scan_iter()]
        return all(name.startswith((b"flow:", b"invitation:", b"rooms:")) for name in names)
