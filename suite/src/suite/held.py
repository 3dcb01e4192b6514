"""The answers and names that a client holds, also for another one that goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suite.values import Presence, Status


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for a user: a presence, or the status that says why there is none. Exactly one of them is None."""

    presence: Presence | None
    status: Status | None
    is_uncertain: bool = False
    """True for an answer from before a reset that the relay has not confirmed yet: show it as uncertain."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolution of a name: a user, or the status that says why there is none. Exactly one of them is None."""

    user_id: str | None
    status: Status | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The names and answers of a client at one moment. A client that is given them asks the relay only for what has changed since.

    Attributes:
        token: the resume token, which belongs to one organisation and goes with these names and answers only; empty for none.
        names: name -> its resolution.
        answers: user_id -> the answer, of each user that a name stands for.
    """

    token: str = field(default="", repr=False)
    names: Mapping[str, Resolution] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
