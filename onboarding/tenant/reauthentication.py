"""Actions that cannot be undone: they are carried out only after Microsoft has asked for the password again.

    form ──► the action, sealed under the sign-in's `state` ──► Microsoft asks for the password ──► answer ──► the action, once

A session proves only a sign-in hours ago in this browser, and a stolen cookie or an unlocked screen gives the same access.
Therefore the answer must be for the session's own account, and its `auth_time` must be later than the request for the action. The
sign-in is removed from the store before the action, so one answer never carries out an action twice, and the action is exactly the
one that was sealed. The visitor's right is checked again. If the process dies in between, nothing was done, and the visitor repeats
the request.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from starlette.responses import RedirectResponse, Response

from onboarding.cookies import TENANT_COOKIES
from onboarding.tenant.auth import ActionDenied
from onboarding.tenant.sign_ins import PendingAction
from pages.browser_secrets import fingerprint, new_secret
from pages.pending_sign_ins import SignInFailed
from pages.problems import problem_of
from pages.rate_limit import RequestKind, count_request
from relay.errors import RelayError, support_fields
from relay.http.paths import TENANT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from onboarding.tenant.access import Action
    from onboarding.tenant.auth import Visitor
    from onboarding.tenant.services import TenantServices
    from onboarding.tenant.sessions import LoadedSession
    from onboarding.tenant.sign_ins import PendingSignIn

    CarryOut = Callable[[Visitor, Mapping[str, str]], Awaitable[Response]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Registered:
    right: Action
    carry_out: CarryOut


class Reauthentication:
    """Puts actions behind a fresh sign-in. Each is registered once, under a name that is stored while it waits."""

    def __init__(self, services: TenantServices) -> None:
        self._services = services
        self._actions: dict[str, _Registered] = {}

    def register(self, name: str, right: Action, carry_out: CarryOut) -> None:
        """Register an action.

        Args:
            name: the action's name. It never changes, because it is stored during the sign-in at Microsoft.
            right: the action that the visitor's right must cover when it is carried out.
            carry_out: does it for a visitor, with the sealed arguments. It must read the data again: minutes have passed.
        """
        self._actions[name] = _Registered(right, carry_out)

    async def require(self, request: Request, visitor: Visitor, name: str, what: Mapping[str, str]) -> Response:
        """Send a visitor to Microsoft for an action that their form requested; counts as a sign-in."""
        count_request(request, RequestKind.SIGN_IN)
        services, session = self._services, visitor.session
        # A new secret for each action: a thief with copies of all cookies cannot send the address to their owner and have
        # them type the password.
        returning = new_secret()
        action = PendingAction(
            fingerprint(TENANT_COOKIES.session_secret(request)),
            session.tenant_id,
            session.account_id,
            name,
            dict(what),
            time.time(),
        )
        url = await services.sign_ins.begin_reauthentication(returning, action, session.upn)
        log.info("tenant_action_requested", action=name, tenant_id=session.tenant_id, account_id=session.account_id)
        return services.door.to_microsoft(url, returning, is_reauthentication=True)

    async def returned(self, pending: PendingSignIn, answer: Mapping[str, str]) -> Response:
        """Process Microsoft's answer and carry out the action, or leave a message with the reason why not.

        Raises:
            SignInFailed: the session has ended, so no message can be shown in it.
        """
        services, action = self._services, pending.action
        assert action is not None
        held = await services.sessions.named(action.session)
        registered = self._actions.get(action.name)
        if held is None or registered is None or held.session.account_id != action.account_id:
            raise SignInFailed("signed_out")
        about = {"action": action.name, "tenant_id": action.tenant_id, "account_id": action.account_id}
        try:
            visitor = await services.auth.authorize(held, registered.right)
        except ActionDenied:
            log.warning("tenant_action_refused", problem="right_ended", **about)
            return RedirectResponse(TENANT, status_code=303)
        try:
            visitor = await services.auth.authorize(await self._proven(pending, answer, held), registered.right)
            response = await registered.carry_out(visitor, action.what)
        except ActionDenied:
            log.warning("tenant_action_refused", problem="right_ended", **about)
            return RedirectResponse(TENANT, status_code=303)
        except SignInFailed as failed:
            log.warning("tenant_action_refused", problem=failed.problem, **about)
            await services.layout.flash(visitor, failed.problem, failed.detail)
            return RedirectResponse(TENANT, status_code=303)
        except RelayError as error:
            log.warning(
                "tenant_action_postponed", problem=problem_of(error), error=str(error), **about, **support_fields(error)
            )
            await services.layout.flash(visitor, problem_of(error))
            return RedirectResponse(TENANT, status_code=303)
        log.info("tenant_action_done", **about)
        return response

    async def _proven(self, pending: PendingSignIn, answer: Mapping[str, str], held: LoadedSession) -> LoadedSession:
        """Check the password; record in the session that it is used up, and the current directory roles."""
        who = await self._services.sign_ins.reauthenticated(pending, answer, held.session.proven_s)
        changed = await self._services.sessions.change(held, proven_s=who.auth_time, roles=who.roles)
        if changed is None:
            raise SignInFailed("sign_in_stale")  # the answer to another action came first
        return changed
