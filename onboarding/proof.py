"""The proof of a grant: it is refreshed once and reads a few users' presence, before anything is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import stamina

from onboarding.flow import Shown
from relay.core.mapping import LOOKS, map_presence
from relay.errors import Retryable
from relay.graph.organisation import Colleague, some_users
from relay.graph.presences import read_presences
from relay.graph.tokens import Grant, GrantTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onboarding.flow import Consented
    from relay.core.presence import Observation, UserId
    from relay.graph.client import GraphClient, TokenSource

SHOWN: Final = 6
"""Users on the page: enough to recognise one's own organisation, little enough to be looked at."""
_ASKED: Final = 40
"""Users asked for: service accounts and rooms come along, whose presence Microsoft does not report."""
_ATTEMPTS: Final = 3
_PATIENCE: Final = timedelta(seconds=15)
"""A person is waiting in front of a page."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a grant could read, and its token cache after that."""

    token_cache: str = field(repr=False)
    shown: tuple[Shown, ...] = field(repr=False)


async def prove(client: GraphClient, consented: Consented) -> Proof:
    """Use a consent as the worker will: a fresh access token by its refresh token, a list of users, a bulk read.

    Raises:
        Retryable: Microsoft does not answer.
        ConsentRequired, AccessDenied, RequestRefused: the grant does not work.
        CredentialRejected: the relay's registration is at fault.
    """
    grant = Grant(
        tenant_id=consented.tenant_id, account_id=consented.account_id, version=0, token_cache=consented.token_cache
    )
    cache = consented.token_cache

    async def remember(grant: Grant, changed: str) -> Grant:
        nonlocal cache
        cache = changed
        return grant

    async with GrantTokens(client.settings, remember) as tokens:
        # A consent cannot be asked for again as easily as a read: Microsoft may have a bad moment.
        async for attempt in stamina.retry_context(on=Retryable, attempts=_ATTEMPTS, timeout=_PATIENCE):
            with attempt:
                await tokens.refresh(grant)
                shown = await _read(client, tokens.source(grant), consented.account_id)
    return Proof(cache, shown)


async def _read(client: GraphClient, token: TokenSource, account_id: UserId) -> tuple[Shown, ...]:
    colleagues = await some_users(client, token, _ASKED)
    ids = [colleague.user_id for colleague in colleagues] or [account_id]
    page = await read_presences(client, token, ids)
    return _shown(colleagues, page.observations)


def _shown(colleagues: Sequence[Colleague], observations: Sequence[Observation]) -> tuple[Shown, ...]:
    """Some of those who have a presence, by name."""
    seen = {observation.user_id: observation for observation in observations}
    known = sorted((c for c in colleagues if c.user_id in seen), key=lambda c: c.display_name.casefold())
    return tuple(_line(colleague, seen[colleague.user_id]) for colleague in known[:SHOWN])


def _line(colleague: Colleague, seen: Observation) -> Shown:
    out = seen.out_of_office.active if seen.out_of_office is not None else None
    status = map_presence(seen.availability, seen.activity, out).console_status
    words = status.name.replace("_", " ").capitalize()
    return Shown(colleague.display_name, colleague.upn, LOOKS[status].icon, words)
