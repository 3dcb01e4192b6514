"""Which of two observations of one user is the newer, and whether they differ: older never overwrites newer.

The store's script that accepts observations has the same rules. A notification gets as far only when `Newest` lets it
through; one of the very version that is known says nothing; every other one merely marks its user dirty, because Graph repeats,
reorders and delays them by up to four hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from relay.core.presence import Presence


class Order(NamedTuple):
    """A poll's place among all polls of a tenant: by the owner's fencing token, then by the owner's count of polls."""

    fence: int
    poll: int


class Stamp(NamedTuple):
    """What the order of an observation follows from; `sequence_number` is empty when Microsoft gave none."""

    order: Order
    sequence_number: str = ""


def is_newer(stored: Stamp, new: Stamp) -> bool:
    """Whether `new` may replace `stored`.

    Where both have a sequence number the greater one wins, compared as strings by code point, as Microsoft
    documents ("lexicographically sortable"), and an equal one is the same presence again. Where one has none, polls alone decide:
    the later one wins.
    """
    if stored.sequence_number and new.sequence_number:
        return new.sequence_number > stored.sequence_number
    return new.order > stored.order


@dataclass(slots=True)
class Newest:
    """The newest sequence number that was seen of one user, also in reads that changed nothing.

    Without those, a delayed notification of the middle of A, B, A would be believed: B's number is greater than the stored
    one, which is the first A's. An earlier owner's are not known, so its successor believes no notification before a read.

    Attributes:
        number: the greatest one seen or stored; empty when there was none.
        is_read: this owner has read the user, and the latest read had a number.
    """

    number: str = ""
    is_read: bool = False

    def read(self, number: str) -> None:
        """A read said this number; empty when it had none. Reads of one user come in their order."""
        self.is_read = bool(number)
        self.number = max(self.number, number)

    def lets_through(self, number: str) -> bool:
        """Whether a notification with this number is accepted as it is."""
        return self.is_read and number > self.number

    def has(self, number: str) -> bool:
        """Whether a notification with this number says what is known already: a read was faster, or Graph repeats itself."""
        return self.is_read and bool(number) and number == self.number


def differs(old: Presence, new: Presence) -> bool:
    """Whether suites must be told: a difference in anything but source, observe time and sequence number."""
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
        or old.user_id != new.user_id
    )
