"""The feed to Asterisk: from a whole agent to a manager with faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from presence_api.v1 import presence_pb2 as pb
from tests.suite.agent.agents import Premises
from tests.suite.agent.manager import SECRET, USER, manager
from tests.suite.agent.test_teams import tell
from tests.suite.scripted_relay import ScriptedRelay
from tests.support.valkey import free_port
from tests.support.waiting import eventually

COLLEAGUES = "login;upn;extension\nada;ada@x.org;1001\nben;ben@x.org;1002\neve;eve@x.org;\n"
ADA, BEN = "DEVICE_STATE(Custom:teams-1001)", "DEVICE_STATE(Custom:teams-1002)"
ADA_PRESENCE = "PRESENCE_STATE(CustomPresence:teams-1001)"


def section(port: int, more: str = "") -> str:
    return f"[Asterisk]\nEnable=1\nAddress=127.0.0.1:{port}\nUser={USER}\nSecretFile=ami.secret\n{more}"


@pytest.fixture
def premises(tmp_path: Path, relay: ScriptedRelay, ca_pem: bytes) -> Premises:
    made = Premises(tmp_path, f"localhost:{relay.port}", free_port())
    made.write(COLLEAGUES, ca_pem)
    (tmp_path / "ami.secret").touch(0o600)
    (tmp_path / "ami.secret").write_text(f"{SECRET}\n")
    return made


async def test_a_colleague_in_teams_lights_a_lamp_at_asterisk(premises: Premises, relay: ScriptedRelay):
    async with manager() as asterisk:
        premises.more = section(asterisk.port)
        premises.write_settings()
        async with premises.agent():
            stream = await relay.stream()
            stream.started()
            tell(stream, ada=("A", "IN_A_MEETING"), ben=("B", pb.UNKNOWN_REASON_NOT_FOUND))
            meeting = "dnd,in_a_meeting,In a meeting"
            await eventually(
                lambda: (asterisk.states.get(ADA), asterisk.states.get(ADA_PRESENCE)) == ("INUSE", meeting)
            )
            assert asterisk.states[BEN] == "UNAVAILABLE"
            assert not any("Secret" in action or "secret" in action for action in asterisk.actions)
        assert (asterisk.states[ADA], asterisk.states[ADA_PRESENCE]) == ("UNAVAILABLE", "not_set")
