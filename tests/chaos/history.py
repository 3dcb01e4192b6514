"""What there was to see of each user at Graph, in order: each presence a suite was shown has its place there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.chaos.record import Person, Record, Truth


class Look(NamedTuple):
    """How somebody is seen; `number` is empty where Microsoft says none."""

    availability: str
    activity: str
    number: str = ""

    def fits(self, truth: Truth) -> bool:
        """Return whether this may be what there was to see."""
        if self.number and truth.number and self.number != truth.number:
            return False
        return (truth.availability, truth.activity) == (self.availability, self.activity)


class History:
    """The truths of a record.

    Attributes:
        people: user -> who they are.
        users: name -> user.
    """

    def __init__(self, record: Record) -> None:
        self.people = {person.user: person for person in record.of(Person)}
        self.users = {person.name: person.user for person in record.of(Person)}
        self._truths: dict[str, list[Truth]] = {}
        for truth in record.of(Truth):
            self._truths.setdefault(truth.user, []).append(truth)

    def of(self, user: str) -> Sequence[Truth]:
        """Return how a user was to be seen, oldest first."""
        return self._truths.get(user, ())

    def at(self, user: str, at: float) -> Truth | None:
        """Return how a user was to be seen at an instant."""
        return next((truth for truth in reversed(self.of(user)) if truth.at <= at), None)

    def name(self, user: str) -> str:
        """Return a user's name, or the id of a stranger."""
        return self.people[user].name if user in self.people else user

    def first_place(self, user: str, look: Look, least: int = 0) -> int | None:
        """Return the earliest place, not before `least`, that explains what is seen. Where the same presence comes back and no
        number tells which one it is, that is the most lenient explanation."""
        truths = self.of(user)
        return next((place for place in range(least, len(truths)) if look.fits(truths[place])), None)

    def last_place(self, user: str, look: Look) -> int | None:
        """Return the latest place that explains what is seen."""
        truths = self.of(user)
        return next((place for place in reversed(range(len(truths))) if look.fits(truths[place])), None)

    def over_since(self, user: str, look: Look) -> float | None:
        """Return when what is seen was over; None when it is the present, or never was."""
        last = self.last_place(user, look)
        truths = self.of(user)
        return truths[last + 1].at if last is not None and last + 1 < len(truths) else None
