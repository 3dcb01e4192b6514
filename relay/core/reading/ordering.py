"""The order of two observations of one user, and their difference: older never overwrites newer.

Microsoft's sequence numbers order the answers of servers that may lag behind each other for seconds. They are not fully
reliable: Microsoft does not document whether they ever begin again, or get longer. So repeated reads with a smaller
number replace a greater one.

The script that stores observations has the same rules. A notification is stored directly only if `Newest` allows it. A
notification of the known version does nothing, and any other only causes its user to be read, because Graph repeats,
reorders and delays notifications by up to four hours.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from relay.core.presence import Presence


class Order(NamedTuple):
    """A poll's place among all polls of a tenant: by the owner's fencing token, then by the owner's count of polls."""

    fence: int
    poll: int


class Stamp(NamedTuple):
    """An observation's place in the order; `sequence_number` is empty when Microsoft gave none."""

    order: Order
    sequence_number: str = ""


def is_newer(stored: Stamp, new: Stamp, *, restarts: bool = False) -> bool:
    """Return whether a read's `new` may replace `stored`.

    Where both have a sequence number the greater one wins, compared as strings by code point, as Microsoft
    documents ("lexicographically sortable"). If the numbers are equal, or one is missing, the later read wins.
    With `restarts`, the later read also wins with a smaller number; see `Age.RESTARTED`.
    """
    if stored.sequence_number and new.sequence_number:
        if new.sequence_number > stored.sequence_number:
            return True
        if new.sequence_number < stored.sequence_number and not restarts:
            return False
    return new.order > stored.order


class Age(enum.Enum):
    """The age of a read compared with the known answer of its user, by sequence number."""

    NEWER = enum.auto()
    """The number is greater, or one of them has no number."""
    SAME = enum.auto()
    """The number is equal. The content may differ: numbers may not count every change."""
    OLDER = enum.auto()
    """The number is smaller, presumably from a server that lags: the observation is not believed yet."""
    RESTARTED = enum.auto()
    """The number is smaller, because numbers have begun again: the observation is believed."""


LAG_S: Final = 10.0
"""Time by which Graph's servers may lag behind each other. Not documented; the average notification takes this long."""
READS_IN_A_ROW: Final = 3
"""This many reads with smaller numbers, the last of them after `LAG_S`, prove that the numbers have begun again."""
LONG_LAGS: Final = 12
"""After this many times the lag, two minutes, one read proves it."""


class Newest(NamedTuple):
    """The newest sequence number seen of one user, also in reads that changed nothing. Immutable.

    Without the unchanged reads, a delayed notification of B in A, B, A would be believed: B's number is greater than
    the stored one, that of the first A. A new owner does not know the numbers that an earlier one saw, so it believes
    no notification before a read.

    Attributes:
        number: the greatest number seen or stored since numbers began again; empty without one.
        is_read: whether this owner has read the user, and the latest read had a number.
        seen: time at which this owner last saw that number or, if it never did, of its first read with a smaller one;
            None: neither.
        older: number of reads in a row that had smaller numbers.
    """

    number: str = ""
    is_read: bool = False
    seen: float | None = None
    older: int = 0

    def weigh(self, number: str, now: float, lag_s: float = LAG_S) -> tuple[Age, Newest]:
        """Judge a read by its number; return its age, and the value to keep once the read counts.

        Args:
            number: sequence number of the read; empty without one. Pass reads of one user in order.
            now: the present, in seconds of one monotonic clock.
            lag_s: longest time in seconds that one of Graph's servers may lag behind another.
        """
        is_read = bool(number)
        if number and number < self.number:
            older, seen = self.older + 1, now if self.seen is None else self.seen
            since = now - seen
            is_sure = since >= LONG_LAGS * lag_s or (older >= READS_IN_A_ROW and since >= lag_s)
            return Age.RESTARTED if is_sure else Age.OLDER, Newest(self.number, is_read, seen, older)
        if number and number == self.number:
            return Age.SAME, Newest(number, is_read, now, 0)
        return Age.NEWER, Newest(self.number, is_read, self.seen, 0)

    def taken(self, number: str, now: float) -> Newest:
        """Return the value to keep once an observation with this number is the answer; unchanged if it had no number.

        Args:
            number: a number that `weigh` or `lets_through` accepted; a smaller one only if numbers have begun again.
            now: the present, as for `weigh`.
        """
        return Newest(number, is_read=True, seen=now) if number else self

    def lets_through(self, number: str) -> bool:
        """Return whether a notification with this number is accepted directly."""
        return self.is_read and number > self.number

    def has(self, number: str) -> bool:
        """Return whether a notification with this number is already known: a read was faster, or Graph repeats itself."""
        return self.is_read and bool(number) and number == self.number


NOTHING_SEEN: Final = Newest()


def differs(old: Presence, new: Presence) -> bool:
    """Return whether suites must be sent the new one: anything but source, observe time and sequence number differs."""
    return (
        old.availability is not new.availability
        or old.idle != new.idle
        or old.raw_activity != new.raw_activity
        or old.raw_availability != new.raw_availability
        or old.console_status is not new.console_status
        or old.status_message != new.status_message
        or old.out_of_office != new.out_of_office
        or old.idle_time != new.idle_time
        or old.upn != new.upn
        or old.called != new.called
        or old.user_id != new.user_id
    )
