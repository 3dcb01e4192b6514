"""One subscription: to a colleague, or to a list of them. Each makes the body of its next NOTIFY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from suite.agent.sipserver.documents import EVENTS
from suite.agent.sipserver.finding import entity_of
from suite.agent.sipserver.lists import resource_of
from suite.sip.resource_lists import ListedResource, ListNotification, write_list
from suite.sip.watchers import NotifyBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from suite.agent.users.reading import Colleague
    from suite.names import Key
    from suite.sip.notifier import Watcher

BODY_BYTES: Final = 400_000
"""Bytes of colleagues' documents in one NOTIFY; further documents follow in the next one."""
BODY_BYTES_OVER_UDP: Final = 24_000
"""Leaves room in a datagram for the list itself."""
_PART_BYTES: Final = 300
"""Estimated bytes of a document's MIME headers, and of its entry in the list."""


class ColleagueStates(Protocol):
    """The states of colleagues as documents."""

    def colleague(self, key: Key) -> Colleague | None:
        """Return a colleague on the board."""

    def document(self, key: Key, event: str, entity: str, version: int, *, was_told: bool) -> bytes | None:
        """Return the document of a colleague's state; None when there is nothing to send."""


class OneSubscribed:
    """A subscription to one colleague."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self._was_told = False

    def body(self, watcher: Watcher, states: ColleagueStates) -> NotifyBody | None:
        """Return the body of the next NOTIFY; None when nothing is known."""
        version = watcher.state.version
        made = states.document(self.key, watcher.event, entity_of(watcher.uri), version, was_told=self._was_told)
        self._was_told |= made is not None
        return NotifyBody(content_type=EVENTS[watcher.event], body=made) if made is not None else None


class ListSubscribed:
    """A subscription to a list. The first NOTIFY, and the first after a refresh, name all members; others name the changed ones.

    Documents that do not fit into one NOTIFY follow in the next ones.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._newest: object = None
        """The SUBSCRIBE that was last answered with all members."""
        self._is_full = True
        self._changed: dict[Key, None] = {}
        self._told: set[Key] = set()

    def change(self, keys: Iterable[Key]) -> None:
        """Add these colleagues to the next NOTIFY."""
        self._changed.update(dict.fromkeys(keys))

    def renew(self) -> None:
        """Name all members in the next NOTIFY, because the members changed."""
        self._is_full = True

    def body(self, watcher: Watcher, states: ColleagueStates, members: Mapping[Key, None]) -> NotifyBody:
        """Return the body of the next NOTIFY. If documents are left over, another NOTIFY is requested."""
        if self._newest is not watcher.request:
            self._newest, self._is_full = watcher.request, True
        if self._is_full:
            self._changed = dict.fromkeys(members)
        full, self._is_full = self._is_full, False
        left = BODY_BYTES_OVER_UDP if watcher.flow.protocol == "udp" else BODY_BYTES
        resources: list[ListedResource] = []
        for key in members if full else list(self._changed):
            colleague = states.colleague(key)
            if left <= 0 and not full:
                break
            if colleague is None:
                self._changed.pop(key, None)
                continue
            resource = resource_of(colleague, watcher.uri)
            made: bytes | None = None
            if left > 0:
                made = self._document(watcher, states, key, resource)
                left -= len(made or b"") + _PART_BYTES
                self._changed.pop(key, None)
            kind = EVENTS[watcher.event]
            resources.append(
                ListedResource(uri=resource, name=colleague.id, state="active", content_type=kind, body=made)
            )
        if self._changed:
            watcher.changed()
        uri, version = entity_of(watcher.uri), watcher.state.version
        kind, body = write_list(ListNotification(uri=uri, version=version, is_full=full, resources=tuple(resources)))
        return NotifyBody(content_type=kind, body=body)

    def _document(self, watcher: Watcher, states: ColleagueStates, key: Key, entity: str) -> bytes | None:
        version = watcher.state.version
        made = states.document(key, watcher.event, entity, version, was_told=key in self._told)
        if made is not None:
            self._told.add(key)
        return made
