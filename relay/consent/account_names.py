"""Finds the account of a name, in a tenant's own directory and with the tenant's own consent.

A right is bound to an object id, never to a name, because names are given to others. So a named person is looked up at once.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Final

import structlog

from relay.consent.patience import SHORT_PATIENCE
from relay.core.consent.grants import GrantState
from relay.core.names import MAX_NAME_CHARS, folded, is_object_id, normalise
from relay.errors import RelayError
from relay.graph.auth.tokens import GrantTokens, discard
from relay.graph.presence.directory import DirectoryUser, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.core.presence import Name
    from relay.graph.client import GraphClient
    from relay.store.custody.vault import Grant

log = structlog.get_logger(__name__)

_GUEST: Final = "#ext#"
"""Part of every guest's UPN: https://learn.microsoft.com/entra/external-id/user-properties."""


class NotFound(enum.Enum):
    """The reason why a name led to no account."""

    UNKNOWN = enum.auto()
    """The tenant's directory has no such account."""
    GUEST = enum.auto()
    """The account is a guest, who signs in to the organisation that it comes from and never to this one."""
    NO_GRANT = enum.auto()
    """No account reads for the tenant, so nobody can look."""
    NO_ANSWER = enum.auto()
    """Microsoft did not answer, or refused."""


async def find_account(client: GraphClient, grants: Sequence[Grant], text: str) -> DirectoryUser | NotFound:
    """Return the account of a UPN or an object id, as Graph knows it now.

    Args:
        client: Graph.
        grants: of the tenant whose account it is; the first that works is used.
        text: as it was typed.
    """
    name = normalise(text.strip()[: MAX_NAME_CHARS + 1])
    if name is None or (not is_object_id(name) and name.count("@") != 1):
        return NotFound.UNKNOWN
    kept = next((one for one in grants if one.state is GrantState.HEALTHY and one.token_cache), None)
    if kept is None:
        return NotFound.NO_GRANT
    try:
        # A token that comes along is not kept: the worker's goes on working, and a write of ours would get in its way.
        async with asyncio.timeout(SHORT_PATIENCE.total_seconds()), GrantTokens(client.settings, discard) as tokens:
            found = (await resolve(client, tokens.source(kept.token_grant), [name])).meanings.get(name)
    except (RelayError, TimeoutError) as error:
        log.info("account_not_looked_up", tenant_id=kept.tenant_id, error=type(error).__name__)
        return NotFound.NO_ANSWER
    return _meaning(name, found)


def _meaning(name: Name, found: object) -> DirectoryUser | NotFound:
    if not isinstance(found, DirectoryUser):
        return NotFound.NO_ANSWER if found is None else NotFound.UNKNOWN
    return NotFound.GUEST if _GUEST in folded(found.upn) or _GUEST in name else found
