"""Obtains a grant from the local cloud the way a tenant admin does."""

from __future__ import annotations

from emulator import Cloud
from emulator.demo import REDIRECT_URI
from relay.core.consent.values import NewGrant, TokenGrant
from relay.graph.auth.consent import Consent
from relay.graph.client import GraphClient
from relay.graph.settings import GraphSettings
from tests.emulator.driver import browser, walk
from tests.graph.conftest import RELAY


async def consent(cloud: Cloud, settings: GraphSettings, who: str = RELAY, **begin: str) -> NewGrant:
    async with GraphClient(settings) as client, Consent(client) as consents, browser(cloud) as person:
        flow = await consents.begin(REDIRECT_URI, **begin)  # type: ignore[arg-type]
        return await consents.complete(flow.kept, await walk(person, flow.authorize_url, username=who))


async def consented(cloud: Cloud, settings: GraphSettings, who: str = RELAY) -> TokenGrant:
    new = await consent(cloud, settings, who)
    return TokenGrant(tenant_id=new.tenant_id, account_id=new.account_id, version=1, token_cache=new.token_cache)
