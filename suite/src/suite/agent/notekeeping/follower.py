"""Follow the hub: the agent through which notes are shared.

    hub ── new versions ─────────────► keeper ──► consoles of this agent
     ▲                                   │
     └── those that the hub did not send ┘

After a start of the hub or of this agent, the hub sends all versions, and receives those that it lacks. So both have all notes, even
those written while one was unavailable or after it lost its disk, and no record of sent versions is needed. A version that
an agent already has changes nothing and is not sent on, so versions never circulate, even when two agents follow each other.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx

from suite.agent.notekeeping.event_reader import events_of
from suite.agent.notekeeping.keeper import SharingState
from suite.agent.notes.values import MOST_EARLIER, MOST_SUBJECTS
from suite.agent.notes.wire import MOST_VERSIONS, decode_version, encode_version
from suite.agent.sources.source import Connector
from suite.backoff import Backoff
from suite.channel import pem_text

if TYPE_CHECKING:
    from suite.agent.notekeeping.keeper import NoteKeeper
    from suite.agent.notes.values import Kept, VersionId
    from suite.agent.settings.groups.hub import HubSettings

log = logging.getLogger(__name__)

PATH: Final = "/v1/notes/versions"
CONNECT_S: Final = 10.0
SILENT_S: Final = 45.0
"""Silence after which the connection counts as dead. The hub sends an event at least every 15 seconds."""
REFUSED_WAIT_S: Final = 60.0
"""Wait after the hub refused. An administrator must act; the agent retries, so that no restart is needed afterwards."""
_MOST_AT_HUB: Final = 4 * (MOST_SUBJECTS + MOST_EARLIER)


class HubRefused(Exception):
    """The hub refuses this agent, or is not a hub. An administrator must act.

    Attributes:
        state: the state of the connection.
    """

    def __init__(self, state: Connector, message: str) -> None:
        super().__init__(message)
        self.state = state


class HubFollower:
    """Follows one hub. After a change of its settings, a new follower replaces it."""

    def __init__(self, settings: HubSettings, keeper: NoteKeeper, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._keeper = keeper
        self._backoff = backoff or Backoff()
        self._trust = _trust(settings)
        self._hub_run = ""
        self._last_event_id = ""
        self._follows = False
        self._at_hub: set[VersionId] = set()
        """Versions that this run of the hub is known to have."""
        self._is_strange = False
        """Whether a warning was logged about a version that this agent cannot read."""

    async def run(self) -> None:
        """Run until cancelled."""
        self._keeper.follows = True
        try:
            while True:
                await self._pause(await self._until_broken())
        finally:
            self._keeper.follows = False
            self._keeper.share(SharingState())

    async def _until_broken(self) -> float:
        """Follow the hub until the connection breaks, report the reason, and return the seconds to wait."""
        began = asyncio.get_running_loop().time()
        try:
            async with self._client() as client:
                await self._session(client)
        except HubRefused as error:
            self._tell(error.state, str(error))
            return REFUSED_WAIT_S
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            self._tell(Connector.CONNECTION_ERROR, _words(error))
        else:
            self._tell(Connector.CONNECTION_ERROR, "The hub ended the connection.")
        lasted = timedelta(seconds=asyncio.get_running_loop().time() - began)
        return self._backoff.after(lasted).total_seconds()

    def _client(self) -> httpx.AsyncClient:
        token = self._settings.token
        return httpx.AsyncClient(
            base_url=self._settings.url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(CONNECT_S, read=SILENT_S),
            verify=self._trust,
            trust_env=False,
        )

    async def _session(self, client: httpx.AsyncClient) -> None:
        if self._keeper.sharing.state is Connector.DISABLED:
            self._tell(Connector.CONNECTING, "")
        headers = {"last-event-id": self._last_event_id} if self._last_event_id else {}
        async with client.stream("GET", PATH, headers=headers) as response:
            self._check(response.status_code)
            complete = asyncio.Event()
            reading = asyncio.create_task(self._read(response, complete), name="hub")
            bringing = asyncio.create_task(self._bring(client, complete), name="bring")
            try:
                await asyncio.wait({reading, bringing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (reading, bringing):
                    task.cancel()
                await asyncio.wait({reading, bringing})
            for task in (reading, bringing):
                if not task.cancelled():
                    task.result()  # raises its error

    async def _read(self, response: httpx.Response, complete: asyncio.Event) -> None:
        """Receive the hub's events until the stream ends."""
        arrived: list[Kept] = []
        async for event in events_of(response.aiter_bytes()):
            if event.name == "hub":
                self._begin(event.data)
            elif event.name == "now":
                self._clock(event.data)
            elif event.name == "version":
                arrived += self._decoded(event.data)
            if arrived and (complete.is_set() or event.name == "complete" or len(arrived) >= MOST_VERSIONS):
                await self._keeper.take(arrived, must_keep=False)
                arrived = []
            if event.event_id and not arrived and _is_event_id(event.event_id):
                self._last_event_id = event.event_id
            if event.name == "complete":
                complete.set()

    def _decoded(self, data: dict[str, Any]) -> list[Kept]:
        """Return the version that the hub sent. An invalid one is left out, so that it does not block the others."""
        try:
            kept = decode_version(data, self._keeper.clock.now())
        except ValueError as error:
            if not self._is_strange:
                log.warning(
                    "notes: the hub sent a note that this agent cannot read: %s. Such notes are left out.", error
                )
            self._is_strange = True
            return []
        self._at_hub.add(kept.version.id)
        if len(self._at_hub) > _MOST_AT_HUB:  # most of them have been forgotten here since
            self._at_hub &= {one.version.id for one in self._keeper.versions()} | {kept.version.id}
        return [kept]

    def _check(self, status: int) -> None:
        """Check the status code of the hub's response."""
        if status in (401, 403):
            if not self._settings.token:
                raise HubRefused(Connector.CREDENTIALS_NOT_FOUND, "The hub needs a token: set Notes.HubTokenFile.")
            raise HubRefused(Connector.FORBIDDEN, "The hub refuses the token of Notes.HubTokenFile.")
        if status in (404, 405):
            raise HubRefused(Connector.CONNECTION_ERROR, "The server at Notes.Hub is not an agent that shares notes.")
        if status != 200:
            raise ValueError(f"the hub answers with status {status}")

    def _begin(self, hub: dict[str, Any]) -> None:
        """Record the hub's id and run. After a new run of the hub, start from the beginning."""
        run = str(hub.get("run", ""))
        if run == self._keeper.run_id:
            raise HubRefused(
                Connector.CONNECTION_ERROR, "Notes.Hub is the address of this agent itself. Leave it out on the hub."
            )
        if run != self._hub_run:
            self._hub_run, self._last_event_id = run, ""
            self._at_hub.clear()
        self._clock(hub)
        self._follows = hub.get("follows") is True
        if hub.get("agent") == self._keeper.agent:
            log.warning(
                "notes: the hub has the id of this agent: one store is a copy of the other. Notes are still shared."
            )

    def _clock(self, data: dict[str, Any]) -> None:
        now_ms = data.get("now_ms")
        if isinstance(now_ms, int) and not isinstance(now_ms, bool) and 0 <= now_ms < 2**53:
            self._keeper.clock.hub_says(now_ms)

    # Versions that the hub lacks

    async def _bring(self, client: httpx.AsyncClient, complete: asyncio.Event) -> None:
        """Send the versions that the hub lacks, once it has sent all of its own, and then new ones."""
        await complete.wait()
        with self._keeper.feed.following() as news:
            lacking = [kept for kept in self._keeper.versions() if kept.version.id not in self._at_hub]
            while True:
                position = self._keeper.feed.position
                await self._bring_all(client, lacking)
                self._tell(Connector.UP_AND_RUNNING, "The hub follows another agent itself." if self._follows else "")
                await news.wait()
                news.clear()
                found = [self._keeper.find(one) for _, one in self._keeper.feed.since(position)]
                lacking = [kept for kept in found if kept is not None and kept.version.id not in self._at_hub]

    async def _bring_all(self, client: httpx.AsyncClient, lacking: list[Kept]) -> None:
        for start in range(0, len(lacking), MOST_VERSIONS):
            piece = lacking[start : start + MOST_VERSIONS]
            now = self._keeper.clock.now()
            answer = await client.post(PATH, json={"versions": [encode_version(kept, now) for kept in piece]})
            if answer.status_code == 507:
                raise ValueError("the hub cannot store notes: its disk is full")
            self._check(answer.status_code)
            if many := _refused(answer):
                log.warning("notes: the hub refused %d of %d versions.", many, len(piece))
            self._at_hub.update(kept.version.id for kept in piece)

    # State

    def _unsent(self) -> int:
        mine = self._keeper.agent
        return sum(
            kept.version.agent == mine and kept.version.id not in self._at_hub for kept in self._keeper.versions()
        )

    def _tell(self, state: Connector, detail: str) -> None:
        self._keeper.share(SharingState(state=state, detail=detail, unsent=self._unsent()))

    async def _pause(self, seconds: float) -> None:
        """Wait, and keep the reported number of unsent versions up to date."""
        with self._keeper.feed.following() as news:
            loop = asyncio.get_running_loop()
            until = loop.time() + seconds
            while (left := until - loop.time()) > 0:
                try:
                    async with asyncio.timeout(left):
                        await news.wait()
                except TimeoutError:
                    return
                news.clear()
                self._tell(self._keeper.sharing.state, self._keeper.sharing.detail)


def _trust(settings: HubSettings) -> ssl.SSLContext:
    """Return the TLS context for the hub. It is created once, because reading the list of public CAs takes 0.05 s."""
    if settings.url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cadata=pem_text(settings.ca_pem) if settings.ca_pem is not None else None)


def _refused(answer: httpx.Response) -> int:
    try:
        value = answer.json()
    except RecursionError:
        raise ValueError("the hub's response is not that of an agent") from None
    many = value.get("refused") if isinstance(value, dict) else None
    return many if isinstance(many, int) else 0


def _is_event_id(text: str) -> bool:
    """Return True for an id that can be sent back in a header."""
    return len(text) <= 100 and text.isascii() and text.isprintable()


def _words(error: Exception) -> str:
    """Return a sentence for administrators about an error of the connection."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "The hub's certificate is not trusted. Set Notes.HubCaFile, and use the name that the certificate has."
    if isinstance(error, httpx.TimeoutException):
        return "The hub does not answer."
    return f"The hub cannot be reached: {text or type(error).__name__}."
