"""Deeds that cannot be undone: Microsoft is asked again who is there, and only then is the deed done.

    form ──► the deed, sealed under the way's `state` ──► Microsoft asks for the password ──► answer ──► the deed, once

A session shows that somebody signed in hours ago in this browser; a stolen cookie or an open screen shows it as well. So the
answer must be of the session's own account, and tell that the password was typed after the deed was asked for (`auth_time`).
The way is taken out of the store before anything is done, so no answer does a deed twice, and what is done is what was sealed.
Whether the person may do it is asked anew. Who dies in between has done nothing, and asks again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response

from onboarding import cookies as sessions
from onboarding.problems import of_error
from onboarding.rate_limit import Budget, demand
from onboarding.tenant import cookies
from onboarding.tenant.auth import NotAdmitted
from onboarding.tenant.sign_ins import AskedDeed, SignInFailed
from relay.errors import RelayError
from relay.http.paths import TENANT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from onboarding.tenant.access import Deed
    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.services import Desk
    from onboarding.tenant.sessions import HeldSession
    from onboarding.tenant.sign_ins import Trip

    Do = Callable[[Visitor, Mapping[str, str]], Awaitable[Response]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    right: Deed
    do: Do


class AskedAgain:
    """Puts deeds behind a fresh sign-in. Each is made known once, under a name that the store keeps."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[str, _Known] = {}

    def know(self, name: str, right: Deed, do: Do) -> None:
        """Make a deed known.

        Args:
            name: of the deed; never changes, as it is kept while somebody is at Microsoft.
            right: what somebody must be permitted for it, then.
            do: does it for a visitor, with what was sealed. It looks again at what it changes: minutes have passed.
        """
        self._known[name] = _Known(right, do)

    async def ask(self, request: Request, visitor: Visitor, name: str, what: Mapping[str, str]) -> Response:
        """Send somebody to Microsoft, for a deed that their form just asked for; it counts as a sign-in."""
        demand(request, Budget.SIGN_IN)
        desk, session = self._desk, visitor.session
        # A new one for each deed: whoever has copied all cookies cannot send the address to their owner, to type the password.
        returning = sessions.new_secret()
        named = sessions.fingerprint(cookies.session_secret(request))
        asked = AskedDeed(named, session.tenant_id, session.account_id, name, dict(what), time.time())
        url = await desk.sign_ins.begin_again(returning, asked, session.upn)
        log.info("tenant_deed_asked", deed=name, tenant_id=session.tenant_id, account_id=session.account_id)
        response = desk.pages.page("tenant/to_microsoft.html", url=url, is_deed=True)
        cookies.keep_return(response, returning)
        return response

    async def returned(self, trip: Trip, answer: Mapping[str, str]) -> Response:
        """Microsoft's answer: the deed, or why it was not done.

        Raises:
            SignInFailed: nobody is signed in any more who could be told.
        """
        desk, asked = self._desk, trip.asked
        assert asked is not None
        held = await desk.sessions.named(asked.session)
        known = self._known.get(asked.name)
        if held is None or known is None or held.session.account_id != asked.account_id:
            raise SignInFailed("signed_out")
        about = {"deed": asked.name, "tenant_id": asked.tenant_id, "account_id": asked.account_id}
        try:
            visitor = await desk.door.admit(held, known.right)
        except NotAdmitted:
            log.warning("tenant_deed_refused", problem="right_ended", **about)
            return RedirectResponse(TENANT, status_code=303)
        try:
            visitor = await desk.door.admit(await self._proven(trip, answer, held), known.right)
            response = await known.do(visitor, asked.what)
        except NotAdmitted:
            log.warning("tenant_deed_refused", problem="right_ended", **about)
            return RedirectResponse(TENANT, status_code=303)
        except SignInFailed as failed:
            log.warning("tenant_deed_refused", problem=failed.problem, **about)
            await desk.frame.note(visitor, failed.problem, failed.detail)
            return RedirectResponse(TENANT, status_code=303)
        except RelayError as error:
            log.warning("tenant_deed_postponed", problem=of_error(error), error=str(error), **about)
            await desk.frame.note(visitor, of_error(error))
            return RedirectResponse(TENANT, status_code=303)
        log.info("tenant_deed_done", **about)
        return response

    async def _proven(self, trip: Trip, answer: Mapping[str, str], held: HeldSession) -> HeldSession:
        """The session, which knows from now on which password was used up, and the directory roles of now."""
        who = await self._desk.sign_ins.again(trip, answer, held.session.proven_s)
        noted = await self._desk.sessions.change(held, proven_s=who.auth_time, roles=who.roles)
        if noted is None:
            raise SignInFailed("sign_in_stale")  # the answer to another deed was faster
        return noted
