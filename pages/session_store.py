"""Sessions of people who signed in. Each is sealed in Redis under a name derived from the secret in its cookie."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from pages.browser_secrets import fingerprint, new_secret
from pages.flashes import Flash
from relay.store.sealing.short_lived import Flows, KeptFlow

if TYPE_CHECKING:
    from datetime import timedelta

    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.quotas import Quota
    from relay.store.server.connection import Store


class VisitorSession(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of every session.

    Attributes:
        began_s: the time of the sign-in, in seconds since 1970.
        flash: the message for the next page.
    """

    began_s: float
    flash: Flash | None = None


S = TypeVar("S", bound=VisitorSession)


@dataclass(frozen=True, slots=True)
class LoadedSession(Generic[S]):
    """A session as read from the store."""

    session: S
    kept: KeptFlow = field(repr=False)


class SessionStore(Generic[S]):
    """The sessions of all browsers at one site.

    Every method raises `StoreUnavailable` if the store cannot be reached; then no visitor has access.
    """

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        kind: type[S],
        prefix: str,
        *,
        idle: timedelta,
        longest: timedelta,
        quota: Quota | None = None,
    ) -> None:
        """Make the sessions of a site.

        Args:
            store: holds the sessions.
            ring: seals them.
            kind: their type. A session that another release wrote in another format counts as ended.
            prefix: prefix of their names in the store.
            idle: a session without a request ends after this.
            longest: every session ends after this.
            quota: limits their number; None: no limit.
        """
        self._flows = Flows(store, ring, idle)
        self._kind = kind
        self._prefix = prefix
        self._quota = quota
        self.longest = longest

    async def put(self, session: S) -> str:
        """Begin a session and return the secret for its cookie, always a new one."""
        secret = new_secret()
        await self._flows.put(self._name(fingerprint(secret)), _encode(session), quota=self._quota)
        return secret

    async def load(self, secret: str, *, renews: bool = True) -> LoadedSession[S] | None:
        """Return the session of a cookie; None if it has ended.

        Args:
            secret: the cookie's secret.
            renews: False for requests that an open page makes automatically; they do not extend the session.
        """
        return await self.named(fingerprint(secret), renews=renews) if secret else None

    async def named(self, name: str, *, renews: bool = True) -> LoadedSession[S] | None:
        """Return a session by the fingerprint of its secret, for steps whose last request comes without the cookie."""
        kept = await (self._flows.load(self._name(name)) if renews else self._flows.peek(self._name(name)))
        session = None if kept is None else self._decode(kept.content)
        if kept is None or session is None:
            return None
        if not 0 <= time.time() - session.began_s < self.longest.total_seconds():
            await self._flows.drop(kept.name)
            return None
        return LoadedSession(session, kept)

    async def change(self, held: LoadedSession[S], **changes: Any) -> LoadedSession[S] | None:
        """Change fields of a session, on disk when this returns. Return None when another request changed it first.

        Raises:
            NotSaved: the store did not confirm the write.
        """
        session = msgspec.structs.replace(held.session, **changes)
        kept = await self._flows.replace(held.kept, _encode(session))
        return None if kept is None else LoadedSession(session, kept)

    async def end(self, secret: str) -> None:
        """End a session; does nothing if it has already ended."""
        if secret:
            await self.end_named(fingerprint(secret))

    async def end_named(self, name: str) -> None:
        """End a session by the fingerprint of its secret."""
        await self._flows.drop(self._name(name))

    def _name(self, fingerprint_: str) -> str:
        return f"{self._prefix}:{fingerprint_}"

    def _decode(self, text: str) -> S | None:
        try:
            return msgspec.json.decode(text, type=self._kind)
        except msgspec.DecodeError:
            return None  # another release wrote it


def _encode(session: VisitorSession) -> str:
    return msgspec.json.encode(session).decode()
