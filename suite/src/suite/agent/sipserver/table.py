"""The states that phones show as a table, for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from suite.agent.core.values import Aggregation, RichState, ShownStatus
from suite.agent.sipserver.states import phone_state
from suite.agent.sipserver.words import word_of

if TYPE_CHECKING:
    from suite.agent.sipserver.states import PhoneState

_HEAD: Final = ["state", "reachable", "RPID", "note", "lamp", "lamp, `LampFor=calls`"]


def phones_table() -> str:
    """Return a table in Markdown: a row for each state that consoles show."""
    rows = [_row(status) for status in ShownStatus]
    lines = [_HEAD, ["---"] * len(_HEAD), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _row(status: ShownStatus) -> list[str]:
    shown = Aggregation(status=status, rich=RichState.AVAILABLE)
    state, calls_only = phone_state(shown, "busy"), phone_state(shown, "calls")
    name = f"`{status.value}`"
    if state is None or calls_only is None:
        return [name, "no document", "", "", "no document, or no dialog", "the same"]
    word = word_of(status, "en")
    if status in (ShownStatus.FORWARDED_TO_NUMBER, ShownStatus.FORWARDED_TO_VOICEMAIL):
        return [name, "as rich presence", "as rich presence", word, "as rich presence", "as rich presence"]
    return [
        name,
        "`open`" if state.is_open else "`closed`",
        _rpid(state),
        word,
        f"`{state.lamp}`",
        f"`{calls_only.lamp}`",
    ]


def _rpid(state: PhoneState) -> str:
    elements = [f"`<rpid:{name}/>`" for name in sorted(state.activities)]
    return " ".join([*elements, *(["`<rpid:user-input>idle</rpid:user-input>`"] if state.is_idle else [])])
