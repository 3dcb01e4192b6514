"""The log of the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.settings import kinds
from suite.agent.settings.setting import Setting

if TYPE_CHECKING:
    from pathlib import Path

    from suite.agent.settings.given import Given

SETTINGS: Final = (
    Setting(
        section="Agent",
        name="LogFile",
        kind=kinds.PATH,
        default="",
        meaning="File of the log. Only the agent's account can read it.",
        when_absent="standard error",
    ),
    Setting(
        section="Agent",
        name="LogMegabytes",
        kind=kinds.whole(1, 1000),
        default="10",
        meaning="Size at which the log file is renamed to `.1`, and a new one begins.",
    ),
    Setting(
        section="Agent",
        name="LogFiles",
        kind=kinds.whole(1, 100),
        default="5",
        meaning="Renamed log files that are kept. The oldest one is deleted.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """The log: its file, None for standard error; its size, and the number of older files that are kept."""

    file: Path | None = None
    megabytes: int = 10
    files: int = 5


def read_log(given: Given) -> LogSettings:
    """Return the settings."""
    get = given.value
    named = get("Agent.LogFile")
    return LogSettings(
        file=given.beside(named) if named else None,
        megabytes=get("Agent.LogMegabytes"),
        files=get("Agent.LogFiles"),
    )
