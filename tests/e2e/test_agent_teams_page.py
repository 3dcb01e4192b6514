"""The page on Teams of a vendor's suite, line by line, done with the agent against a whole relay.

What such a page has: two lines of Presence.ini, the words for the state of the connector, the consent of an administrator, and the
words for users of whom nothing is known.
"""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest

from relay.core.consent.tenant import TenantEvent
from relay.core.watching.permission import WATCH_NEVER
from relay.store.custody.suite_keys import SuiteKeys
from tests.e2e.conftest import Edges, running
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.support.ring import MARKS
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.worker.conftest import Relay
from tests.worker.test_permission import settle

pytestmark = pytest.mark.long

ADA, BEN, CHLOE = "ada@contoso.example", "ben@contoso.example", "chloe@contoso.example"
ZOE = "zoe@contoso.example"
RELAY_ACCOUNT = "presence-relay@contoso.example"


class Administrator:
    """Whoever edits Presence.ini in the field, and reads the state of the connector."""

    def __init__(self, folder: Path, ca_pem: bytes, colleagues: str) -> None:
        self.premises = Premises(folder, "", free_port())
        self.premises.write(colleagues, ca_pem, "")
        self.console = Console(self.premises.url)

    def write(self, *lines: str) -> None:
        """Write Presence.ini: these lines, and those on which no page of the suite has a word."""
        rest = f"[Relay]\nCaFile = ca.pem\nProxy = none\n[Agent]\nUsersFile = colleagues.csv\nPort = {self.premises.port}\n"
        self.premises.file.write_text("\n".join(lines) + "\n" + rest)

    async def sees(self, state: str, detail: str = "") -> None:
        """Wait until the connector is in a state, on the console and in `/v1/sources`, and says what to do."""
        nothing = {"state": "", "detail": ""}

        def shown() -> dict[str, str]:
            return self.console.sources.get("MSTeams", nothing)

        await eventually(lambda: shown()["state"] == state and detail in shown()["detail"], explain=shown)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self.premises.url}/v1/sources")
        assert answer.json()["sources"]["MSTeams"] == self.console.sources["MSTeams"]

    async def shows(self, **users: str) -> None:
        await eventually(
            lambda: {user: self.console.status_of(user) for user in users} == users,
            explain=lambda: {user: self.console.status_of(user) for user in self.console.users},
        )


async def test_presence_ini_and_the_states_of_the_connector(
    relay: Relay, edges: Edges, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    admin = Administrator(tmp_path, edges.ca_pem, f"login,upn,extension\nada,{ADA},1001\n")
    address, key_file, on = (
        f"Relay.Address = {edges.address}",
        "Relay.KeyFile = suite.key",
        "MSTeamsPresence.Enable = 1",
    )
    admin.write("MSTeamsPresence.Enable = 0")
    async with admin.premises.agent(), listening(admin.console):
        await admin.sees("disabled")
        await admin.shows(ada="no_source")
        admin.write("; MSTeamsPresence.Enable is 0 when it is left out", address, key_file)
        await eventually(
            lambda: caplog.text.count("a new version") == 0 and "psk_" in caplog.text
        )  # the key file is empty
        assert admin.console.sources["MSTeams"]["state"] == "disabled"
        admin.write(on)
        await admin.sees("server_not_configured", "Relay.Address")
        await admin.shows(ada="no_source")
        admin.write(on, address)
        await admin.sees("credentials_not_found", "Relay.KeyFile")

        key = tmp_path / "suite.key"
        key.write_text("psk_0000aaaa_nobodysk3y")
        admin.write(on, address, key_file)
        await admin.sees("connection_error", edges.address)  # the relay is not there yet
        await admin.shows(ada="pending")
        async with running(relay, edges) as tenant:
            await admin.sees("credentials_not_found", "Copy the key again")
            await admin.shows(ada="credentials_not_found")
            key.write_text(await edges.key(tenant))
            await admin.sees("up_and_running")
            await admin.shows(ada="available")
            relay.microsoft.set_presence(ADA, "Busy", "InACall")
            await admin.shows(ada="in_a_call")

            # SipSimple wins by default, and Teams counts as long as SIP knows nobody.
            async with httpx.AsyncClient(trust_env=False) as client:
                away = [{"user": "ada", "state": "away", "sequence": 1}]
                await client.post(f"{admin.premises.url}/v1/presence", json={"states": away})
            await eventually(lambda: admin.console.users["ada"]["sources"].get("Local"))
            assert admin.console.users["ada"]["rich"] == {"state": "in_a_call", "source": "MSTeams"}
            for winner, shown in (("Local", "away"), ("MSTeams", "in_a_call")):
                admin.write(on, address, key_file, f"RichPresence.WinningTechnology = {winner}")
                await admin.shows(ada=shown)

            # A telephone system's state stands beside it.
            async with httpx.AsyncClient(trust_env=False) as client:
                busy = [{"user": "1001", "state": "forwarded_to_voicemail", "sequence": 1}]
                await client.post(f"{admin.premises.url}/v1/telephony", json={"states": busy})
            await admin.shows(ada="forwarded_to_voicemail")
            assert admin.console.users["ada"]["rich"]["state"] == "in_a_call"

            held = (await SuiteKeys(relay.store, MARKS).list(tenant))[0]
            await SuiteKeys(relay.store, MARKS).revoke(held.key_id)
            await admin.sees("forbidden", f"Create a new one on the relay's onboarding page. (Key id {held.key_id}.)")
            await eventually(lambda: admin.console.users["ada"]["sources"]["MSTeams"]["reason"] == "forbidden")
            key.write_text(await edges.key(tenant))
            await admin.sees("up_and_running")
        await admin.sees("connection_error")
    assert "Key id" in caplog.text
    assert key.read_text() not in caplog.text


async def test_the_consent_and_the_words_for_users(relay: Relay, edges: Edges, tmp_path: Path):
    names = {"ada": ADA, "ben": BEN, "zoe": ZOE, "chloe": CHLOE, "nobody": "nobody@contoso.example"}
    rows = "".join(f"{login},{upn},\n" for login, upn in names.items())
    admin = Administrator(tmp_path, edges.ca_pem, f"login,upn,extension\n{rows}phone only,,1009\n")
    tenant = await relay.onboard()
    (tmp_path / "suite.key").write_text(await edges.key(tenant))
    admin.write("MSTeamsPresence.Enable = 1", f"Relay.Address = {edges.address}", "Relay.KeyFile = suite.key")
    relay.microsoft.add_person(tenant, "99999999-0000-4000-8000-000000000001", ZOE, "Zoe", licensed=False)
    await settle(relay, tenant, **{WATCH_NEVER: CHLOE})
    async with admin.premises.agent(), listening(admin.console), edges.edge():
        await eventually(lambda: admin.console.status_of("ada") == "pending")  # nobody has read her yet
        async with relay.working():
            await admin.sees("up_and_running")
            await admin.shows(ada="available", nobody="not_found", zoe="not_reported", chloe="not_permitted")
            assert admin.console.status_of("phone only") == "no_source"

            relay.microsoft.directory.revoke(RELAY_ACCOUNT, access_tokens=True)
            await admin.sees("forbidden", "must renew it on the relay's page")
            await admin.shows(ada="consent_required", ben="consent_required")
            await relay.onboard_again()
            await admin.sees("up_and_running")
            await admin.shows(ada="available", ben="available")

            await relay.tenants.happened(tenant, TenantEvent.SUSPENDED)
            await admin.sees("forbidden", "suspended")
            await admin.shows(ada="suspended")
            await relay.tenants.happened(tenant, TenantEvent.RESUMED)
            await admin.sees("up_and_running")
            await admin.shows(ada="available")
