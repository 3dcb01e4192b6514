"""Sessions of operators."""

from __future__ import annotations

import enum
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pages.browser_secrets import fingerprint
from pages.session_store import LoadedSession as Loaded
from pages.session_store import SessionStore, VisitorSession
from relay.core.audit.events import Actor

if TYPE_CHECKING:
    from relay.graph.auth.id_tokens import VerifiedIdentity
    from relay.store.sealing.keyring import KeyRing
    from relay.store.sealing.quotas import Quota
    from relay.store.server.connection import Store

IDLE: Final = timedelta(minutes=30)
"""A session without a request ends after this."""
LONGEST: Final = timedelta(hours=8)
"""Every session ends after this: a working day."""
TRIAL: Final = "trial token"
"""The name in the logs for an operator who signed in with the trial token."""


class OperatorRight(enum.StrEnum):
    """An operator's right, from their role."""

    CHANGE = "change"
    """See everything, and change what the console offers."""
    READ = "read"
    """See everything."""


class OperatorSession(VisitorSession, frozen=True, kw_only=True):
    """An operator who signed in.

    Attributes:
        name: the account's name; `TRIAL` with the trial token.
        account_id: the account's object id; empty with the trial token.
        checked_s: the time when Entra last confirmed the role, in seconds since 1970; 0 with the trial token.
        token: fingerprint of the trial token; empty with Entra. A new token ends the session.
        right: the account's right, from Entra at `checked_s`; sessions of earlier releases have the right to make changes.
        link: a new invitation, until it has been shown.
    """

    name: str
    account_id: str = ""
    checked_s: float = 0.0
    token: str = ""
    link: str = ""
    right: OperatorRight = OperatorRight.CHANGE

    @property
    def actor(self) -> Actor:
        """The operator in the form of the audit log."""
        return Actor.operator(self.name, self.account_id)

    def __repr__(self) -> str:
        return f"OperatorSession({self.account_id or self.name})"


LoadedSession = Loaded[OperatorSession]
"""A session as read from the store."""


class OperatorSessions(SessionStore[OperatorSession]):
    """The sessions of all operators; see `SessionStore`."""

    def __init__(self, store: Store, ring: KeyRing, quota: Quota) -> None:
        super().__init__(store, ring, OperatorSession, "console-session", idle=IDLE, longest=LONGEST, quota=quota)

    async def begin(self, who: VerifiedIdentity, right: OperatorRight) -> str:
        """Begin the session of an operator whom Entra has just identified; return the secret for its cookie."""
        now = time.time()
        name = who.upn or who.account_id
        session = OperatorSession(began_s=now, name=name, account_id=who.account_id, checked_s=now, right=right)
        return await self.put(session)

    async def begin_trial(self, token: str) -> str:
        """Begin the session of an operator who has the trial token; return the secret for its cookie."""
        return await self.put(OperatorSession(began_s=time.time(), name=TRIAL, token=fingerprint(token)))
