"""Obtains a grant from the local cloud: the way a tenant admin does, or at once."""

from __future__ import annotations

from typing import Final

import msal
import msgspec

from emulator import Cloud
from emulator.demo import CLIENT_ID, REDIRECT_URI
from emulator.entra.issuing import Grant, Issuer
from emulator.entra.tokens import PASSWORD_ONLY
from emulator.exchange import Request
from relay.core.consent.values import NewGrant, TokenGrant
from relay.core.presence import TenantId, UserId
from relay.graph.auth.consent import ANY_ORGANISATION, Consent
from relay.graph.client import GraphClient
from relay.graph.settings import GraphSettings
from tests.emulator.driver import browser, walk
from tests.graph.conftest import RELAY

_OPENID: Final = ("openid", "profile", "offline_access")


async def consent(cloud: Cloud, settings: GraphSettings, who: str = RELAY, **begin: str) -> NewGrant:
    """Sign in and consent in a browser."""
    async with GraphClient(settings) as client, Consent(client) as consents, browser(cloud) as person:
        flow = await consents.begin(REDIRECT_URI, **begin)  # type: ignore[arg-type]
        return await consents.complete(flow.kept, await walk(person, flow.authorize_url, username=who))


def consent_at_once(cloud: Cloud, settings: GraphSettings, who: str = RELAY) -> NewGrant:
    """Return what `consent` returns, without a browser, a sign-in or any request: for tests of what comes after a consent.

    It asks for no permission, so it is refused nothing: a test of who may consent needs `consent`.
    """
    person, application = cloud.person(who), cloud.world.application(CLIENT_ID)
    assert application is not None
    asked, scopes = [*settings.scopes, *_OPENID], set(settings.scopes)
    cloud.directory.consent(person, application, scopes)
    grant = Grant(
        person=person, application=application, permissions=scopes, openid=frozenset(_OPENID), amr=PASSWORD_ONLY
    )
    answer = msgspec.json.decode(
        Issuer(cloud).answer(Request(method="POST", path="", base=cloud.url), grant, asked).body
    )
    cache = msal.SerializableTokenCache()
    cache.add(
        {
            "client_id": CLIENT_ID,
            "scope": answer["scope"].split(),
            "token_endpoint": f"{cloud.url}/{ANY_ORGANISATION}/oauth2/v2.0/token",
            "grant_type": "authorization_code",
            "response": answer,
        }
    )
    return NewGrant(
        tenant_id=TenantId(person.tenant.tenant_id),
        account_id=UserId(person.oid),
        upn=person.upn,
        scopes=tuple(answer["scope"].split()),
        token_cache=cache.serialize(),
    )


def consented(cloud: Cloud, settings: GraphSettings, who: str = RELAY) -> TokenGrant:
    """Return the grant of `consent_at_once` as tokens are obtained with it."""
    new = consent_at_once(cloud, settings, who)
    return TokenGrant(tenant_id=new.tenant_id, account_id=new.account_id, version=1, token_cache=new.token_cache)
