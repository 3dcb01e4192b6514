"""Sessions of people who signed in to the tenant's page. Each is sealed in Redis under a name that only its cookie leads to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from onboarding.browser_secrets import fingerprint, new_secret
from relay.core.presence import TenantId, UserId
from relay.store.sealing.short_lived import Flows, KeptFlow

if TYPE_CHECKING:
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.quotas import Quota
    from relay.store.server.connection import Store

IDLE: Final = timedelta(minutes=30)
"""A session without a request ends after this: long enough to look something up, shorter than a lunch break."""
LONGEST: Final = timedelta(hours=8)
"""Every session ends after this: a working day."""


class Flash(msgspec.Struct, frozen=True):
    """A message for the next page, shown once: a key of `flash.MESSAGES`, and the person or thing that it is about."""

    key: str
    about: str = ""


class FreshKey(msgspec.Struct, frozen=True):
    """A suite key that was just made in this session.

    Attributes:
        key_id: the key's id.
        text: the key itself until it has been shown, then empty.
        label: the name of the suite.
        rotates: the key that it replaces; empty: none.
        overlap_s: how long the replaced key goes on working.
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


class Session(msgspec.Struct, frozen=True):
    """Somebody who signed in, as Microsoft vouched for it then.

    Attributes:
        tenant_id: the tenant that they signed in to; every view takes the tenant from here.
        account_id: the account's object id.
        upn: the account's name.
        is_guest: whether it is at home elsewhere.
        began_s: the time of the sign-in, in seconds since 1970.
        flash: the message for the next page.
        fresh: the suite key that was made last.
        made: the tries to make a suite key that succeeded, so that a form which is sent again makes no second one.
        roles: the directory roles that they held then, as template ids; only as many as the token said.
        proven_s: the time of the last password, at the sign-in or for an action that cannot be undone (`auth_time`); 0 when
            Microsoft did not say. Each such action needs a later one.
        left: set before the tenant is deleted, for the page that lists what was deleted.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_guest: bool
    began_s: float
    flash: Flash | None = None
    fresh: FreshKey | None = None
    made: tuple[str, ...] = ()
    left: Deletion | None = None
    roles: tuple[str, ...] = ()
    proven_s: int = 0


@dataclass(frozen=True, slots=True)
class LoadedSession:
    """A session as it was read."""

    session: Session
    kept: KeptFlow = field(repr=False)


class Sessions:
    """The sessions of all browsers.

    Raises (from every method) `StoreUnavailable`: sessions cannot be read, and nobody is let in.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
        quota: Quota | None = None,
    ) -> None:
        self._quota = quota
        self._flows = Flows(store, ring, idle)
        self.longest = longest

    async def begin(self, who: VerifiedIdentity) -> str:
        """Begin a session and return the secret for its cookie, which is always a new one."""
        secret = new_secret()
        session = Session(
            who.tenant_id,
            who.account_id,
            who.upn,
            who.is_guest,
            time.time(),
            roles=who.roles,
            proven_s=who.auth_time or 0,
        )
        await self._flows.put(_name(fingerprint(secret)), _encode(session), quota=self._quota)
        return secret

    async def load(self, secret: str, *, renews: bool = True) -> LoadedSession | None:
        """Return the session of a cookie; None when it is over.

        Args:
            secret: the cookie's secret.
            renews: False for requests that an open page makes by itself; they keep no session alive.
        """
        return await self.named(fingerprint(secret), renews=renews) if secret else None

    async def named(self, name: str, *, renews: bool = True) -> LoadedSession | None:
        """Return a session by the fingerprint of its secret, for steps that end in a request without its cookie."""
        kept = await (self._flows.load(_name(name)) if renews else self._flows.peek(_name(name)))
        session = None if kept is None else _decode(kept.content)
        if kept is None or session is None:
            return None
        if not 0 <= time.time() - session.began_s < self.longest.total_seconds():
            await self._flows.drop(kept.name)
            return None
        return LoadedSession(session, kept)

    async def change(self, held: LoadedSession, **changes: Any) -> LoadedSession | None:
        """Change fields of a session, on disk when this returns. Return None when another request changed it first.

        Raises:
            NotSaved: the store did not confirm the write.
        """
        session = msgspec.structs.replace(held.session, **changes)
        kept = await self._flows.replace(held.kept, _encode(session))
        return None if kept is None else LoadedSession(session, kept)

    async def end(self, secret: str) -> None:
        """End a session; one that is over already does no harm."""
        if secret:
            await self._flows.drop(_name(fingerprint(secret)))


def _name(fingerprint_: str) -> str:
    return f"session:{fingerprint_}"


def _encode(session: Session) -> str:
    return msgspec.json.encode(session).decode()


def _decode(text: str) -> Session | None:
    try:
        return msgspec.json.decode(text, type=Session)
    except msgspec.DecodeError:
        return None  # another release wrote it
