"""The relay gone for an hour, scaled: what consoles of an agent that nobody restarts are shown meanwhile, and afterwards."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest

from suite.agent.sources import doubt, teams
from tests.e2e.conftest import Edges
from tests.suite.agent.agents import Premises
from tests.suite.agent.consoles import Console, listening
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.worker.conftest import Relay

pytestmark = pytest.mark.long

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


class Witness(Console):
    """A console that remembers all that it ever showed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.history: dict[str, list[str | None]] = {}

    def _take(self, name: str, data: dict[str, Any]) -> None:
        super()._take(name, data)
        if name == "state":
            shown = self.history.setdefault(data["user"], [])
            if shown[-1:] != [self.status_of(data["user"])]:
                shown.append(self.status_of(data["user"]))


def without_pending(history: list[str | None]) -> list[str | None]:
    """What was shown but for `pending`: the relay says so before it has read somebody, also after nobody watched for a while."""
    return [one for one, _ in itertools.groupby(shown for shown in history if shown != "pending")]


async def test_consoles_show_uncertain_then_unknown_with_the_reason_then_the_right_presence_and_nothing_is_restarted(
    relay: Relay, edges: Edges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(doubt, "UNCERTAIN_AFTER_S", 0.4)
    monkeypatch.setattr(teams, "TICK_S", 0.05)
    tenant = await relay.onboard()
    premises = Premises(tmp_path, edges.address, free_port(), more="UnknownAfter = 2s")
    rows = f"login,upn,extension\nada,{ADA},1001\nben,{BEN},1002\nphone,,1003\n"
    premises.write(rows, edges.ca_pem, await edges.key(tenant))
    one, other = Witness(premises.url), Witness(premises.url)
    both = (one, other)

    def all_show(**users: str) -> bool:
        return all(console.status_of(user) == shown for console in both for user, shown in users.items())

    async with (
        relay.working(),
        premises.agent(),
        listening(one),
        listening(other, f"?user={ADA}&user=ben"),
    ):
        async with edges.edge():
            await eventually(lambda: all_show(ada="available", ben="available"))
        relay.microsoft.set_presence(ADA, "Busy")
        await eventually(lambda: all_show(ada="connection_error", ben="connection_error"))
        assert one.sources["MSTeams"]["state"] == "connection_error"
        async with httpx.AsyncClient(trust_env=False) as pbx:
            busy = [{"user": extension, "state": "busy", "sequence": 1} for extension in ("1002", "1003")]
            await pbx.post(f"{premises.url}/v1/telephony", json={"states": busy})
        await eventually(lambda: all_show(ben="on_the_phone") and one.status_of("phone") == "on_the_phone")
        async with edges.edge():
            await eventually(lambda: all_show(ada="busy") and one.users["ben"]["rich"]["state"] == "available")
    for console in both:
        shown = {user: without_pending(console.history[user]) for user in ("ada", "ben")}
        until_gone = ["available", "available?", "connection_error"]
        assert {user: history[history.index("available") :] for user, history in shown.items()} == {
            "ada": [*until_gone, "busy"],
            "ben": [*until_gone, "on_the_phone"],
        }
        assert console.seen.count("everything") == 1
