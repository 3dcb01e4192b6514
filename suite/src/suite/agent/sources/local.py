"""Telephony and rich presence that local programs send to the agent: PBX connectors, TAPI bridges, scripts.

Each state has its connector's sequence number, so that a delayed older state is ignored, and a lifetime, so that a colleague does not
stay on the phone when the connector dies. Times are of the monotonic clock, so setting the machine's clock has no effect.
"""

from __future__ import annotations

import enum
import heapq
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import (
    PhoneSource,
    RichState,
    RichStatement,
    SourceName,
    TelephonyState,
    TelephonyStatement,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from suite.agent.board import Board
    from suite.names import Key

MOST_CONNECTORS: Final = 100
"""Connectors whose sequence numbers are stored; further connectors are refused."""


class Taken(enum.StrEnum):
    """The outcome of one state that a connector sent."""

    ACCEPTED = "accepted"
    OUTDATED = "outdated"
    UNKNOWN_USER = "unknown_user"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldState:
    """One state that a connector sent.

    Attributes:
        user: login, UPN, SIP address or extension.
        sequence: greater than in every earlier state of this user from the connector.
        lifetime: time after which the state is withdrawn, unless another one comes.
    """

    user: str
    state: TelephonyState | RichState
    sequence: int
    lifetime: timedelta


class TooManyConnectors(Exception):
    """More than `MOST_CONNECTORS` connectors send states."""


class LocalStates:
    """The states that connectors sent, and their expiry."""

    def __init__(self, board: Board, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock
        self._sequences: dict[str, dict[tuple[Key, type], int]] = {}
        self._latest: dict[tuple[Key, type], int] = {}
        """Colleague and kind -> number of the newest statement, so that an older one's end does not end it."""
        self._ends: list[tuple[float, int, Key, type]] = []
        self._statements = 0

    def tell(self, connector: str, told: ToldState) -> Taken:
        """Take one state.

        Raises:
            TooManyConnectors: `MOST_CONNECTORS` other connectors have sent states.
        """
        found = self._board.find(told.user)
        if found is None:
            return Taken.UNKNOWN_USER
        if connector not in self._sequences and len(self._sequences) >= MOST_CONNECTORS:
            raise TooManyConnectors
        key, kind = found[0], type(told.state)
        sequences = self._sequences.setdefault(connector, {})
        if told.sequence <= sequences.get((key, kind), -1):
            return Taken.OUTDATED
        sequences[key, kind] = told.sequence
        self._statements += 1
        self._latest[key, kind] = self._statements
        heapq.heappush(self._ends, (self._clock() + told.lifetime.total_seconds(), self._statements, key, kind))
        self._drop_superseded()
        self._state(key, told.state)
        return Taken.ACCEPTED

    def expire(self) -> None:
        """Withdraw the states whose lifetime has ended."""
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            _, number, key, kind = heapq.heappop(self._ends)
            if self._latest.get((key, kind)) != number:
                continue
            del self._latest[key, kind]
            if kind is TelephonyState:
                self._board.state_telephony(key, PhoneSource.LOCAL, None)
            else:
                self._board.state_rich(key, SourceName.LOCAL, None)

    def _state(self, key: Key, state: TelephonyState | RichState) -> None:
        now = datetime.now(UTC)
        if isinstance(state, TelephonyState):
            self._board.state_telephony(key, PhoneSource.LOCAL, TelephonyStatement(state=state, since=now))
        else:
            reason = "" if state is not RichState.UNKNOWN else "told_unknown"
            self._board.state_rich(key, SourceName.LOCAL, RichStatement(state=state, reason=reason, since=now))

    def _drop_superseded(self) -> None:
        """Keep the heap within twice the number of current states, however often they are sent."""
        if len(self._ends) > 2 * len(self._latest) + 100:
            self._ends = [end for end in self._ends if self._latest.get((end[2], end[3])) == end[1]]
            heapq.heapify(self._ends)
