"""Browser sessions: one cookie for all accounts that are signed in in one browser."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emulator.exchange import Answer, Request
    from emulator.world import Person, Tenant

COOKIE: Final = "ESTSAUTH"
_MOST: Final = 10_000
_MOST_ACCOUNTS: Final = 10
"""Maximum number of accounts that one browser remembers; beyond, the oldest is dropped."""


@dataclass(frozen=True, slots=True)
class Session:
    """One account that is signed in in one browser. `amr` has the methods, `since` the time in seconds since 1970.

    The session stores the account of the home tenant; in another tenant it counts as the account's guest there.
    """

    person: Person
    amr: tuple[str, ...]
    since: float

    @property
    def is_alive(self) -> bool:
        """Return whether the session is still valid: the account is enabled, and nothing was revoked since."""
        person = self.person
        return person.enabled and self.since >= max(person.tokens_valid_from, person.cookies_valid_from)


class Sessions:
    """All browsers' sessions. They end with the process; if there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._browsers: dict[str, dict[str, Session]] = {}

    def of(self, request: Request, tenant: Tenant | None) -> list[Session]:
        """Return the valid sessions of a browser, newest first; with a tenant, only those of its people and guests."""
        known = self._browsers.get(request.cookie(COOKIE), {})
        found = [_at(session, tenant) for session in reversed(known.values()) if session.is_alive]
        return [session for session in found if session is not None and session.person.enabled]

    def remember(self, request: Request, answer: Answer, person: Person, amr: tuple[str, ...], since: float) -> None:
        """Store in the browser's session the home account that signed in, and when the password was typed."""
        while len(self._browsers) >= _MOST:
            del self._browsers[next(iter(self._browsers))]
        known = self._browsers.pop(request.cookie(COOKIE), {})
        known.pop(person.oid, None)
        known[person.oid] = Session(person, amr, since)
        while len(known) > _MOST_ACCOUNTS:
            del known[next(iter(known))]
        cookie = secrets.token_urlsafe(24)  # a new one each time, so that a cookie from before the sign-in is useless
        self._browsers[cookie] = known
        answer.headers.append((b"set-cookie", f"{COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=None".encode()))

    def forget(self, request: Request, answer: Answer) -> None:
        """Sign all accounts out in this browser. Refresh tokens of confidential clients stay valid."""
        self._browsers.pop(request.cookie(COOKIE), None)
        answer.headers.append(
            (b"set-cookie", f"{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=None".encode())
        )


def _at(session: Session, tenant: Tenant | None) -> Session | None:
    """Return a session in the view of a tenant."""
    if tenant is None or session.person.tenant is tenant:
        return session
    guest = tenant.guest(session.person.upn)
    return Session(guest, session.amr, session.since) if guest is not None else None
