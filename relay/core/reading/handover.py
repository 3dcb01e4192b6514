"""The rules of a handover: which reads of a former owner of a partition still count for the next one. (Pure.)

    the former owner   page read ─────────────────────── ends ──┐            would have read it again
    the next owner                                              └─► resumes ────► reads it then: no earlier, and not later

Only settled state is handed over: pages that Graph has answered for, without users who must be read at once or are
being read. The next owner reads all other users at once, as after an owner that died.
"""

from __future__ import annotations

from typing import Final

from relay.core.presence import Presence, Status
from relay.core.reading.acceptance import Answer, Known

_CONFIRMED_STATUSES: Final = (Status.NOT_REPORTED,)
"""Statuses that come from an answer of Graph; every other status means that there was no answer."""


def is_confirmed(answer: Answer | None) -> bool:
    """Return whether a stored answer comes from Graph, so that its user need not be read at once."""
    return isinstance(answer, Presence) or answer in _CONFIRMED_STATUSES


def is_as_stored(known: Known) -> bool:
    """Return whether the newest number seen of a user is the stored one, so that the next owner knows it too."""
    newest, answer = known.newest, known.answer
    return isinstance(answer, Presence) and newest.is_read and newest.number == answer.sequence_number


def is_doubted(known: Known) -> bool:
    """Return whether the latest read of a user was older than the known answer, so that later reads must decide."""
    return known.newest.older > 0
