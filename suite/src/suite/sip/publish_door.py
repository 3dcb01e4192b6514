"""Receives PUBLISH requests (RFC 3903), by which a PBX such as Asterisk reports the states of its phones."""

from __future__ import annotations

import asyncio
from typing import Protocol

from suite.sip.headers import parameters
from suite.sip.incoming import Incoming, Refusal
from suite.sip.publications import Publications, PublishedState
from suite.sip.replies import delta_s
from suite.sip.uris import resource_key
from suite.sip.user_agent import UserAgent


class PublishRules(Protocol):
    """Decides who may publish, and receives the states. Calls must not block."""

    def admit(self, incoming: Incoming) -> Refusal | None:
        """Return the refusal of a PUBLISH: 403, 404, or a 401 by `DigestServer.check`. None admits it."""

    def published(self, state: PublishedState, replaced: PublishedState | None) -> None:
        """Take a published state, and the one that it replaces."""

    def withdrawn(self, state: PublishedState) -> None:
        """Take the end of a state: it was removed, or has expired."""


class PublishDoor:
    """Receives PUBLISH requests. `events` has the content type that each event package accepts."""

    def __init__(
        self, agent: UserAgent, rules: PublishRules, events: dict[str, str], publications: Publications | None = None
    ) -> None:
        self.publications = publications if publications is not None else Publications()
        self._rules = rules
        self._events = events
        self._timer: asyncio.TimerHandle | None = None
        agent.handle("PUBLISH", self._publish)

    def close(self) -> None:
        """Stop the timer that expires states."""
        if self._timer is not None:
            self._timer.cancel()

    def _publish(self, incoming: Incoming) -> None:
        headers = incoming.request.headers
        event = parameters(headers.first("event") or "")[0].lower()
        kind = parameters(headers.first("content-type") or "")[0].lower()
        if event not in self._events:
            incoming.respond(489, "Bad Event", ("Allow-Events", ", ".join(sorted(self._events))))
            return
        if incoming.request.body and kind != self._events[event]:
            incoming.respond(415, "Unsupported Media Type", ("Accept", self._events[event]))
            return
        refused = self._rules.admit(incoming)
        if refused is not None:
            incoming.respond(refused[0], refused[1], *refused[2])
            return
        state = PublishedState(
            resource=resource_key(incoming.request.uri), event=event, content_type=kind, body=incoming.request.body
        )
        self._take(incoming, state)

    def _take(self, incoming: Incoming, state: PublishedState) -> None:
        headers, now = incoming.request.headers, asyncio.get_running_loop().time()
        expires = delta_s(headers.first("expires"))
        answer = self.publications.publish(state, headers.first("sip-if-match"), expires, now)
        fields = [("SIP-ETag", answer.tag), ("Expires", str(answer.expires_s))] if answer.status == 200 else []
        fields += [("Min-Expires", str(answer.expires_s))] if answer.status == 423 else []
        fields += [("Retry-After", "60")] if answer.status == 503 else []
        incoming.respond(answer.status, answer.reason, *fields)
        if answer.changed is not None:
            self._rules.published(answer.changed, answer.ended)
        elif answer.ended is not None:
            self._rules.withdrawn(answer.ended)
        self._set_timer()

    def _set_timer(self) -> None:
        due = self.publications.next_due()
        if self._timer is None and due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        for state in self.publications.expire(asyncio.get_running_loop().time()):
            self._rules.withdrawn(state)
        self._set_timer()
