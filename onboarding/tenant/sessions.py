"""Sessions of people who signed in to the tenant's page. Each is sealed in Redis under a name derived from its cookie."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from pages.session_store import LoadedSession as Loaded
from pages.session_store import SessionStore, VisitorSession
from relay.core.presence import TenantId, UserId

if TYPE_CHECKING:
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.quotas import Quota
    from relay.store.server.connection import Store

IDLE: Final = timedelta(minutes=30)
"""A session without a request ends after this: long enough to look something up, shorter than a lunch break."""
LONGEST: Final = timedelta(hours=8)
"""Every session ends after this: a working day."""


class FreshKey(msgspec.Struct, frozen=True):
    """A suite key that was just made in this session.

    Attributes:
        key_id: the key's id.
        text: the key itself until it has been shown, then empty.
        label: the name of the suite.
        rotates: the key that it replaces; empty: none.
        overlap_s: how long the replaced key stays valid, in seconds.
    """

    key_id: str
    text: str
    label: str
    rotates: str = ""
    overlap_s: float = 0.0

    def __repr__(self) -> str:
        return f"FreshKey({self.key_id})"


class Deletion(msgspec.Struct, frozen=True):
    """A summary of the data that was deleted when the tenant of this session left.

    Attributes:
        name: the tenant's name.
        accounts: the names of the accounts whose grants were deleted.
        suite_keys: the number of keys that ended.
        entries: the number of entries of the audit log.
    """

    name: str
    accounts: tuple[str, ...]
    suite_keys: int
    entries: int


class Session(VisitorSession, frozen=True, kw_only=True):
    """A signed-in person, as Microsoft identified them at the sign-in.

    Attributes:
        tenant_id: the tenant that they signed in to; every view takes the tenant from here.
        account_id: the account's object id.
        upn: the account's name.
        is_guest: whether it is a guest from another tenant.
        fresh: the suite key that was made last.
        made: the successful attempts to make a suite key, so that sending a form again makes no second key.
        roles: the directory roles at the sign-in, as template ids; only those that the token listed.
        proven_s: the time of the last password (`auth_time`), at the sign-in or for an action that cannot be undone; 0 if
            Microsoft did not report it. Each such action needs a later one.
        left: set before the tenant is deleted, for the page that lists what was deleted.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_guest: bool
    fresh: FreshKey | None = None
    made: tuple[str, ...] = ()
    left: Deletion | None = None
    roles: tuple[str, ...] = ()
    proven_s: int = 0


LoadedSession = Loaded[Session]
"""A session as read from the store."""


class Sessions(SessionStore[Session]):
    """The sessions of all browsers; see `SessionStore`."""

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(store, ring, Session, "session", idle=idle, longest=longest, quota=quota)

    async def begin(self, who: VerifiedIdentity) -> str:
        """Begin a session and return the secret for its cookie, always a new one."""
        return await self.put(
            Session(
                tenant_id=who.tenant_id,
                account_id=who.account_id,
                upn=who.upn,
                is_guest=who.is_guest,
                began_s=time.time(),
                roles=who.roles,
                proven_s=who.auth_time or 0,
            )
        )
