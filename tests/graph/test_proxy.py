"""Microsoft through a proxy that opens TLS, whose certificate authority the settings name."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from emulator import Config, Emulator
from emulator.demo import CLIENT_ID, REDIRECT_URI, SECRET
from relay.core.consent.values import TokenGrant
from relay.graph.auth.consent import Consent
from relay.graph.auth.tokens import GrantTokens
from relay.graph.client import GraphClient
from relay.graph.settings import GraphSettings
from tests.emulator.driver import walk
from tests.graph.conftest import RELAY
from tests.graph.test_tokens import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulator import Cloud


@pytest.fixture
async def microsoft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cloud]:
    """A cloud under Microsoft's names, to which only the proxy leads; the CA bundle of the environment does not vouch for it."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with Emulator.start(Config(proxy_port=0)) as running:
        for name in ("https_proxy", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", running.proxy_url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
        yield running


async def test_consents_tokens_and_reads_go_through_a_proxy_whose_authority_the_settings_name(microsoft: Cloud):
    pem = microsoft.ca_pem.decode()
    settings = GraphSettings(client_id=CLIENT_ID, client_secret=SECRET, ca_pem=pem)
    trust = ssl.create_default_context(cadata=pem)
    async with GraphClient(settings) as client, Consent(client) as consents:
        flow = await consents.begin(REDIRECT_URI)
        async with httpx.AsyncClient(verify=trust, timeout=20) as person:
            new = await consents.complete(flow.kept, await walk(person, flow.authorize_url, username=RELAY))
    grant = TokenGrant(tenant_id=new.tenant_id, account_id=new.account_id, version=1, token_cache=new.token_cache)
    async with GrantTokens(settings, Vault().save) as tokens:
        assert (await tokens.refresh(grant)).text
