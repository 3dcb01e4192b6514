"""The interface of a feed, and the state of its connection for the local API and the log."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from suite.agent.sources.source import NEEDS_A_PERSON, ConnectorState
from suite.channel import pem_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.sources.source import Connector

log = logging.getLogger(__name__)


@runtime_checkable
class Feed(Protocol):
    """A part that sends colleagues' states to a telephone system or a presence server while it runs."""

    feed_name: str
    """As the local API names it."""
    link: FeedLink


class FeedLink:
    """The state of a feed's connection. Another state is logged, and each change calls `on_change`.

    Attributes:
        connector: the state.
    """

    def __init__(self, name: str, first: ConnectorState, on_change: Callable[[], None]) -> None:
        self.connector = first
        self._name = name
        self._on_change = on_change
        self._log(first)

    def report(self, state: Connector, detail: str = "") -> None:
        """Set the current state."""
        found = ConnectorState(state, detail)
        if found != self.connector:
            is_another = found.state is not self.connector.state
            self.connector = found
            if is_another:
                self._log(found)
            self._on_change()

    def _log(self, found: ConnectorState) -> None:
        level = logging.WARNING if found.state in NEEDS_A_PERSON else logging.INFO
        log.log(level, "%s: %s", self._name, f"{found.state.value} {found.detail}".rstrip())


def client_context(ca_pem: bytes | None) -> ssl.SSLContext:
    """Return a TLS context that trusts this CA, or the public ones for None."""
    return ssl.create_default_context(cadata=pem_text(ca_pem) if ca_pem is not None else None)
