"""The SIP server as a part of the agent: it listens while it runs, and tells its subscriptions when it ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from suite.agent.sipserver.documents import EVENTS
from suite.agent.sipserver.watching import PhoneWatching
from suite.sip.notifier import Notifier
from suite.sip.user_agent import UserAgent
from suite.sip.watchers import NotifierLimits

if TYPE_CHECKING:
    from suite.agent.board import Board
    from suite.agent.settings.groups.sip_server import SipAddress, SipServerSettings

log = logging.getLogger(__name__)

LISTEN_AGAIN_S: Final = 5.0
_COME_BACK_S: Final = 15
"""Phones are asked to subscribe again after so long when the agent stops: it may be started again."""


class PhoneServer:
    """The SIP server. `run` serves until it is cancelled."""

    def __init__(self, settings: SipServerSettings, board: Board, *, listen_again_s: float = LISTEN_AGAIN_S) -> None:
        self._settings = settings
        self._watching = PhoneWatching(settings, board)
        self._listen_again_s = listen_again_s
        self._listening: set[SipAddress] = set()

    @property
    def is_listening(self) -> bool:
        """Return True when it listens on all its addresses."""
        return self._listening == set(self._settings.addresses)

    async def run(self) -> None:
        """Serve until cancelled. A port that cannot be had is tried again and again."""
        async with UserAgent() as agent:
            notifier = Notifier(agent, self._watching, EVENTS, NotifierLimits())
            try:
                async with asyncio.TaskGroup() as group:
                    for address in self._settings.addresses:
                        group.create_task(self._listen(agent, address), name=f"sip listen {address}")
                    group.create_task(self._watching.follow(), name="sip follow")
            finally:
                await notifier.close("probation", _COME_BACK_S)

    async def _listen(self, agent: UserAgent, address: SipAddress) -> None:
        """Listen on an address, as soon as it can be had."""
        told = ""
        while True:
            try:
                await agent.listen(address.protocol, address.host, address.port)
            except OSError as error:
                if told != (told := error.strerror or str(error)):
                    log.exception("sip server: cannot listen on %s: %s. It is tried again.", address, told)
                await asyncio.sleep(self._listen_again_s)
            else:
                self._listening.add(address)
                log.info("sip server: listening on %s", address)
                return
