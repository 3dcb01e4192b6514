"""The proof of a grant, before anything is kept: it is refreshed once, finds users, reads presence, and tries one subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import stamina
import structlog

from onboarding.status_names import STATUS
from onboarding.wizard.flow import Check, Mark, Shown
from relay.core.showing.mapping import LOOKS, map_presence
from relay.errors import (
    AccessDenied,
    RelayError,
    RequestRefused,
    Retryable,
    SubscriptionExists,
    SubscriptionRefused,
    WebhookUnreachable,
)
from relay.graph.auth.tokens import Grant, GrantTokens
from relay.graph.presence.organisation import Colleague, some_users
from relay.graph.presence.presences import read_presences
from relay.graph.push import subscriptions
from relay.locale.languages import english
from relay.store.presence.subscriptions import new_client_state, new_route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from onboarding.wizard.flow import Consented
    from relay.core.presence import Observation, UserId
    from relay.graph.client import GraphClient, TokenSource
    from relay.graph.push.settings import PushSettings

    Tell = Callable[[Check, tuple[Shown, ...]], Awaitable[None]]

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

SHOWN: Final = 6
"""Users on the page: enough to recognise one's own organisation, little enough to be looked at."""
_ASKED: Final = 40
"""Users asked for: service accounts and rooms come along, whose presence Microsoft does not report."""
_ATTEMPTS: Final = 3
_PATIENCE: Final = timedelta(seconds=15)
"""A person is waiting in front of a page."""
_LIFE: Final = timedelta(minutes=45)
"""Of the subscription that is tried: Graph raises less to this, and it is deleted at once anyway."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A grant that works: its token cache after that, and what was read."""

    token_cache: str = field(repr=False)
    shown: tuple[Shown, ...] = field(repr=False)


async def prove(client: GraphClient, consented: Consented, push: PushSettings | None, tell: Tell) -> Proof:
    """Use a consent as the worker will, and tell of each check as it is done.

    Args:
        client: Graph.
        consented: the consent.
        push: what a subscription needs; None where this relay asks for none.
        tell: takes each check with what came of it, and what can be shown by then.

    Raises:
        Retryable: Microsoft does not answer.
        ConsentRequired, AccessDenied, RequestRefused: the grant does not work.
        CredentialRejected: the relay's registration is at fault.
    """
    grant = Grant(
        tenant_id=consented.tenant_id, account_id=consented.account_id, version=0, token_cache=consented.token_cache
    )
    cache = consented.token_cache

    async def remember(grant: Grant, changed: str) -> Grant:
        nonlocal cache
        cache = changed
        return grant

    async with GrantTokens(client.settings, remember) as tokens:
        source = tokens.source(grant)
        await _patiently(lambda: tokens.refresh(grant))
        colleagues = await _patiently(lambda: some_users(client, source, _ASKED))
        await tell(_users(colleagues), ())
        ids = [colleague.user_id for colleague in colleagues] or [consented.account_id]
        page = await _patiently(lambda: read_presences(client, source, ids))
        shown = _shown(colleagues, page.observations)
        await tell(_presence(len(page.observations)), shown)
        await tell(await _push(client, source, consented, push), shown)
    return Proof(cache, shown)


async def _patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask again for a while: a consent cannot be asked for again as easily as a read, and Microsoft may have a bad moment."""
    async for attempt in stamina.retry_context(on=Retryable, attempts=_ATTEMPTS, timeout=_PATIENCE):
        with attempt:
            return await ask()
    raise AssertionError("stamina always makes an attempt")


def _users(colleagues: Sequence[Colleague]) -> Check:
    found = len(colleagues)
    if found >= _ASKED:
        return Check("users", Mark.GOOD, english("%(count)s users found, and there are more."), {"count": found})
    if found:
        return Check("users", Mark.GOOD, english("%(count)s users found."), {"count": found})
    return Check(
        "users", Mark.OPEN, english("The account sees no users. Guests and restricted accounts often see nobody.")
    )


def _presence(read: int) -> Check:
    if read:
        return Check("presence", Mark.GOOD, english("Presence of %(count)s users read."), {"count": read})
    return Check(
        "presence",
        Mark.OPEN,
        english(
            "Reading worked, but Microsoft reports nobody’s presence yet. That is so when nobody has a licence for Teams."
        ),
    )


async def _push(client: GraphClient, token: TokenSource, consented: Consented, push: PushSettings | None) -> Check:
    """Ask for one real subscription, and delete it again. Whatever comes of it, presence is read every few seconds."""
    if push is None:
        return Check(
            "push",
            Mark.OPEN,
            english(
                "Not tried: this relay is not set up for notifications. It reads every few seconds, which works without."
            ),
        )
    wanted = subscriptions.Wanted(
        users=(consented.account_id,),
        notification_url=push.url_base + new_route(consented.tenant_id),
        client_state=new_client_state(),
        certificate=push.certificates.newest,
        expires=datetime.now(UTC) + _LIFE,
    )
    try:
        made = await subscriptions.create(client, token, wanted)
        await subscriptions.delete(client, token, made.subscription_id)
    except SubscriptionExists:
        return Check("push", Mark.GOOD, english("Microsoft announces changes to this account already."))
    except RelayError as error:
        log.info("push_not_possible", tenant_id=consented.tenant_id, error=str(error))
        return Check("push", Mark.OPEN, _why_not(error))
    return Check(
        "push",
        Mark.GOOD,
        english("Microsoft announces changes at once. Tried with one subscription, which was deleted again."),
    )


def _why_not(error: RelayError) -> str:
    if isinstance(error, WebhookUnreachable):
        return english(
            "Microsoft did not reach this relay’s address for notifications; its operator can mend that. Presence is read every few "
            "seconds regardless."
        )
    if isinstance(error, SubscriptionRefused):
        return english(
            "Microsoft allows no further subscription for now. Presence is read every few seconds regardless, and it is tried again."
        )
    if isinstance(error, AccessDenied | RequestRefused):
        return english("Microsoft allows this account no notifications. Presence is read every few seconds regardless.")
    return english(
        "Microsoft did not answer when asked for notifications. It is tried again later; reading works regardless."
    )


def _shown(colleagues: Sequence[Colleague], observations: Sequence[Observation]) -> tuple[Shown, ...]:
    """Some of those who have a presence, by name."""
    seen: dict[UserId, Observation] = {observation.user_id: observation for observation in observations}
    known = sorted((c for c in colleagues if c.user_id in seen), key=lambda c: c.display_name.casefold())
    return tuple(_line(colleague, seen[colleague.user_id]) for colleague in known[:SHOWN])


def _line(colleague: Colleague, seen: Observation) -> Shown:
    out = seen.out_of_office.active if seen.out_of_office is not None else None
    status = map_presence(seen.availability, seen.activity, out).console_status
    return Shown(colleague.display_name, colleague.upn, LOOKS[status].icon, STATUS[status])
