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

    A user whose case needs a canonical UPN that is not known yet is barred too, as PENDING.

    Attributes:
        rule: the users who may be watched.
        disclosure: the fields that suites may have.
        barred: user who must not be read -> the status in place of a presence.
    """

    def __init__(self, rule: Permission = EVERYBODY, disclosure: Disclosure | None = None) -> None:
        self.rule = rule
        self.disclosure = disclosure or Disclosure()
        self.barred: dict[UserId, Status] = {}

    def restrict(self, rule: Permission) -> None:
        """Apply a new rule; users must be judged again."""
        self.rule = rule

    def disclose(self, disclosure: Disclosure) -> None:
        """Set the fields that suites may have from now on."""
        self.disclosure = disclosure

    def bars(self, user: UserId, answer: Answer) -> bool:
        """Return whether this answer must not be stored, because it is a presence of a barred user."""
        return isinstance(answer, Presence) and user in self.barred

    def forbids(self, user: UserId) -> bool:
        """Return whether the tenant's rule forbids this user; an undecided user is not forbidden."""
        return self.barred.get(user) is Status.NOT_PERMITTED

    def judge(
        self, users: Iterable[UserId], upn: Callable[[UserId], str], names: Callable[[UserId], Collection[Name]]
    ) -> tuple[list[UserId], dict[UserId, Status]]:
        """Apply the rule to users with their present names, and update the list of barred users.

        Args:
            users: users to judge, for the first time or again.
            upn: returns a user's canonical UPN; empty while unknown.
            names: returns the names that stand for a user.

        Returns:
            Users who may be read; and barred user -> the status in place of a presence.
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
        """Remove these users from the list of barred users."""
        for user in users:
            self.barred.pop(user, None)
