"""The state of a source's connection, in the words of the settings page of the vendor's suite."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from suite.agent.core.values import SourceName


class Connector(enum.StrEnum):
    """The state of a source's connection."""

    NOT_CONFIGURED = "server_not_configured"
    DISABLED = "disabled"
    CONNECTING = "connecting"
    UP_AND_RUNNING = "up_and_running"
    CONNECTION_ERROR = "connection_error"
    FORBIDDEN = "forbidden"
    CREDENTIALS_NOT_FOUND = "credentials_not_found"


NEEDS_A_PERSON: Final = frozenset({Connector.NOT_CONFIGURED, Connector.FORBIDDEN, Connector.CREDENTIALS_NOT_FOUND})
"""States that last until a person does something."""


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """The state of a source's connection, and a sentence for a person where there is more to say."""

    state: Connector
    detail: str = ""


@runtime_checkable
class RichSource(Protocol):
    """A source of rich presence. It puts what it learns on the board while it runs, and withdraws it when it stops."""

    name: SourceName
    connector: ConnectorState

    def watch(self) -> None:
        """Notify the source that the colleagues on the board changed."""

    async def run(self) -> None:
        """Run until cancelled."""
