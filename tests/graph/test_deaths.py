"""Every documented way for a grant to die, from `emulator/entra/deaths.toml`: as MSAL reports it and as the relay takes it.

One local cloud and one consent serve all of them. MSAL replays a refusal for a minute, so each death meets an MSAL
application of its own.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msal
import pytest
import pytest_asyncio
from msal.exceptions import MsalServiceError

from emulator import Cloud, Config, Emulator
from emulator.demo import CLIENT_ID, SECRET
from relay.core.consent.refusals import RefusalClass, classify
from relay.core.consent.values import TokenGrant
from relay.errors import CredentialRejected, RelayError, SourceThrottled, SourceUnreachable
from relay.graph.auth.tokens import GrantTokens
from relay.graph.errors import GrantRefused
from tests.graph.conftest import RELAY, SCOPES, settings_for
from tests.graph.consents import consented

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEATHS: list[dict[str, Any]] = tomllib.loads(Path("emulator/entra/deaths.toml").read_text())["death"]
PROVOCABLE = [death for death in DEATHS if "kind" in death]
TENANT = "contoso.example"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def granted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Cloud, TokenGrant, str]]:
    """A cloud, the consent of its relay account, and the file of the cloud's CA."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would go before MSAL's `verify`
            environment.delenv(name, raising=False)
        async with Emulator.start(Config()) as cloud:
            ca = tmp_path_factory.mktemp("deaths") / "ca.pem"
            ca.write_bytes(cloud.ca_pem)
            yield cloud, consented(cloud, settings_for(cloud)), str(ca)


@contextmanager
def dying(cloud: Cloud, grant: TokenGrant, death: dict[str, Any]):  # type: ignore[no-untyped-def]
    """The grant's death, and its resurrection."""
    kind = death["kind"]
    person = cloud.person(RELAY)
    given = {key: set(scopes) for key, scopes in person.tenant.consents.items()}
    do: dict[str, Callable[[], None]] = {
        "account": lambda: cloud.directory.revoke(RELAY, kind),
        "application": lambda: cloud.directory.refuse_application(CLIENT_ID, kind),
        "tenant": lambda: cloud.directory.refuse_tenant(TENANT, kind),
    }
    do[death["whose"]]()
    try:
        yield
    finally:
        cloud.directory.restore(RELAY)
        cloud.directory.refuse_application(CLIENT_ID, "")
        cloud.directory.refuse_tenant(TENANT, "")
        person.tenant.consents.update(given)


def names(death: dict[str, Any]) -> str:
    return f"{death['code']}-{death.get('kind', '')}"


@pytest.mark.parametrize("death", PROVOCABLE, ids=names)
async def test_msal_reports_a_death_as_the_file_says(
    granted: tuple[Cloud, TokenGrant, str], death: dict[str, Any]
) -> None:
    cloud, grant, ca = granted
    app = await asyncio.to_thread(built, cloud, grant, ca)
    (account,) = app.get_accounts()
    with dying(cloud, grant, death):
        refused = await asyncio.to_thread(silently, app, account)
    if death["status"] >= 500:  # MSAL raises on these, and shows no body
        assert str(refused) == f"HTTP Error: {death['status']}"
        assert cloud.journal.search(path="/token")[-1].reason == f"AADSTS{death['code']}"
        return
    assert (refused["error"], refused.get("suberror"), refused["error_codes"]) == (
        death["error"], death.get("suberror"), [death["code"]],
    )  # fmt: skip


@pytest.mark.parametrize("death", PROVOCABLE, ids=names)
async def test_the_relay_takes_a_death_for_what_it_is(
    granted: tuple[Cloud, TokenGrant, str], death: dict[str, Any]
) -> None:
    cloud, grant, _ = granted

    async def save(kept: TokenGrant, token_cache: str, _asked_at: datetime) -> TokenGrant:
        return kept

    async with GrantTokens(settings_for(cloud), save) as tokens:
        with dying(cloud, grant, death), pytest.raises(RelayError) as caught:
            await tokens.refresh(grant)
        assert class_of(caught.value) == death["class"]
        assert (await tokens.refresh(grant)).text, "it is over when its cause is"


@pytest.mark.parametrize("death", DEATHS, ids=names)
async def test_the_rules_give_every_refusal_the_class_of_the_file(death: dict[str, Any]) -> None:
    refusal = classify(death["error"], death.get("suberror", ""), [death["code"]])
    assert refusal.kind.name.lower() == death["class"]
    assert refusal.sentence != classify("").sentence, "the rules know the number"


def built(cloud: Cloud, grant: TokenGrant, ca: str) -> msal.ConfidentialClientApplication:
    cache = msal.SerializableTokenCache()
    cache.deserialize(grant.token_cache)
    return msal.ConfidentialClientApplication(
        CLIENT_ID, client_credential=SECRET, authority=f"{cloud.url}/{grant.tenant_id}", instance_discovery=False,
        token_cache=cache, verify=ca,
    )  # fmt: skip


def silently(app: msal.ConfidentialClientApplication, account: dict[str, Any]) -> Any:
    try:
        return app.acquire_token_silent_with_error(sorted(SCOPES), account=account, force_refresh=True)
    except MsalServiceError as error:
        return error


def class_of(error: RelayError) -> str:
    """The class behind an error of the relay's."""
    if isinstance(error, GrantRefused):
        return error.refusal.kind.name.lower()
    kinds: dict[type[RelayError], RefusalClass] = {
        CredentialRejected: RefusalClass.OURS,
        SourceThrottled: RefusalClass.TEMPORARY,
        SourceUnreachable: RefusalClass.UNREACHABLE,
    }
    return kinds[type(error)].name.lower()
