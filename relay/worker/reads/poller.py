"""Bulk reads of users. When Graph refuses one, the cause may be one of the ids or something else: smaller reads find out.

First, some users that Graph answered a moment ago are read alone. If they are refused too, the ids are not the cause:
all users keep their answers, and the next read tries again. If they are answered, the others are read in smaller and
smaller parts, until only users are left whose ids are refused alone.
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
"""Requests to find bad ids, in one read. One bad id among 650 takes 50; the next read continues the search."""
_AT_ONCE: Final = 4
"""Parts requested at a time, so that a part that hangs delays the others less."""
_WELL_ONES: Final = 2
_ANY_ONES: Final = 3
"""Users who are read alone first: users answered a moment ago or, without any, other users."""


@dataclass(slots=True)
class PollResult:
    """The outcome of one bulk read.

    Attributes:
        observations: observations of users whose entry is new; see `graph.presences.Page`.
        omitted: users that Graph left out.
        left_out: users that Graph left out of an incomplete answer: they may exist.
        refused: user whose id Graph refuses alone, while others are answered or none was answered before -> status of
            the user.
        unanswered: users for whom this read has no result.
        trouble: the reason for `unanswered`; None if it is empty.
        page: hashes of Graph's answer, if one answer had all users; keep them as seen once the answer is accepted.
        at_once: number of users in the greatest answered request.
        too_many: number of users in a request that Graph refused although it answers for each of them; 0 without one.
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
        """Add an answer."""
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
    """Read users, and find the ids that make Graph refuse, if it does.

    Args:
        client: the Graph client of all tenants.
        token: token source of this tenant.
        users: at most a page.
        seen: hashes of the last content of these users' page, so that only new content is returned.
        spend: waits until the budget allows another read of a number of users; the first read is already paid.
        is_well: returns whether Graph answered for a user a moment ago.
        turn: waits until an answer with new content may be decoded.
        is_stubborn: whether reads of these users failed several times in a row: then an id may also be the cause when
            Graph fails or does not answer.
        most: most users in one request, if Graph refused more a moment ago; None: all.

    Raises:
        RelayError: see `read_presences`; Graph answered for no user.
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
        """Search the users after `size` of them were refused; raise `error` if even users answered a moment ago are refused."""
        well = [user for user in users if self._is_well(user)]
        first = random.sample(well, min(_WELL_ONES, len(well))) or random.sample(
            list(users), min(_ANY_ONES, len(users))
        )
        asked: dict[UserId, RelayError | None] = {}
        for user in first:
            # A single user was requested just now.
            asked[user] = error if len(users) == 1 else await self._ask([user])
            if asked[user] is None:
                break
        is_answered = None in asked.values()
        # A fault of Graph counts against no id until Graph answers for some user.
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
        """Read each part separately, and read a part that is refused because of an id again in smaller parts."""
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
        """Read these users and add the answer; return the error if Graph does not answer."""
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
    """Return small parts of the users: two rounds lead from a page to single users."""
    return _chunks(users, math.isqrt(max(0, len(users) - 1)) or 1)


def _chunks(users: Sequence[UserId], size: int) -> list[Sequence[UserId]]:
    return [users[start : start + size] for start in range(0, len(users), size)]
