"""A console of the agent, as one is written in any language: it reads server-sent events, and shows what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx


class Console:
    """What a console shows.

    Attributes:
        users: user -> what was said last.
        notes: user -> the note about them; without one, they are absent.
        seen: the name of each event, in order.
        last_event_id: of the newest event.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.users: dict[str, dict[str, Any]] = {}
        self.notes: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, Any] = {}
        self.notes_state: dict[str, Any] = {}
        self.seen: list[str] = []
        self.status = 0
        self.last_event_id = ""
        self.is_over = False

    def status_of(self, user: str) -> str | None:
        """The status, `?` behind it when uncertain; the reason when unknown; None for somebody who is not shown."""
        found = self.users.get(user)
        return None if found is None else found["reason"] or f"{found['status']}{'?' if found['uncertain'] else ''}"

    def note_of(self, user: str) -> str | None:
        """The text of the note about a user; None when there is none."""
        return self.notes[user]["text"] if user in self.notes else None

    async def listen(
        self, query: str = "", headers: dict[str, str] | None = None, client: httpx.AsyncClient | None = None
    ) -> None:
        """Read until the stream ends."""
        head = {"Last-Event-ID": self.last_event_id} if self.last_event_id else {}
        async with (
            contextlib.nullcontext(client) if client else httpx.AsyncClient(trust_env=False) as used,
            used.stream(
                "GET", f"{self.url}/v1/events{query}", headers={**head, **(headers or {})}, timeout=None
            ) as response,
        ):
            self.status = response.status_code
            name, data = "", ""
            async for line in response.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data = value
                elif field == "id":
                    self.last_event_id = value
                elif not line and name:
                    self._take(name, json.loads(data))
                    name = ""
        self.is_over = True

    def _take(self, name: str, data: dict[str, Any]) -> None:
        self.seen.append(name)
        if name == "everything":
            self.users.clear()
            self.notes.clear()
        elif name == "state":
            self.users[data["user"]] = data
        elif name == "removed":
            self.users.pop(data["user"], None)
            self.notes.pop(data["user"], None)
        elif name == "note" and data["note"] is not None:
            self.notes[data["user"]] = data["note"]
        elif name == "note":
            self.notes.pop(data["user"], None)
        elif name == "sources":
            self.sources, self.notes_state = data["sources"], data["notes"]


@contextlib.asynccontextmanager
async def listening(console: Console, query: str = "", headers: dict[str, str] | None = None) -> AsyncIterator[Console]:
    """Let a console listen while the context lasts."""
    task = asyncio.create_task(console.listen(query, headers))
    try:
        yield console
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
            await task
