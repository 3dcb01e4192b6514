"""Who is signed in where, and until when. A session is sealed in Redis under a name that only its cookie leads to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from onboarding.cookies import fingerprint, new_secret
from relay.core.presence import TenantId, UserId
from relay.store.sealing.short_lived import Flows, KeptFlow

if TYPE_CHECKING:
    from relay.graph.auth.idtokens import VerifiedIdentity
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.rooms import Room
    from relay.store.server.connection import Store

IDLE: Final = timedelta(minutes=30)
"""Without a request. Long enough to fetch a suite's papers, shorter than a lunch break in front of an open screen is rude."""
LONGEST: Final = timedelta(hours=8)
"""Whatever happens: a working day."""


class Note(msgspec.Struct, frozen=True):
    """What came of a step, for the next page to say once: a key of `notes.NOTES`, and whom it is about."""

    key: str
    about: str = ""


class FreshKey(msgspec.Struct, frozen=True):
    """A suite key that was just made in this session.

    Attributes:
        key_id: which.
        text: the key itself until it has been shown, then empty.
        label: what the suite is called.
        rotates: the key whose place it takes; empty: none.
        overlap_s: for how long that one goes on working.
    """

    key_id: str
    text: str
    label: str
    rotates: str = ""
    overlap_s: float = 0.0

    def __repr__(self) -> str:
        return f"FreshKey({self.key_id})"


class Left(msgspec.Struct, frozen=True):
    """What was deleted when the tenant of this session left.

    Attributes:
        name: what it was called.
        accounts: the names of those whose grants are deleted.
        suite_keys: how many keys ended.
        entries: how many entries the audit log had.
    """

    name: str
    accounts: tuple[str, ...]
    suite_keys: int
    entries: int


class Session(msgspec.Struct, frozen=True):
    """Somebody who signed in, as Microsoft vouched for it then.

    Attributes:
        tenant_id: the tenant that they signed in to; the only source of the tenant for everything on the page.
        account_id: the account's object id.
        upn: the account's name.
        is_guest: whether it is at home elsewhere.
        began_s: when, in seconds since 1970.
        note: what the next page is to say.
        fresh: the suite key that was made last.
        made: the tries to make a suite key that succeeded, so that a form which is sent again makes no second one.
        roles: the directory roles that they held then, as template ids; only as many as the token said.
        proven_s: when the password was typed last, at the sign-in or for a deed that cannot be undone (`auth_time`); 0 when
            Microsoft did not say. Each such deed takes a later one.
        left: set before the tenant is deleted, for the page that says what was.
    """

    tenant_id: TenantId
    account_id: UserId
    upn: str
    is_guest: bool
    began_s: float
    note: Note | None = None
    fresh: FreshKey | None = None
    made: tuple[str, ...] = ()
    left: Left | None = None
    roles: tuple[str, ...] = ()
    proven_s: int = 0


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session as it was read."""

    session: Session
    kept: KeptFlow = field(repr=False)


class Sessions:
    """The sessions of all browsers.

    Raises (from every method): `StoreUnavailable`; nobody is let in then.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
        room: Room | None = None,
    ) -> None:
        self._room = room
        self._flows = Flows(store, ring, idle)
        self.longest = longest

    async def begin(self, who: VerifiedIdentity) -> str:
        """Begin a session; returns the secret for its cookie, which is always a new one."""
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
        await self._flows.put(_name(fingerprint(secret)), _encode(session), room=self._room)
        return secret

    async def load(self, secret: str, *, renews: bool = True) -> HeldSession | None:
        """The session of a cookie; None when it is over.

        Args:
            secret: the cookie's.
            renews: whether this counts as somebody being there: not what a page asks for by itself.
        """
        return await self.named(fingerprint(secret), renews=renews) if secret else None

    async def named(self, name: str, *, renews: bool = True) -> HeldSession | None:
        """The same by the secret's fingerprint, for what began in the session and ends outside of it."""
        kept = await (self._flows.load(_name(name)) if renews else self._flows.look(_name(name)))
        session = None if kept is None else _decode(kept.content)
        if kept is None or session is None:
            return None
        if not 0 <= time.time() - session.began_s < self.longest.total_seconds():
            await self._flows.drop(kept.name)
            return None
        return HeldSession(session, kept)

    async def change(self, held: HeldSession, **changes: Any) -> HeldSession | None:
        """Give fields of a session other values; on disk when this returns. None when somebody else was faster.

        Raises:
            NotSaved: it is not known to be on disk.
        """
        session = msgspec.structs.replace(held.session, **changes)
        kept = await self._flows.replace(held.kept, _encode(session))
        return None if kept is None else HeldSession(session, kept)

    async def end(self, secret: str) -> None:
        """End a session; one that is over is fine."""
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
