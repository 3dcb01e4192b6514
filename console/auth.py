"""Authentication and authorisation of every request to the console.

A view first calls `operator` (or `form`, for a form), which returns an `OperatorVisitor` or raises. Every operator sees everything
that the console shows. Operators with a read-only role get neither forms nor pages that consist of a form.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from console.cookies import COOKIES
from console.sessions import OperatorRight
from pages import forms
from pages.browser_secrets import fingerprint, form_token
from pages.problems import ProblemError

if TYPE_CHECKING:
    from starlette.requests import Request

    from console.sessions import LoadedSession, OperatorSession, OperatorSessions
    from console.settings import ConsoleSettings
    from pages.door import Door
    from relay.core.audit.events import Actor

log = structlog.get_logger(__name__)

_MAX_PATH_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class OperatorVisitor:
    """An operator who has signed in and has access.

    Attributes:
        session: the operator.
        token: the token of this session's forms.
        held: the session as read from the store.
    """

    session: OperatorSession
    token: str = field(repr=False)
    held: LoadedSession = field(repr=False)

    @property
    def may_change(self) -> bool:
        """False if the operator's role is read-only."""
        return self.session.right is OperatorRight.CHANGE

    @property
    def actor(self) -> Actor:
        """The operator in the form of the audit log."""
        return self.session.actor


class OperatorSignInRequired(Exception):
    """The visitor is not, or no longer, signed in; answered with the sign-in page."""


class RecheckRequired(Exception):
    """The operator's role must be checked at Entra again; the request had no effect.

    Attributes:
        name: the account's name.
    """

    def __init__(self, name: str) -> None:
        super().__init__("the role was checked too long ago")
        self.name = name


class OperatorAuthenticator:
    """Authenticates operators. Raises `StoreUnavailable` if sessions cannot be read."""

    def __init__(self, door: Door, sessions: OperatorSessions, settings: ConsoleSettings) -> None:
        self._door = door
        self._sessions = sessions
        self._settings = settings
        self._token = None if settings.token is None else fingerprint(settings.token)

    async def operator(self, request: Request, *, to_change: bool = False) -> OperatorVisitor:
        """Return the operator who requests a page.

        Args:
            request: the request.
            to_change: whether the page is for a change and shows nothing else.

        Raises:
            ProblemError: the page is for a change, and the operator's role is read-only.
            OperatorSignInRequired: the visitor is not signed in.
            RecheckRequired: the operator is signed in, but the role must be checked at Entra first.
        """
        secret = COOKIES.session_secret(request)
        held = await self._sessions.load(secret)
        if held is None or not self._stands(held.session):
            raise OperatorSignInRequired
        if not held.session.token and not self._is_recent(held.session):
            raise RecheckRequired(held.session.name)
        visitor = OperatorVisitor(held.session, form_token(secret), held)
        if to_change and not visitor.may_change:
            log.warning(
                "console_act_refused", account_id=held.session.account_id, path=request.url.path[:_MAX_PATH_CHARS]
            )
            raise ProblemError("read_only")
        return visitor

    async def form(
        self, request: Request, max_fields: int = forms.MAX_FIELDS
    ) -> tuple[OperatorVisitor, dict[str, str]]:
        """Return the operator who sent a form, and its fields. Counts it as a change.

        Raises:
            ProblemError: it was sent from elsewhere, is not a form, or exceeds the rate limit; or the operator's role is read-only.
            OperatorSignInRequired, RecheckRequired: see `operator`.
        """
        given = await self._door.form(request, max_fields)
        return await self.operator(request, to_change=True), given

    def _stands(self, session: OperatorSession) -> bool:
        """Return whether the console still accepts the method by which this session signed in."""
        if session.token:
            return self._token is not None and hmac.compare_digest(session.token, self._token)
        return self._settings.entra is not None

    def _is_recent(self, session: OperatorSession) -> bool:
        return 0 <= time.time() - session.checked_s < self._settings.recheck.total_seconds()
