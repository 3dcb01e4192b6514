"""Bulk reads of users: a page that Graph refuses is halved until the bad id is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.errors import RequestRefused
from relay.graph.presences import Seen, read_presences

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from relay.core.presence import Observation, UserId
    from relay.graph.client import GraphClient, TokenSource
    from relay.graph.presences import Page


@dataclass(slots=True)
class Found:
    """What one read brought.

    Attributes:
        observations: of users whose entry is new; see `graph.presences.Page`.
        omitted: users whom Graph left out.
        refused: users whose id alone Graph calls a bad request: to be set aside.
        page: what Graph said of all of them, when it was one answer; to be kept as seen once it is accepted.
    """

    observations: list[Observation] = field(default_factory=list)
    omitted: list[UserId] = field(default_factory=list)
    refused: list[UserId] = field(default_factory=list)
    page: Page | None = None


async def read(
    client: GraphClient,
    token: TokenSource,
    users: Sequence[UserId],
    seen: Seen | None,
    spend: Callable[[int], Awaitable[None]],
) -> Found:
    """Read users, halving what Graph refuses.

    Args:
        client: of all tenants.
        token: of this tenant.
        users: at most a page.
        seen: what the last page of these users said, to be told only what is new.
        spend: waits until the budget allows another read of so many users; the first read is paid for already.

    Raises:
        RelayError: as `read_presences` says, RequestRefused apart.
    """
    try:
        page = await read_presences(client, token, users, seen)
    except RequestRefused:
        return await _halve(client, token, users, spend)
    return Found(list(page.observations), list(page.omitted), page=page)


async def _halve(
    client: GraphClient, token: TokenSource, users: Sequence[UserId], spend: Callable[[int], Awaitable[None]]
) -> Found:
    if len(users) == 1:
        return Found(refused=list(users))
    found = Found()
    middle = len(users) // 2
    for half in (users[:middle], users[middle:]):
        await spend(len(half))
        part = await read(client, token, half, None, spend)
        found.observations += part.observations
        found.omitted += part.omitted
        found.refused += part.refused
    return found
