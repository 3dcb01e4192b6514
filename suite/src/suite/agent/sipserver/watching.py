"""The rules of subscriptions: admission, and the body of each NOTIFY. Changes of the board and of the settings are applied at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from suite.agent.sipserver.documents import DocumentOptions, document_of
from suite.agent.sipserver.finding import find_colleague, not_found_reason
from suite.agent.sipserver.lists import MOST_MEMBERS, MOST_MEMBERS_OVER_UDP, ColleagueLists
from suite.agent.sipserver.subscribed import ListSubscribed, OneSubscribed
from suite.sip.watchers import supports_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from suite.agent.board import Board, BoardEntry, BoardListener
    from suite.agent.settings.groups.sip_server import SipServerSettings
    from suite.agent.sipserver.access import SipAccess
    from suite.agent.users.reading import Colleague
    from suite.names import Key
    from suite.sip.dialogs import DialogId
    from suite.sip.incoming import Incoming, Refusal
    from suite.sip.notifier import Watcher
    from suite.sip.watchers import NotifyBody

    NoteOf = Callable[[Key], str]
    """Returns the note about a colleague, by the key under which notes are kept; empty if there is none."""

MOST_UNANSWERED: Final = 4
"""Lists over UDP that are sent to an address before it has answered one."""
_Name = TypeVar("_Name")
_PORTION: Final = 100
"""Subscriptions that are notified before other tasks of the agent run."""


class PhoneWatching:
    """All subscriptions of phones: `NotifierRules` of the SIP server.

    Attributes:
        count_of: returns the number of subscriptions of an address.
        on_colleagues: called when the colleagues on the board changed.
    """

    def __init__(self, settings: SipServerSettings, board: Board, access: SipAccess, note_of: NoteOf) -> None:
        self.count_of: Callable[[str], int] = lambda _: 0
        self.on_colleagues: Callable[[], None] = lambda: None
        self._settings = settings
        self._board = board
        self._access = access
        self._note_of = note_of
        self._lists = ColleagueLists(board, settings.lists)
        self._subscribed: dict[DialogId, tuple[Watcher, OneSubscribed | ListSubscribed]] = {}
        self._watchers: dict[Key, dict[DialogId, None]] = {}
        """Colleague -> subscriptions to the colleague."""
        self._list_watchers: dict[str, dict[DialogId, None]] = {}
        self._colleagues: dict[Key, Colleague] = {key: entry.colleague for key, entry in board.entries.items()}
        """The colleagues at the last check, to detect a changed file of colleagues."""

    # Called by `Notifier`

    def admit(self, incoming: Incoming) -> Refusal | None:
        """Refuse a client that may not watch, a URI that names no colleague or list, and too many subscriptions of an address."""
        refused = self._access.watch(incoming)
        if refused is not None:
            return refused
        address, uri = incoming.flow.peer[0], incoming.request.uri
        if not self._access.is_server(address) and self.count_of(address) >= self._settings.subscriptions_per_address:
            self._access.log_refusal(
                address, "it has as many subscriptions as SipServer.SubscriptionsPerAddress allows"
            )
            return 503, "Too Many Subscriptions", (("Retry-After", "60"),)
        if self._found(uri) is not None:
            return None
        name = self._lists.named_by(uri, self._settings.domains)
        if name is not None:
            return self._list_refused(incoming, name)
        self._access.log_refusal(address, not_found_reason(uri, self._settings.domains))
        return 404, "Not Found", ()

    def admit_again(self, incoming: Incoming) -> Refusal | None:
        """Return the refusal or digest challenge of a refresh; None admits it."""
        return self._access.watch(incoming)

    def _list_refused(self, incoming: Incoming, name: str) -> Refusal | None:
        if not supports_lists(incoming.request):
            return 421, "Extension Required", (("Require", "eventlist"),)
        is_udp = incoming.flow.protocol == "udp"
        members = len(self._lists.members(name))
        if members > MOST_MEMBERS:
            return 403, f"The List Has More Than {MOST_MEMBERS} Members", ()
        if members > MOST_MEMBERS_OVER_UDP and is_udp:
            return 403, f"The List Has More Than {MOST_MEMBERS_OVER_UDP} Members: Use TCP", ()
        if is_udp and not incoming.user and self._is_silent(incoming.flow.peer[0]):
            return 503, "Answer The Lists That Were Sent", (("Retry-After", "32"),)
        return None

    def _is_silent(self, address: str) -> bool:
        """Return True if an address has answered none of several lists: it may be forged, and a list is much larger than a SUBSCRIBE."""
        if self._access.is_server(address):
            return False
        ids = (dialog for dialogs in self._list_watchers.values() for dialog in dialogs)
        watchers = [watcher for each in ids if (watcher := self._subscribed[each][0]).flow.peer[0] == address]
        return len(watchers) >= MOST_UNANSWERED and not any(watcher.was_answered for watcher in watchers)

    def is_list(self, uri: str) -> bool:
        """Return whether a URI names a list."""
        return self._found(uri) is None and self._lists.named_by(uri, self._settings.domains) is not None

    def pace(self, watcher: Watcher) -> float:
        """Return the most notifications per second to the phone; 0 for no limit."""
        return 0.0 if self._access.is_server(watcher.flow.peer[0]) else float(self._settings.per_s)

    def body(self, watcher: Watcher) -> NotifyBody | None:
        """Return the body of the next NOTIFY of a subscription; None if there is none."""
        subscribed = self._subscribed[watcher.id][1] if watcher.id in self._subscribed else self._begin(watcher)
        if isinstance(subscribed, ListSubscribed):
            return subscribed.body(watcher, self, self._lists.members(subscribed.name))
        return subscribed.body(watcher, self) if subscribed is not None else None

    def ended(self, watcher: Watcher) -> None:
        """Forget a subscription."""
        _, subscribed = self._subscribed.pop(watcher.id, (watcher, None))
        if isinstance(subscribed, ListSubscribed):
            _take_out(self._list_watchers, subscribed.name, watcher.id)
        elif subscribed is not None:
            _take_out(self._watchers, subscribed.key, watcher.id)

    # The states for documents: `ColleagueStates`

    def colleague(self, key: Key) -> Colleague | None:
        """Return a colleague on the board."""
        entry = self._board.entries.get(key)
        return entry.colleague if entry is not None else None

    def document(self, key: Key, event: str, entity: str, version: int, *, was_told: bool) -> bytes | None:
        """Return the document of a colleague's state; None when there is nothing to send."""
        entry = self._board.entries.get(key)
        if entry is None:
            return None
        note = self._note_of(entry.subject) if self._settings.notes and event == "presence" else ""
        options = DocumentOptions(lamps=self._settings.lamp_for, language=self._settings.language)
        return document_of(event, entity, entry.shown, note, options, version=version, was_told=was_told)

    # Changes of the settings and of the board

    def use(self, settings: SipServerSettings) -> None:
        """Apply new settings: end subscriptions that they do not allow, and notify all others."""
        self._settings = settings
        self._lists.use(settings.lists)
        for watcher, _ in list(self._subscribed.values()):
            reason = self._access.ended(watcher)
            if reason:
                watcher.end(reason)
            else:
                watcher.changed()
        self._find_anew()

    async def follow(self) -> None:
        """Notify subscriptions of changes on the board, until cancelled."""
        with self._board.listening(None, (self._board.epoch, self._board.revision), is_console=False) as listener:
            while True:
                await listener.wait()
                await self._take(listener)

    async def _take(self, listener: BoardListener) -> None:
        notes, keys = listener.take_notes(), listener.take()
        others = False
        for key in keys:
            others |= self._is_another(key, self._board.entries.get(key))
        await self._notify(keys)
        if self._settings.notes:
            await self._notify(notes, event="presence")
        if others:
            self._find_anew()
            self.on_colleagues()

    async def _notify(self, keys: Iterable[Key], event: str = "") -> None:
        notified = 0
        for key in keys:
            for watcher, subscribed in list(self._watching(key)):
                if event and watcher.event != event:
                    continue
                if isinstance(subscribed, ListSubscribed):
                    subscribed.change((key,))
                watcher.changed()
                notified += 1
                if notified % _PORTION == 0:
                    await asyncio.sleep(0)

    def _watching(self, key: Key) -> Iterator[tuple[Watcher, OneSubscribed | ListSubscribed]]:
        for dialog in self._watchers.get(key, ()):
            yield self._subscribed[dialog]
        for name in self._lists.having(key):
            for dialog in self._list_watchers.get(name, ()):
                yield self._subscribed[dialog]

    def _is_another(self, key: Key, entry: BoardEntry | None) -> bool:
        """Return True if the colleague of a key changed since the last check, and store the new one."""
        if entry is None:
            return self._colleagues.pop(key, None) is not None
        if self._colleagues.get(key) == entry.colleague:
            return False
        self._colleagues[key] = entry.colleague
        return True

    def _find_anew(self) -> None:
        """Map each subscription to the colleague or list that its URI names now; end those without one."""
        self._lists.settle()
        for watcher, subscribed in list(self._subscribed.values()):
            if isinstance(subscribed, ListSubscribed):
                if not self.is_list(watcher.uri):
                    watcher.end("noresource")
                self._lists.members(subscribed.name)
                subscribed.renew()
                watcher.changed()
                continue
            found = self._found(watcher.uri)
            if found is None:
                watcher.end("noresource")
            elif found[0] != subscribed.key:
                _take_out(self._watchers, subscribed.key, watcher.id)
                subscribed.key = found[0]
                self._watchers.setdefault(found[0], {})[watcher.id] = None
                watcher.changed()

    def _begin(self, watcher: Watcher) -> OneSubscribed | ListSubscribed | None:
        """Store a subscription that was just admitted."""
        found, name = self._found(watcher.uri), self._lists.named_by(watcher.uri, self._settings.domains)
        subscribed: OneSubscribed | ListSubscribed
        if found is not None:
            subscribed = OneSubscribed(found[0])
            self._watchers.setdefault(found[0], {})[watcher.id] = None
        elif name is not None:
            subscribed = ListSubscribed(name)
            self._list_watchers.setdefault(name, {})[watcher.id] = None
        else:
            watcher.end("noresource")
            return None
        self._subscribed[watcher.id] = (watcher, subscribed)
        return subscribed

    def _found(self, uri: str) -> tuple[Key, BoardEntry] | None:
        return find_colleague(self._board, uri, self._settings.domains)


def _take_out(of: dict[_Name, dict[DialogId, None]], name: _Name, dialog: DialogId) -> None:
    of[name].pop(dialog, None)
    if not of[name]:
        del of[name]
