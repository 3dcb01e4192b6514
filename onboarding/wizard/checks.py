"""The checks of a new grant, for the page: users, presence, one subscription. `relay.consent.prove` runs the trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from onboarding.wizard.flow import Check, CheckState, PresenceSample
from pages.status_names import STATUS_NAMES
from relay.consent.prove import GrantTrial
from relay.core.showing.mapping import LOOKS, map_presence
from relay.errors import (
    AccessDenied,
    RelayError,
    RequestRefused,
    SubscriptionExists,
    SubscriptionRefused,
    WebhookUnreachable,
    support_fields,
)
from relay.locale.languages import english

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from relay.consent.prove import ProvenGrant
    from relay.core.consent.values import NewGrant
    from relay.core.presence import Observation, UserId
    from relay.graph.client import GraphClient
    from relay.graph.presence.organisation import Colleague
    from relay.graph.push.settings import PushSettings

    Tell = Callable[[Check, tuple[PresenceSample, ...]], Awaitable[None]]

log = structlog.get_logger(__name__)

SHOWN: Final = 6
"""Users on the page: enough to recognise one's own organisation, few enough to read."""
_ASKED: Final = 40
"""Users to request: more than the page shows, because Microsoft reports no presence of service accounts and rooms."""


async def check(client: GraphClient, new: NewGrant, push: PushSettings | None, tell: Tell) -> ProvenGrant:
    """Use a new grant as the worker will, and report each check when it is done.

    Args:
        client: Graph.
        new: the grant.
        push: settings of a subscription; None if this relay uses none.
        tell: receives each check with its outcome, and the samples known by then.

    Raises:
        Retryable, ConsentRequired, AccessDenied, RequestRefused, CredentialRejected: see `GrantTrial`.
    """
    async with GrantTrial(client, new) as trial:
        colleagues = await trial.users(_ASKED)
        await tell(_users(colleagues), ())
        observations = await trial.presences([colleague.user_id for colleague in colleagues])
        shown = _shown(colleagues, observations)
        await tell(_presence(len(observations)), shown)
        await tell(await _push(trial, new, push), shown)
        return trial.proven()


def _users(colleagues: Sequence[Colleague]) -> Check:
    found = len(colleagues)
    if found >= _ASKED:
        return Check(
            "users", CheckState.PASSED, english("%(count)s users found, and there are more."), {"count": found}
        )
    if found:
        return Check("users", CheckState.PASSED, english("%(count)s users found."), {"count": found})
    return Check(
        "users",
        CheckState.OPTIONAL,
        english("The account cannot see other users. Guests and restricted accounts often cannot."),
    )


def _presence(read: int) -> Check:
    if read:
        return Check("presence", CheckState.PASSED, english("Presence of %(count)s users read."), {"count": read})
    return Check(
        "presence",
        CheckState.OPTIONAL,
        english("Reading works, but Microsoft reports no presence. Usually no user has a Teams licence."),
    )


async def _push(trial: GrantTrial, new: NewGrant, push: PushSettings | None) -> Check:
    """Try one real subscription. Presence is read every few seconds in any case."""
    if push is None:
        return Check(
            "push",
            CheckState.OPTIONAL,
            english(
                "Not tested: change notifications are not set up on this relay. The relay polls every few seconds."
            ),
        )
    try:
        await trial.subscribe(push)
    except SubscriptionExists:
        return Check(
            "push", CheckState.PASSED, english("Microsoft already sends change notifications to this account.")
        )
    except RelayError as error:
        log.info("push_not_possible", tenant_id=new.tenant_id, error=str(error), **support_fields(error))
        return Check("push", CheckState.OPTIONAL, _why_not(error))
    return Check(
        "push",
        CheckState.PASSED,
        english("Microsoft sends change notifications. We tested this with one subscription and deleted it."),
    )


def _why_not(error: RelayError) -> str:
    if isinstance(error, WebhookUnreachable):
        return english(
            "Microsoft could not reach this relay’s notification address. The relay operator can fix this. The relay polls every few seconds."
        )
    if isinstance(error, SubscriptionRefused):
        return english(
            "Microsoft allows no more subscriptions right now. The relay tries again later and polls every few seconds."
        )
    if isinstance(error, AccessDenied | RequestRefused):
        return english(
            "Microsoft does not allow change notifications for this account. The relay polls every few seconds."
        )
    return english("Microsoft did not answer. The relay tries again later and polls until then.")


def _shown(colleagues: Sequence[Colleague], observations: Sequence[Observation]) -> tuple[PresenceSample, ...]:
    """Return samples of some users who have a presence, sorted by name."""
    seen: dict[UserId, Observation] = {observation.user_id: observation for observation in observations}
    known = sorted((c for c in colleagues if c.user_id in seen), key=lambda c: c.display_name.casefold())
    return tuple(_line(colleague, seen[colleague.user_id]) for colleague in known[:SHOWN])


def _line(colleague: Colleague, seen: Observation) -> PresenceSample:
    out = seen.out_of_office.active if seen.out_of_office is not None else None
    status = map_presence(seen.availability, seen.activity, out).console_status
    return PresenceSample(colleague.display_name, colleague.upn, LOOKS[status].icon, STATUS_NAMES[status])
