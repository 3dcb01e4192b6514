"""Names of console statuses on the pages; messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.core.presence import ConsoleStatus
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS_NAMES: Final[Mapping[ConsoleStatus, str]] = {
    ConsoleStatus.UNKNOWN: english("Unknown"),
    ConsoleStatus.AVAILABLE: english("Available"),
    ConsoleStatus.AVAILABLE_IDLE: english("Available, idle"),
    ConsoleStatus.BUSY: english("Busy"),
    ConsoleStatus.BUSY_IDLE: english("Busy, idle"),
    ConsoleStatus.IN_A_CALL: english("In a call"),
    ConsoleStatus.IN_A_MEETING: english("In a meeting"),
    ConsoleStatus.DO_NOT_DISTURB: english("Do not disturb"),
    ConsoleStatus.PRESENTING: english("Presenting"),
    ConsoleStatus.FOCUSING: english("Focusing"),
    ConsoleStatus.AWAY: english("Away"),
    ConsoleStatus.BE_RIGHT_BACK: english("Be right back"),
    ConsoleStatus.OUT_OF_OFFICE: english("Out of office"),
    ConsoleStatus.OFFLINE: english("Offline"),
}
