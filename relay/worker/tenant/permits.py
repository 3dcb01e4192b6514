"""Whom of a tenant's users the worker may read: the tenant's rule applied to what is known of each user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.core.presence import Presence, Status
from relay.core.watching.permission import EVERYBODY, Permission

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.core.presence import UserId
    from relay.worker.reads.answers import Answers
    from relay.worker.tenant.names import Names


class Permits:
    """Applies the rule, and keeps the list of barred users of `Answers`. Does no I/O.

    A user about whom nothing can be decided before the canonical UPN is known is barred too, as PENDING.
    """

    def __init__(self, names: Names, answers: Answers) -> None:
        self.rule: Permission = EVERYBODY
        self._names = names
        self._answers = answers

    def judge(self, users: Iterable[UserId]) -> tuple[list[UserId], dict[UserId, Status]]:
        """Judge users by what is known of them now.

        Returns:
            Those who may be read, and those who may not with what they have instead.
        """
        permitted: list[UserId] = []
        barred: dict[UserId, Status] = {}
        for user in users:
            verdict = (
                self.rule.permits(user, self._upn(user), self._names.of(user)) if self.rule.is_restricted else True
            )
            if verdict:
                permitted.append(user)
            else:
                barred[user] = Status.PENDING if verdict is None else Status.NOT_PERMITTED
        for user in permitted:
            self._answers.barred.pop(user, None)
        self._answers.barred.update(barred)
        return permitted, barred

    def _upn(self, user: UserId) -> str:
        answer = self._answers.of(user)
        return self._names.upns.get(user) or (answer.upn if isinstance(answer, Presence) else "")
