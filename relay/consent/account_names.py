"""Finds an account by name in its tenant's directory, with the tenant's consent.

A right is bound to an object id, never to a name, because a name can be given to another person. So a named person is
looked up at once.
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
    """The reason why no account was found."""

    UNKNOWN = enum.auto()
    """The tenant's directory has no such account."""
    GUEST = enum.auto()
    """The account is a guest, who signs in to their home organisation and never to this one."""
    NO_GRANT = enum.auto()
    """No account reads for the tenant, so no lookup is possible."""
    NO_ANSWER = enum.auto()
    """Microsoft did not answer, or refused."""


async def find_account(client: GraphClient, grants: Sequence[Grant], text: str) -> DirectoryUser | NotFound:
    """Return the account of a UPN or an object id, as Graph knows it now.

    Args:
        client: Graph.
        grants: of the account's tenant; the first one that works is used.
        text: the name as the user entered it.
    """
    name = normalise(text.strip()[: MAX_NAME_CHARS + 1])
    if name is None or (not is_object_id(name) and name.count("@") != 1):
        return NotFound.UNKNOWN
    kept = next((one for one in grants if one.state is GrantState.HEALTHY and one.token_cache), None)
    if kept is None:
        return NotFound.NO_GRANT
    try:
        # A renewed refresh token is not saved: the worker's token stays valid, and a write here would conflict with its writes.
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
