"""A suite as customers have it, with the real client library: everything that it asks and is told goes into the record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from suite import events as ev
from suite.client import PresenceClient
from suite.errors import Refused
from suite.values import Source, Status
from tests.chaos import record as lines
from tests.chaos.record import Line, Record


class Console:
    """One suite.

    Attributes:
        name: by which the record knows it.
        client: the library's client.
        is_connected: it has a stream.
        sources: how often a presence came by polling, and by notification.
    """

    def __init__(self, name: str, client: PresenceClient, record: Record | None = None) -> None:
        self.name = name
        self.client = client
        self.is_connected = False
        self.sources = dict.fromkeys(Source, 0)
        self._record = record or Record()
        self._status = ""
        self._is_complete = False
        self._listening: asyncio.Task[None] | None = None

    @property
    def is_well(self) -> bool:
        """Return whether the suite believes that what it shows is true."""
        return self.is_connected and self._is_complete and self._status == Status.NONE.name

    async def open(self, tenant: str = "", names: Iterable[str] = ()) -> None:
        """Connect with the key of a tenant; these names are those that the client was made with."""
        self._record.note(lines.Opened(time.time(), self.name, tenant))
        self._record.note(lines.Asked(time.time(), self.name, tuple(names)))
        await self.client.__aenter__()
        self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Leave for good."""
        await self.client.__aexit__(None, None, None)
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self._record.note(lines.Closed(time.time(), self.name))

    async def subscribe(self, names: Iterable[str]) -> None:
        """Watch these users too."""
        self._record.note(lines.Asked(time.time(), self.name, tuple(names)))
        await self.client.subscribe(names)

    async def unsubscribe(self, names: Iterable[str]) -> None:
        """Watch these users no longer."""
        await self.client.unsubscribe(names)
        self._record.note(lines.Dropped(time.time(), self.name, tuple(names)))

    def shows(self, name: str) -> tuple[str, str] | str:
        """Return availability and activity as Microsoft says them, or why there is none."""
        resolution, answer = self.client.find(name)
        if answer is None or answer.presence is None:
            return str(answer.status if answer is not None else resolution)
        return answer.presence.raw_availability, answer.presence.raw_activity

    async def _listen(self) -> None:
        with suppress(Refused):
            async for event in self.client.events():
                if isinstance(event, ev.Connected | ev.Disconnected):
                    self.is_connected, self._is_complete = isinstance(event, ev.Connected), False
                if isinstance(event, ev.Disconnected):
                    self._status = ""  # a stream that begins anew, after a reset, does not repeat it
                self._is_complete = self._is_complete or isinstance(event, ev.SnapshotComplete)
                if isinstance(event, ev.TenantStatus):
                    self._status = event.status.name
                if isinstance(event, ev.Changed) and event.presence is not None:
                    self.sources[event.presence.source] += 1
                if line := self._line(event, time.time()):
                    self._record.note(line)

    def _line(self, event: ev.Event, at: float) -> Line | None:
        match event:
            case ev.Connected(outcome=outcome):
                return lines.Connected(at, self.name, outcome.name)
            case ev.Disconnected(reason=reason, error_reason=code):
                return lines.Disconnected(at, self.name, code or reason)
            case ev.Reset(kept=kept):
                return lines.Reset(at, self.name, kept)
            case ev.SnapshotComplete():
                return lines.Complete(at, self.name)
            case ev.Resolved(name=name, user_id=user, status=status):
                return lines.Resolved(at, self.name, name, user or "", status.name if status is not None else "")
            case ev.Changed():
                return _shown(at, self.name, event)
            case ev.TenantStatus() | ev.Progress():
                return _told(at, self.name, event, self._status)
        return None


def _shown(at: float, suite: str, event: ev.Changed) -> Line:
    presence = event.presence
    if presence is None:
        return lines.Shown(
            at, suite, event.user_id, status=event.status.name if event.status is not None else "UNKNOWN"
        )
    return lines.Shown(
        at, suite, event.user_id, presence.raw_availability, presence.raw_activity, presence.sequence_number
    )


def _told(at: float, suite: str, event: ev.TenantStatus | ev.Progress, status: str) -> Line:
    """The line of an event; progress says nothing of the status, so the last one holds."""
    contact = event.contact_time.timestamp() if event.contact_time is not None else 0.0
    every_s = event.poll_interval.total_seconds() if event.poll_interval is not None else 0.0
    return lines.Told(at, suite, status, contact, every_s)
