"""A version of a note, the order of versions, and the bounds of all notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from suite.names import Key

TEXT_CHARS: Final = 500
AUTHOR_CHARS: Final = 100
AGENT_CHARS: Final = 64
LONGEST_LIFETIME_S: Final = 31 * 24 * 3600
HISTORY_S: Final = 24 * 3600.0
"""A version is history for a day after it ended; then nothing of its text is kept."""
MOST_SUBJECTS: Final = 20_000
"""People about whom there is a note, or was one. At the limit of each text, all notes take 40 MB, and their history as much."""
MOST_EARLIER: Final = 20_000
"""Versions that ended, of all pages together; the oldest go first."""
MOST_OF_ONE: Final = 50
"""Versions on one page. Whoever overwrites a note by a program, every second, finds its last minute in the history."""

LARGEST_STAMP: Final = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""
LATEST_MS: Final = 253_402_300_799_000
"""The end of the year 9999: a clock beyond it counts as this. Stamps can still grow 2^52 times after it."""

VersionId = tuple[Key, int, str]
"""The subject, the stamp, and the agent on which it was written: no two versions have all of them alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the note about somebody. It is the same on every agent, and never changes.

    Attributes:
        subject: whom it is about: the UPN as names are compared, or the login where there is no UPN.
        stamp: its place in the order of versions.
        agent: the agent on which it was written.
        text: empty when the note was cleared.
        author: who wrote or cleared it; may be empty.
        written_ms: time at which it was written, by that agent's clock, in milliseconds since 1970. For people only: no rule reads it.
        lifetime_s: seconds after which it is cleared; None keeps it until somebody clears it.
    """

    subject: Key
    stamp: int
    agent: str
    text: str
    author: str
    written_ms: int
    lifetime_s: int | None = None

    @property
    def id(self) -> VersionId:
        """Return what tells it from all other versions."""
        return self.subject, self.stamp, self.agent

    @property
    def order(self) -> tuple[int, str, str, str, int, int]:
        """Return its place in the order of versions of one subject; the greatest counts.

        The contents are a part of it, so that even two agents with the same id, of which one is a copy of the other's disk, agree.
        """
        lifetime_s = -1 if self.lifetime_s is None else self.lifetime_s
        return self.stamp, self.agent, self.text, self.author, self.written_ms, lifetime_s

    @property
    def is_cleared(self) -> bool:
        """Return True when it says that there is no note."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Kept:
    """A version as one agent has it.

    Attributes:
        ends: time of this agent's monotonic clock, in seconds, from which it is not shown: its lifetime is over, it was overwritten,
            or cleared. None while it is shown until somebody clears it.
    """

    version: Version
    ends: float | None

    def has_ended(self, now: float) -> bool:
        """Return True when it is not to be shown."""
        return self.ends is not None and self.ends <= now

    def is_forgotten(self, now: float) -> bool:
        """Return True when it is not even history."""
        return self.has_ended(now - HISTORY_S)


def next_stamp(now_ms: int, newest: int) -> int:
    """Return the stamp of a version that is written now.

    Args:
        now_ms: the clock, in milliseconds since 1970; it may be wrong.
        newest: the greatest stamp of the same subject; 0 when there is none.
    """
    return min(max(min(now_ms, LATEST_MS), newest + 1), LARGEST_STAMP)
