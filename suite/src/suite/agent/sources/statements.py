"""The relay's answers as statements of the Teams source. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import RichState, RichStatement
from suite.agent.sources.doubt import Doubt
from suite.values import Status

if TYPE_CHECKING:
    from suite.held import Answer, Resolution

PENDING: Final = RichStatement(reason=Status.PENDING.label)
TOO_MANY: Final = RichStatement(reason="too_many_users")


def statement_of(resolution: Resolution | None, answer: Answer | None) -> RichStatement:
    """Return the relay's answer about a name as a statement, before doubt is applied."""
    if answer is not None and answer.presence is not None:
        presence = answer.presence
        state = RichState(presence.console_status.label)
        reason = "" if state is not RichState.UNKNOWN else "presence_unknown"
        return RichStatement(state=state, reason=reason, since=presence.observe_time, is_uncertain=answer.is_uncertain)
    status = answer.status if answer is not None else resolution.status if resolution is not None else None
    return RichStatement(reason=(status or Status.PENDING).label)


def doubted(said: RichStatement, doubt: tuple[Doubt, str]) -> RichStatement:
    """Return a statement with doubt applied."""
    degree, reason = doubt
    if degree is Doubt.UNKNOWN:
        return RichStatement(reason=reason)
    if degree is Doubt.UNCERTAIN and said.is_known:
        return replace(said, is_uncertain=True)
    return said
