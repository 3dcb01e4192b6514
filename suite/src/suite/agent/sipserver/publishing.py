"""The rules of PUBLISH (RFC 3903): who may publish the state of a phone, and how it reaches the board."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from suite.agent.core.values import PhoneSource, TelephonyState, TelephonyStatement
from suite.agent.sipserver.finding import find_colleague
from suite.agent.sipserver.telephony import published_phone, winning_state
from suite.sip.errors import BadDocument, MalformedMessage
from suite.sip.headers import parameters
from suite.sip.uris import parse_uri

if TYPE_CHECKING:
    from suite.agent.board import Board
    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.sipserver.access import SipAccess
    from suite.names import Key
    from suite.sip.incoming import Incoming, Refusal
    from suite.sip.publications import PublishedState


class PhonePublishing:
    """The states of phones that telephone systems publish: `PublishRules` of the SIP server."""

    def __init__(self, settings: SipServerSettings, board: Board, access: SipAccess) -> None:
        self.settings = settings
        self._board = board
        self._access = access
        self._states: dict[str, Counter[TelephonyState]] = {}
        """Resource -> its published states, each with the number of publications."""
        self._resources: dict[Key, dict[str, None]] = {}
        """Colleague -> published resources that name the colleague."""

    # Called by `PublishDoor`

    def admit(self, incoming: Incoming) -> Refusal | None:
        """Refuse a client that may not publish, a URI of no colleague, and a document of another user."""
        refused = self._access.publish(incoming)
        if refused is not None:
            return refused
        request = incoming.request
        found = find_colleague(self._board, request.uri, self.settings.domains)
        if found is None:
            return 404, "Not Found", ()
        if not request.body:
            return None
        event = parameters(request.headers.first("event") or "")[0].lower()
        try:
            entity, _ = published_phone(event, request.body)
        except BadDocument:
            return 400, "Unreadable Document", ()
        return None if self._is_of(entity, request.uri, found[0]) else (403, "Document Of Another Entity", ())

    def published(self, state: PublishedState, replaced: PublishedState | None) -> None:
        """Add a published state in place of the one that it replaces."""
        states = self._states.setdefault(state.resource, Counter())
        if replaced is not None:
            states[published_phone(replaced.event, replaced.body)[1]] -= 1
        states[published_phone(state.event, state.body)[1]] += 1
        self._find(state.resource)

    def withdrawn(self, state: PublishedState) -> None:
        """Remove a state that expired or was removed by its publisher."""
        states = self._states.get(state.resource, Counter())
        states[published_phone(state.event, state.body)[1]] -= 1
        self._find(state.resource)
        if not +states:
            self._states.pop(state.resource, None)

    # The board

    def settle(self) -> None:
        """Map the published resources to the colleagues who are on the board now."""
        before, self._resources = self._resources, {}
        for resource in self._states:
            self._find(resource)
        for key in before.keys() - self._resources.keys():
            self._state(key)

    def clear(self) -> None:
        """Forget all states."""
        self._states.clear()
        self.settle()

    def _find(self, resource: str) -> None:
        found = find_colleague(self._board, resource, self.settings.domains)
        if found is not None:
            self._resources.setdefault(found[0], {})[resource] = None
            self._state(found[0])

    def _state(self, key: Key) -> None:
        """Put the published state of a colleague on the board, or withdraw it."""
        said = [state for each in self._resources.get(key, ()) for state in +self._states.get(each, Counter())]
        entry = self._board.entries.get(key)
        before = entry.telephony.get(PhoneSource.PUBLISHED) if entry is not None else None
        if not said:
            self._resources.pop(key, None)
            self._board.state_telephony(key, PhoneSource.PUBLISHED, None)
        elif before is None or before.state is not winning_state(said):
            statement = TelephonyStatement(state=winning_state(said), since=datetime.now(UTC))
            self._board.state_telephony(key, PhoneSource.PUBLISHED, statement)

    def _is_of(self, entity: str, uri: str, key: Key) -> bool:
        """Return True if a document belongs to the URI of its PUBLISH: same colleague, or same user at another host."""
        named = f"sip:{entity[5:]}" if entity.lower().startswith("pres:") else entity
        found = find_colleague(self._board, named, self.settings.domains)
        if found is not None:
            return found[0] == key
        try:
            user = parse_uri(named).user
            return bool(user) and user == parse_uri(uri).user
        except MalformedMessage:
            return False
