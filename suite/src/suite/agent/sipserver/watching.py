"""The rules of subscriptions: who may watch whom, and what each is told. They follow the board, and the settings."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from suite.agent.sipserver.documents import EVENTS, dialog_document, presence_document
from suite.agent.sipserver.finding import entity_of, find_colleague
from suite.agent.sipserver.states import phone_state
from suite.agent.sipserver.words import word_of
from suite.sip.watchers import NotifyBody

if TYPE_CHECKING:
    from suite.agent.board import Board, BoardEntry, BoardListener
    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.users.reading import Colleague
    from suite.names import Key
    from suite.sip.dialogs import DialogId
    from suite.sip.incoming import Incoming, Refusal
    from suite.sip.notifier import Watcher

_NOT_FOUND: Refusal = (404, "Not Found", ())


class PhoneWatching:
    """All subscriptions of phones to colleagues: `NotifierRules` of the SIP server."""

    def __init__(self, settings: SipServerSettings, board: Board) -> None:
        self.settings = settings
        self._board = board
        self._watched: dict[DialogId, Key] = {}
        self._watchers: dict[Key, dict[DialogId, Watcher]] = {}
        self._colleagues: dict[Key, Colleague] = {key: entry.colleague for key, entry in board.entries.items()}
        """Everybody as they were when somebody last looked, to notice another file of colleagues."""

    # What the notifier asks

    def admit(self, incoming: Incoming) -> Refusal | None:
        """Refuse who may not watch, and whoever asks for nobody of ours."""
        address = ipaddress.ip_address(incoming.flow.peer[0].partition("%")[0])
        if not any(address in network for network in self.settings.networks):
            return 403, "Forbidden", ()
        return None if self._found(incoming.request.uri) is not None else _NOT_FOUND

    def is_list(self, incoming: Incoming) -> bool:
        """Return False: there are no lists."""
        return False

    def body(self, watcher: Watcher) -> NotifyBody | None:
        """Return the document of the colleague's state; None when nothing is known."""
        found = self._found(watcher.uri)
        if found is None:
            return None
        self._join(watcher, found[0])
        shown, entity = found[1].shown, entity_of(watcher.uri)
        state = phone_state(shown, self.settings.busy_lamp)
        if watcher.event == "dialog":
            if state is None and not watcher.state.version:
                return None
            # A lamp that was lit must go out when nothing is known any more.
            return NotifyBody(content_type=EVENTS["dialog"], body=dialog_document(entity, state, watcher.state.version))
        if state is None:
            return None
        note = word_of(state.word, self.settings.language, is_uncertain=shown.is_uncertain)
        return NotifyBody(content_type=EVENTS["presence"], body=presence_document(entity, state, note))

    def ended(self, watcher: Watcher) -> None:
        """Forget a subscription."""
        key = self._watched.pop(watcher.id, None)
        if key is not None:
            self._leave(watcher, key)

    # What the board tells

    async def follow(self) -> None:
        """Tell subscriptions of each change on the board, until cancelled."""
        with self._board.listening(None, (self._board.epoch, self._board.revision)) as listener:
            while True:
                await listener.wait()
                self._take(listener)

    def _take(self, listener: BoardListener) -> None:
        """Tell of what changed since the last look."""
        others = False
        for key in listener.take():
            entry = self._board.entries.get(key)
            others |= self._is_another(key, entry)
            for watcher in self._watchers.get(key, {}).values():
                watcher.changed()
        if others:
            self._find_anew()

    def _is_another(self, key: Key, entry: BoardEntry | None) -> bool:
        """Return whether the file of colleagues has another version of somebody, and take note of it."""
        if entry is None:
            return self._colleagues.pop(key, None) is not None
        if self._colleagues.get(key) == entry.colleague:
            return False
        self._colleagues[key] = entry.colleague
        return True

    def _find_anew(self) -> None:
        """Watch whom each subscription's URI names now, and end those that name nobody any more."""
        for key, watchers in list(self._watchers.items()):
            for watcher in list(watchers.values()):
                found = self._found(watcher.uri)
                if found is None:
                    watcher.end("noresource")
                elif found[0] != key:
                    self._join(watcher, found[0])
                    watcher.changed()

    def _found(self, uri: str) -> tuple[Key, BoardEntry] | None:
        return find_colleague(self._board, uri, self.settings.domains)

    def _join(self, watcher: Watcher, key: Key) -> None:
        before = self._watched.get(watcher.id)
        if before == key:
            return
        if before is not None:
            self._leave(watcher, before)
        self._watched[watcher.id] = key
        self._watchers.setdefault(key, {})[watcher.id] = watcher

    def _leave(self, watcher: Watcher, key: Key) -> None:
        del self._watchers[key][watcher.id]
        if not self._watchers[key]:
            del self._watchers[key]
