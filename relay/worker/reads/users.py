"""The users of one tenant under its settings: those that may be read, and the fields that suites may have. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.core.presence import Presence, Status
from relay.core.reading.acceptance import Disclosure
from relay.core.watching.permission import EVERYBODY, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from relay.core.presence import Name, UserId
    from relay.core.reading.acceptance import Answer


class UserBook:
    """The tenant's rules for its users, and the list of those who may not be read.

    A user about whom nothing can be decided before the canonical UPN is known is barred too, as PENDING.

    Attributes:
        rule: who may be watched.
        disclosure: the fields that suites may have.
        barred: user who has no presence here whatever Microsoft says -> the status in its place.
    """

    def __init__(self, rule: Permission = EVERYBODY, disclosure: Disclosure | None = None) -> None:
        self.rule = rule
        self.disclosure = disclosure or Disclosure()
        self.barred: dict[UserId, Status] = {}

    def restrict(self, rule: Permission) -> None:
        """Put another rule in force; users must be judged again."""
        self.rule = rule

    def disclose(self, disclosure: Disclosure) -> None:
        """Let suites have other fields from now on."""
        self.disclosure = disclosure

    def bars(self, user: UserId, answer: Answer) -> bool:
        """Return whether this answer must not be stored: a presence of somebody who may not be read."""
        return isinstance(answer, Presence) and user in self.barred

    def forbids(self, user: UserId) -> bool:
        """Return whether the tenant's rule forbids this user; one who is merely undecided is not forbidden."""
        return self.barred.get(user) is Status.NOT_PERMITTED

    def judge(
        self, users: Iterable[UserId], upn: Callable[[UserId], str], names: Callable[[UserId], Collection[Name]]
    ) -> tuple[list[UserId], dict[UserId, Status]]:
        """Apply the rule to users, by what is known of them now, and keep who is barred.

        Args:
            users: to be judged, for the first time or anew.
            upn: gives a user's canonical UPN; empty when it is not known.
            names: gives the names that stand for a user.

        Returns:
            Those who may be read, and those who may not with what they have instead.
        """
        permitted: list[UserId] = []
        barred: dict[UserId, Status] = {}
        for user in users:
            verdict = self.rule.permits(user, upn(user), names(user)) if self.rule.is_restricted else True
            if verdict:
                permitted.append(user)
            else:
                barred[user] = Status.PENDING if verdict is None else Status.NOT_PERMITTED
        self.forget(permitted)
        self.barred.update(barred)
        return permitted, barred

    def forget(self, users: Iterable[UserId]) -> None:
        """Take these users off the list of barred ones."""
        for user in users:
            self.barred.pop(user, None)
