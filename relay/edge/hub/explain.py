"""Answers questions about a user: which suites watch the user at this edge. The fan-out does not wait for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from relay.edge.tasks import ShortTasks
from relay.errors import RelayError
from relay.store.presence.explanations import EdgeAnswer, Explanations

if TYPE_CHECKING:
    from relay.edge.hub.tenants import TenantView
    from relay.store.presence.entries import WatcherQuestion
    from relay.store.server.connection import Store

_AT_ONCE: Final = 20
"""Questions that are being answered. Questions are rare, and the explanation says when an edge did not answer."""


class Questions:
    """The questions of `presence-relay explain` and of the tenant's page that this edge answers."""

    def __init__(self, store: Store, edge_id: str) -> None:
        self._explanations = Explanations(store)
        self._edge_id = edge_id
        self._tasks = ShortTasks()

    async def aclose(self) -> None:
        """Stop answering."""
        await self._tasks.aclose()

    def answer(self, asked: WatcherQuestion, view: TenantView | None) -> None:
        """Start an answer, if any suite of the tenant watches the user at this edge."""
        user = asked.user_id
        key_ids = {
            stream.key_id
            for stream in (view.streams if view else ())
            if (user is not None and stream.watch.watches_user(user)) or any(map(stream.watch.watches, asked.names))
        }
        if key_ids and len(self._tasks) < _AT_ONCE:
            answer = EdgeAnswer(edge_id=self._edge_id, key_ids=tuple(sorted(key_ids)))
            self._tasks.start(self._send(asked, answer), "hub-answer")

    async def _send(self, asked: WatcherQuestion, answer: EdgeAnswer) -> None:
        with suppress(RelayError):  # the answer then states that not all edges have answered
            await self._explanations.answer_as_edge(asked.tenant_id, asked.request_id, answer)
