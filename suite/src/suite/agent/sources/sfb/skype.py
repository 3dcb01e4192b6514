"""The source Skype for Business: consecutive sessions, the doubt about their statements, and the state of the connection.

A user name and password that were refused are not sent again while the source runs. A change of the settings, or of the password file,
creates a new source.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from suite.agent.core.values import SourceName
from suite.agent.sources.doubt import Trust
from suite.agent.sources.sfb.discovery import hosts_of
from suite.agent.sources.sfb.errors import UcwaBroken, UcwaBusy, UcwaGone, UcwaRefused
from suite.agent.sources.sfb.http import UcwaHttp
from suite.agent.sources.sfb.pace import SessionPace
from suite.agent.sources.sfb.session import UcwaSession
from suite.agent.sources.sfb.sightings import Sightings
from suite.agent.sources.sfb.tokens import UcwaTokens
from suite.agent.sources.source import NEEDS_A_PERSON, Connector, ConnectorState
from suite.backoff import Backoff
from suite.names import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from suite.agent.board import Board
    from suite.agent.settings.groups.sfb import SfbSettings

log = logging.getLogger(__name__)

NOTICE: Final = "Written from Microsoft's documentation, and never seen against a real server."
TICK_S: Final = 1.0
"""Seconds between two checks of the doubt."""
REFUSED_WAIT_S: Final = 600.0
"""Seconds between a refusal and the next session: after a person has acted at the server, the agent needs no restart."""


class SkypeSource:
    """The Skype for Business presence of the colleagues on the board. Another one is made when its settings change.

    Attributes:
        connector: the state of the connection to the server. Its detail has `NOTICE`.
    """

    name: SourceName = SourceName.SFB

    def __init__(
        self,
        settings: SfbSettings,
        board: Board,
        *,
        on_connector: Callable[[], None] = lambda: None,
        backoff: Backoff | None = None,
        tokens: UcwaTokens | None = None,
        pace: SessionPace | None = None,
    ) -> None:
        self.connector = ConnectorState(Connector.CONNECTING, NOTICE)
        self._settings = settings
        self._board = board
        self._on_connector = on_connector
        self._backoff = backoff or Backoff()
        self._pace = pace or SessionPace()
        self._tokens = tokens or UcwaTokens()
        self._sightings = Sightings(board)
        self._trust = Trust(0.0, 0.0)
        self._session: UcwaSession | None = None
        self._is_serving = False
        self._endpoint_id = str(uuid.uuid4())

    def watch(self) -> None:
        """Notify the source that the colleagues on the board changed."""
        if self._is_serving:
            self._sightings.follow()
        if self._session is not None:
            self._session.watch()

    async def run(self) -> None:
        """Run until cancelled. The source's statements are then withdrawn."""
        ticking = asyncio.create_task(self._tick(), name="sfb doubt")
        try:
            if self._is_ready():
                log.warning("sfb: this source is on. %s", NOTICE)
                await self._serve()
            await asyncio.Event().wait()
        finally:
            ticking.cancel()
            await asyncio.wait({ticking})
            self._board.withdraw(self.name)

    def _is_ready(self) -> bool:
        settings = self._settings
        if not (settings.address or settings.domain):
            self._connected(Connector.NOT_CONFIGURED, "SfB.Address and SfB.Domain are not set.")
        elif not (settings.user_name and settings.password):
            self._connected(Connector.CREDENTIALS_NOT_FOUND, "SfB.UserName or SfB.PasswordFile is not set.")
        else:
            return True
        return False

    async def _serve(self) -> None:
        """Run sessions, until the user name and password are refused."""
        self._trust = Trust(_now(), self._settings.unknown_after.total_seconds())
        self._is_serving = True
        self._sightings.follow()
        while True:
            wait_s = await self._until_broken()
            if wait_s is None:
                return
            await asyncio.sleep(wait_s)

    async def _until_broken(self) -> float | None:
        """Run one session until it ends, and return the seconds to wait for the next; None when there must be none."""
        began = _now()
        asked = timedelta(0)
        try:
            async with UcwaHttp(self._settings, hosts_of(self._settings), self._tokens, self._pace) as http:
                self._session = UcwaSession(http, self._settings, self._sightings, on_flow=self._flows, pace=self._pace)
                await self._session.run(self._endpoint_id)
        except UcwaRefused as error:
            self._trust.refused(error.state.value)
            self._connected(error.state, str(error))
            return None if error.is_final else REFUSED_WAIT_S
        except UcwaBroken as error:
            if not (isinstance(error, UcwaGone) and self._session is not None and self._session.has_begun):
                self._connected(Connector.CONNECTION_ERROR, str(error))
            asked = timedelta(seconds=error.wait_s if isinstance(error, UcwaBusy) else 0.0)
        except Exception as error:
            log.error("sfb: a bug of the agent ended the session. Report it: %s", _place_of(error))  # noqa: TRY400
            self._connected(Connector.CONNECTION_ERROR, "A bug of the agent ended the session. See the agent's log.")
        finally:
            self._session = None
            self._trust.broke(_now())
            self._look()
        # A server that knows an endpoint id may refuse it, or answer with the application that has gone.
        self._endpoint_id = str(uuid.uuid4())
        lasted = timedelta(seconds=_now() - began)
        return self._backoff.after(lasted, at_least=asked or None).total_seconds()

    # The state of the connection

    def _flows(self, why: str) -> None:
        """Note that events arrive, for an empty reason, or the reason for which they stopped."""
        if why:
            self._trust.broke(_now())
            self._connected(Connector.CONNECTION_ERROR, why)
        else:
            self._trust.completed()
            self._connected(Connector.UP_AND_RUNNING, self._remarks())
        self._look()

    def _remarks(self) -> str:
        """Return warnings about a session that runs."""
        session, remarks = self._session, []
        if session is not None and session.left_out:
            remarks.append(f"The server lets the user watch no more: {session.left_out} colleagues are left out.")
        user, uri = (session.user if session is not None else ""), self._settings.uri
        if user and uri and key_of(user) != key_of(uri):
            remarks.append("The server signed in another user than SfB.Uri names.")
        return " ".join(remarks)

    def _connected(self, state: Connector, detail: str) -> None:
        connector = ConnectorState(state, f"{detail} {NOTICE}".strip())
        if connector != self.connector:
            if state is not self.connector.state:
                level = logging.WARNING if state in NEEDS_A_PERSON else logging.INFO
                log.log(level, "sfb: %s", f"{state.value} {detail}".rstrip())
            self.connector = connector
            self._on_connector()

    def _look(self) -> None:
        self._sightings.trust(self._trust.doubt(_now()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._look()


def _place_of(error: Exception) -> str:
    """Return the type and line of an error. Its text may contain data that must not be logged."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.name}, line {last.lineno}"


def _now() -> float:
    return asyncio.get_running_loop().time()
