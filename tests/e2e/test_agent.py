"""The agent beside a suite, against a whole relay: settings file, colleagues and console, as a customer has them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Edges, running
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

ADA, BEN = "ada@contoso.example", "ben@contoso.example"
COLLEAGUES = f"login,upn,extension\nada,{ADA},1001\nben,{BEN},1002\nnobody,nobody@contoso.example,1003\n"


@pytest.mark.long
async def test_consoles_of_the_agent_show_teams_and_phones_and_know_them_again_after_a_restart(
    relay: Relay, edges: Edges, tmp_path: Path
):
    async with running(relay, edges) as tenant:
        premises = Premises(tmp_path, edges.address, free_port())
        premises.write(COLLEAGUES, edges.ca_pem, await edges.key(tenant))
        console = Console(premises.url)
        async with premises.agent(), listening(console):
            await eventually(lambda: console.status_of("ada") == console.status_of("ben") == "available")
            await eventually(lambda: console.status_of("nobody") == "not_found")
            relay.microsoft.set_presence(ADA, "DoNotDisturb")
            await eventually(lambda: console.status_of("ada") == "do_not_disturb")
            async with httpx.AsyncClient(trust_env=False) as pbx:
                busy = [{"user": extension, "state": "busy", "sequence": 1} for extension in ("1001", "1002")]
                await pbx.post(f"{premises.url}/v1/telephony", json={"states": busy})
            await eventually(lambda: console.status_of("ben") == "on_the_phone")
            assert console.status_of("ada") == "do_not_disturb"
            relay.microsoft.set_presence(BEN, "Away")
            await eventually(lambda: console.users["ben"]["rich"]["state"] == "away")
            assert console.status_of("ben") == "on_the_phone"  # a phone that is busy is not overwritten
        relay.microsoft.set_presence(BEN, "BeRightBack")
        async with premises.agent(), listening(console):
            await eventually(
                lambda: (console.status_of("ada"), console.status_of("ben")) == ("do_not_disturb", "be_right_back")
            )
