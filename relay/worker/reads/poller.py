"""Bulk reads of users. When Graph refuses one, the reason may be one of the ids or none of them: smaller reads find out.

First some users are asked for alone who were answered a moment ago. If they are refused too, the ids are not the reason: everybody
keeps their answer, and the next read tries again. If they are answered, the others are asked for in smaller and smaller parts,
until the users are found whose ids are refused alone.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from relay.core.presence import Status
from relay.errors import AccessDenied, LeaseLost, RelayError, RequestRefused, SourceThrottled, SourceUnreachable
from relay.graph.presence.presences import PageHashes, read_presences

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from relay.core.presence import Observation, UserId
    from relay.graph.client import GraphClient, TokenSource
    from relay.graph.presence.presences import PresencePage

MOST_REQUESTS: Final = 100
"""Requests for finding ids, in one read. One bad id among 650 takes 50; ids that are not found yet are searched with the next read."""
_AT_ONCE: Final = 4
"""Parts asked for at a time, so that a part that hangs delays the others less."""
_WELL_ONES: Final = 2
_ANY_ONES: Final = 3
"""How many are asked for alone at first: of those who were well, or of any where nobody was."""


@dataclass(slots=True)
class PollResult:
    """The outcome of one bulk read.

    Attributes:
        observations: of users whose entry is new; see `graph.presences.Page`.
        omitted: users that Graph left out.
        left_out: users that Graph left out of an answer although more was to follow: they may be there.
        refused: user whose id Graph refuses alone, while others are answered or nobody was well -> what that means for the user.
        unanswered: users about whom this read shows nothing.
        trouble: why not; None where everybody was answered or refused.
        page: what Graph said of all of them, when it was one answer; to be kept as seen once it is accepted.
        at_once: users of the greatest request that was answered.
        too_many: users of a request that Graph refused though it answers for each of them; 0 where there was none.
    """

    observations: list[Observation] = field(default_factory=list)
    omitted: list[UserId] = field(default_factory=list)
    left_out: list[UserId] = field(default_factory=list)
    refused: dict[UserId, Status] = field(default_factory=dict)
    unanswered: list[UserId] = field(default_factory=list)
    trouble: RelayError | None = None
    page: PresencePage | None = None
    at_once: int = 0
    too_many: int = 0

    def add(self, page: PresencePage) -> None:
        """Take in an answer."""
        self.observations += page.observations
        (self.omitted if page.is_whole else self.left_out).extend(page.omitted)
        self.unanswered += page.unanswered
        self.trouble = self.trouble or page.trouble


async def read(
    client: GraphClient,
    token: TokenSource,
    users: Sequence[UserId],
    seen: PageHashes | None,
    spend: Callable[[int], Awaitable[None]],
    is_well: Callable[[UserId], bool],
    turn: Callable[[], Awaitable[None]],
    *,
    is_stubborn: bool = False,
    most: int | None = None,
) -> PollResult:
    """Read users, and find out whose ids are the reason when Graph refuses.

    Args:
        client: of all tenants.
        token: of this tenant.
        users: at most a page.
        seen: what the last page of these users said, to be told only what is new.
        spend: waits until the budget allows another read of so many users; the first read is paid for already.
        is_well: whether Graph answered for a user a moment ago.
        turn: waits until an answer with something new may be decoded.
        is_stubborn: whether these users could not be read several times in a row: then an id may also be the reason why Graph
            breaks or does not answer.
        most: users that one request may ask for, where Graph has refused more a moment ago; None: all.

    Raises:
        RelayError: as `read_presences` says, when Graph answers for nobody.
    """
    found = PollResult()
    search = _Search(client, token, spend, is_well, found, is_stubborn=is_stubborn)
    first, rest = users[:most], [] if most is None else users[most:]
    try:
        page = await read_presences(client, token, first, None if rest else seen, partial(spend, 1), turn)
    except RelayError as error:
        if not _may_be_an_id(error, is_stubborn=is_stubborn):
            raise
        await search.find(users, len(first), error)
        return found
    found.add(page)
    found.at_once = len(first)
    if rest:
        await search.ask_for(_chunks(rest, len(first)))
    else:
        found.page = page if page.is_whole else None
    return found


class _Search:
    """The search for the users who make Graph refuse a whole page."""

    def __init__(
        self,
        client: GraphClient,
        token: TokenSource,
        spend: Callable[[int], Awaitable[None]],
        is_well: Callable[[UserId], bool],
        found: PollResult,
        *,
        is_stubborn: bool,
    ) -> None:
        self._client = client
        self._token = token
        self._spend = spend
        self._is_well = is_well
        self._found = found
        self._is_stubborn = is_stubborn
        self._left = MOST_REQUESTS

    async def find(self, users: Sequence[UserId], size: int, error: RelayError) -> None:
        """Fill what was found when `size` of them were refused; raises `error` when Graph refuses also those who were well."""
        well = [user for user in users if self._is_well(user)]
        first = random.sample(well, min(_WELL_ONES, len(well))) or random.sample(
            list(users), min(_ANY_ONES, len(users))
        )
        asked: dict[UserId, RelayError | None] = {}
        for user in first:
            # One who is alone anyway was asked for just now.
            asked[user] = error if len(users) == 1 else await self._ask([user])
            if asked[user] is None:
                break
        is_answered = None in asked.values()
        # That Graph breaks is nobody's fault until it is seen to answer for somebody.
        if not is_answered and (well or isinstance(error, SourceUnreachable)):
            raise error
        for user, refusal in asked.items():
            self._refused(user, refusal)
        rest = [user for user in users if user not in asked]
        if is_answered:
            await self.ask_for(_parts(rest))
            if not self._found.refused and self._found.trouble is None and isinstance(error, RequestRefused):
                self._found.too_many = size
        elif rest:
            self._unanswered(rest, error)

    async def ask_for(self, wanted: Iterable[Sequence[UserId]]) -> None:
        """Ask for each part by itself, and again in smaller ones where it is refused because of an id."""
        parts = deque(wanted)
        while parts:
            if self._left <= 0:
                self._unanswered(
                    [user for part in parts for user in part], SourceUnreachable("Graph refuses too many ids")
                )
                return
            some = [parts.popleft() for _ in range(min(_AT_ONCE, self._left, len(parts)))]
            for part, error in zip(some, await asyncio.gather(*map(self._ask, some)), strict=True):
                if error is None:
                    continue
                if not _may_be_an_id(error, is_stubborn=self._is_stubborn):
                    self._left = 0
                    self._unanswered(part, error)
                elif len(part) == 1:
                    self._refused(part[0], error)
                else:
                    parts.extend(_parts(part))

    async def _ask(self, users: Sequence[UserId]) -> RelayError | None:
        """Take in what Graph says of these users; returns why it does not answer."""
        self._left -= 1
        await self._spend(len(users))
        try:
            page = await read_presences(self._client, self._token, users, None, partial(self._spend, 1))
        except LeaseLost:
            raise
        except RelayError as error:
            return error
        self._found.add(page)
        self._found.at_once = max(self._found.at_once, len(users))
        return None

    def _refused(self, user: UserId, error: RelayError | None) -> None:
        if isinstance(error, AccessDenied):
            self._found.refused[user] = Status.ACCESS_DENIED
        elif isinstance(error, RequestRefused):
            self._found.refused[user] = Status.NOT_REPORTED
        elif error is not None and _may_be_an_id(error, is_stubborn=self._is_stubborn):
            self._found.refused[user] = Status.SOURCE_UNREACHABLE
        elif error is not None:
            self._unanswered([user], error)

    def _unanswered(self, users: Iterable[UserId], error: RelayError) -> None:
        self._found.unanswered += users
        self._found.trouble = self._found.trouble or error


def _may_be_an_id(error: RelayError, *, is_stubborn: bool) -> bool:
    if isinstance(error, RequestRefused | AccessDenied):
        return True
    return is_stubborn and isinstance(error, SourceUnreachable) and not isinstance(error, SourceThrottled)


def _parts(users: Sequence[UserId]) -> list[Sequence[UserId]]:
    """Some parts of a few users each: two rounds lead from a page to single users."""
    return _chunks(users, math.isqrt(max(0, len(users) - 1)) or 1)


def _chunks(users: Sequence[UserId], size: int) -> list[Sequence[UserId]]:
    return [users[start : start + size] for start in range(0, len(users), size)]
