"""A version of a note, the order of versions, and the limits of all notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from suite.names import Key

TEXT_CHARS: Final = 500
AUTHOR_CHARS: Final = 100
AGENT_CHARS: Final = 64
LONGEST_LIFETIME_S: Final = 31 * 24 * 3600
HISTORY_S: Final = 24 * 3600.0
"""A version is history for a day after its end. Then its text is deleted."""
MOST_SUBJECTS: Final = 20_000
"""Limit of subjects that have or had a note. With all texts at their limit, all notes take 40 MB, and their history as much."""
MOST_EARLIER: Final = 20_000
"""Limit of versions in the history of all pages. The oldest are dropped."""
MOST_OF_ONE: Final = 50
"""Limit of versions on one page. For a note that a program overwrites every second, it is the last minute."""

LARGEST_STAMP: Final = 2**53 - 1
"""The largest whole number that all JSON parsers represent exactly."""
LATEST_MS: Final = 253_402_300_799_000
"""The end of the year 9999. A clock beyond it counts as this time, and stamps can still grow 2^52 times."""

VersionId = tuple[Key, int, str]
"""The subject, the stamp and the agent that wrote it. It is unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the note about a colleague. It is the same on every agent, and never changes.

    Attributes:
        subject: the colleague's UPN in the form in which names are compared, or the login if there is no UPN.
        stamp: its position in the order of versions.
        agent: the agent that wrote it.
        text: the text; empty when the note was cleared.
        author: the user who wrote or cleared it; may be empty.
        written_ms: time of writing by that agent's clock, in milliseconds since 1970. It is only shown; no rule uses it.
        lifetime_s: seconds after which it expires; None when it stays until a user clears it.
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
        """Return its unique id."""
        return self.subject, self.stamp, self.agent

    @property
    def order(self) -> tuple[int, str, str, str, int, int]:
        """Return the sort key of versions of one subject; the greatest counts.

        It includes the contents, so that two agents with the same id, of which one runs on a copy of the other's disk, also agree.
        """
        lifetime_s = -1 if self.lifetime_s is None else self.lifetime_s
        return self.stamp, self.agent, self.text, self.author, self.written_ms, lifetime_s

    @property
    def is_cleared(self) -> bool:
        """Return True when it clears the note."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Kept:
    """A version as one agent stores it.

    Attributes:
        ends: time of this agent's monotonic clock, in seconds, at which it expires, was overwritten or was cleared. None when it stays
            until a user clears it.
    """

    version: Version
    ends: float | None

    def has_ended(self, now: float) -> bool:
        """Return True when it is not shown any more."""
        return self.ends is not None and self.ends <= now

    def is_forgotten(self, now: float) -> bool:
        """Return True when it is no longer history."""
        return self.has_ended(now - HISTORY_S)


def next_stamp(now_ms: int, newest: int) -> int:
    """Return the stamp of a version that is written now.

    Args:
        now_ms: the wall clock, in milliseconds since 1970; it may be wrong.
        newest: the highest stamp of the same subject; 0 when there is none.
    """
    return min(max(min(now_ms, LATEST_MS), newest + 1), LARGEST_STAMP)
