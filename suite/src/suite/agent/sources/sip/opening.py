"""The SIP source, or a placeholder when its libraries are missing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from suite.agent.core.values import SourceName
from suite.agent.settings.libraries import HOW_TO_INSTALL, has_libraries
from suite.agent.sources.source import Connector, ConnectorState

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.board import Board
    from suite.agent.settings.groups.sip_simple import SipSimpleSettings
    from suite.agent.sources.source import RichSource
    from suite.backoff import Backoff


def sip_source(
    settings: SipSimpleSettings, board: Board, on_connector: Callable[[], None], backoff: Backoff | None
) -> RichSource:
    """Return the source for these settings."""
    if not has_libraries():
        return _WithoutLibraries()
    from suite.agent.sources.sip.source import SipSource  # it needs the libraries

    return SipSource(settings, board, on_connector=on_connector, backoff=backoff)


class _WithoutLibraries:
    """A placeholder that reports the missing libraries."""

    name: SourceName = SourceName.SIP

    def __init__(self) -> None:
        self.connector = ConnectorState(Connector.NOT_CONFIGURED, HOW_TO_INSTALL)

    def watch(self) -> None:
        """Do nothing."""

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.Event().wait()
