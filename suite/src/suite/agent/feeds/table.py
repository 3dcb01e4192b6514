"""The states that feeds send as a table, for the documentation."""

from __future__ import annotations

from suite.agent.core.values import RichState
from suite.agent.feeds.states import device_state, presence_state


def asterisk_table() -> str:
    """Return a table in Markdown: a row for each rich state, with the device state and the presence state that Asterisk is sent."""
    rows = [["rich presence", "device", "device, `LampFor = calls`", "presence", "subtype", "message"], ["---"] * 6]
    for state in RichState:
        presence = presence_state(state)
        devices = [device_state(state).value, device_state(state, "calls").value]
        rows.append([f"**{state.value}**", *devices, presence.state, presence.subtype, presence.message])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
