"""The names and answers that a client holds, and the form in which another client continues from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suite.values import Presence, Status


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for a user: a presence, or the status that explains why there is none. Exactly one of them is None."""

    presence: Presence | None
    status: Status | None
    is_uncertain: bool = False
    """True for an answer from before a reset that the relay has not confirmed yet: show it as uncertain."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolution of a name: a user, or the status that explains why there is none. Exactly one of them is None."""

    user_id: str | None
    status: Status | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The names and answers of a client at one moment. A client that starts with them receives only what has changed since.

    Attributes:
        token: the resume token of one organisation, valid only with these names and answers; empty for none.
        names: name -> its resolution.
        answers: user_id -> the answer, for each user that a name resolved to.
    """

    token: str = field(default="", repr=False)
    names: Mapping[str, Resolution] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
