"""The rules of a handover: what a former owner of a partition saw still holds for the next one. (Pure.)

    the former owner   page read ─────────────────────── ends ──┐            would have read it again
    the next owner                                              └─► resumes ────► reads it then: no earlier, and not later

Only what is sure is handed over: pages that Graph has answered for, without anybody who is to be read at once, or is being read. Who
is in no such page is read at once by the next owner, as after an owner that died.
"""

from __future__ import annotations

from typing import Final

from relay.core.presence import Presence, Status
from relay.core.reading.acceptance import Answer, Known

_CONFIRMED_STATUSES: Final = (Status.NOT_REPORTED,)
"""Statuses that an answer of Graph's amounts to; every other one says that there was none."""


def is_confirmed(answer: Answer | None) -> bool:
    """Return whether a stored answer is what Graph said, so that its user need not be read at once."""
    return isinstance(answer, Presence) or answer in _CONFIRMED_STATUSES


def is_as_stored(known: Known) -> bool:
    """Return whether the newest number seen of a user is the stored one: then the next owner has seen it too."""
    newest, answer = known.newest, known.answer
    return isinstance(answer, Presence) and newest.is_read and newest.number == answer.sequence_number


def is_doubted(known: Known) -> bool:
    """Return whether the latest read of a user was older than what is known, and is to be judged with those that follow."""
    return known.newest.older > 0
