"""The schedule of changes: the instant and the bytes of each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.core.presence import Availability, ConsoleStatus, Presence, Source, TenantId, UserId
from relay.wire.encode import encode_presence

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK_CHARS: Final = 4
INITIAL: Final = "~I~~"
WARM: Final = "~W~~"
MEASURED: Final = "~M~~"
"""The beginning of the stamp inside an item's bytes, by which readers count received items."""

USERS: Final = 500
"""Watched users of a tenant, enough that none changes twice within the time for which answers are gathered."""
PAGE_S: Final = 0.05
"""Between two pages of a tenant, when changes come in pages."""

_DIGITS: Final = 19
_PLACE: Final = "@" * (MARK_CHARS + _DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One load: tenants, suites of each, and changes a second.

    Attributes:
        tenants: number of tenants.
        suites: streams of each, all watching all users of the tenant.
        rate: total deliveries a second.
        pages: whether several changes of a tenant come at once, every `PAGE_S`; otherwise each comes separately.
    """

    tenants: int
    suites: int
    rate: int
    pages: bool = False

    def __str__(self) -> str:
        return f"{self.tenants}x{self.suites} at {self.rate:,}/s, changes come {'in pages' if self.pages else 'singly'}"

    @property
    def key(self) -> str:
        """Return a short name of the load."""
        return f"{self.tenants}x{self.suites}@{self.rate}" + ("/pages" if self.pages else "")

    @property
    def streams(self) -> int:
        """Return the number of streams of all tenants."""
        return self.tenants * self.suites

    @property
    def together(self) -> int:
        """Changes of one tenant at one instant."""
        return max(1, round(self.rate / self.streams * PAGE_S)) if self.pages else 1

    @property
    def period_s(self) -> float:
        """Return the seconds between two instants of a tenant."""
        return self.together * self.streams / self.rate

    def instants(self, seconds: float) -> int:
        """Return the number of instants of each tenant in this time."""
        return max(1, round(seconds / self.period_s))

    def deliveries(self, seconds: float) -> int:
        """Return the number of deliveries of these changes."""
        return self.instants(seconds) * self.together * self.streams


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one tenant that are processed together.

    Attributes:
        after_s: the time when they are processed.
        tenant: the tenant.
        due: (user, time of the change) for each.
    """

    after_s: float
    tenant: int
    due: list[tuple[int, float]]


def changes(point: Point, seconds: float, tenants: range, gather_s: float = 0.0) -> Iterator[Changes]:
    """Yield all changes of some tenants in the order of time; tenants are spread evenly over the period.

    Args:
        point: the load.
        seconds: the duration.
        tenants: the tenants.
        gather_s: interval at which single changes are processed together; 0: each at once.
    """
    at_once = 1 if point.pages else max(1, round(gather_s / point.period_s))
    for first in range(0, point.instants(seconds), at_once):
        steps = range(first, min(first + at_once, point.instants(seconds)))
        for tenant in tenants:
            phase = tenant / point.tenants
            due = [
                ((step * point.together + n) % USERS, (step + phase) * point.period_s)
                for step in steps
                for n in range(point.together)
            ]
            # Gathered changes wait for the end of the interval, including the last one.
            wait = first + at_once if at_once > 1 else first
            yield Changes((wait + phase) * point.period_s, tenant, due)


def tenant_id(number: int) -> TenantId:
    """Return the id of a tenant."""
    return TenantId(str(uuid.uuid5(uuid.NAMESPACE_DNS, f"tenant-{number}.bench")))


def user_id(number: int) -> UserId:
    """Return the id of a user; all tenants have the same user ids."""
    return UserId(f"aaaaaaaa-0000-4000-8000-{number:012x}")


class Items:
    """The encoded answers of all users, except for the stamp that each change sets."""

    def __init__(self) -> None:
        self._halves = [_item(number).split(_PLACE.encode()) for number in range(USERS)]

    def item(self, user: int, mark: str, due_ns: int) -> bytes:
        """Return a user's answer, stamped with the instant (of the monotonic clock) at which it was due."""
        first, rest = self._halves[user]
        return first + f"{mark}{due_ns:0{_DIGITS}d}".encode() + rest


def _item(number: int) -> bytes:
    return encode_presence(
        Presence(
            user_id=user_id(number),
            upn=f"person.number{number}@contoso.example",
            availability=Availability.BUSY,
            raw_availability="Busy",
            raw_activity="InACall",
            idle=False,
            idle_time=None,
            console_status=ConsoleStatus.IN_A_CALL,
            status_message=None,
            out_of_office=None,
            observe_time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            source=Source.POLL,
            sequence_number=_PLACE,
        )
    )
