"""The state of the SIP server, for the agent's page. Only this module of the SIP server works without `presence-suite[sip]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from suite.agent.sources.source import Connector


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesState:
    """The state of the SIP server.

    Attributes:
        state: DISABLED when there is none.
        detail: a sentence for a person where there is more to say.
        subscriptions: of phones, telephone systems and presence servers to colleagues and lists.
    """

    state: Connector = Connector.DISABLED
    detail: str = ""
    subscriptions: int = 0


@runtime_checkable
class ServesPhones(Protocol):
    """A part of the agent that serves phones."""

    @property
    def phones(self) -> PhonesState:
        """Return the state of the SIP server."""
