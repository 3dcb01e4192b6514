"""Colleagues by SIP address, with the server's last statement about each, which the board shows.

After subscriptions begin again, each statement is uncertain until the server has confirmed it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from suite.agent.core.values import SourceName
from suite.agent.sources.doubt import Doubt
from suite.agent.sources.statements import PENDING, doubted
from suite.names import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from suite.agent.board import Board
    from suite.agent.core.values import RichStatement
    from suite.names import Key


class Sightings:
    """The colleagues on the board who have a SIP address, and the server's last statement about each."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._keys: dict[Key, list[Key]] = {}
        """Normalised address -> the board's keys of the colleagues who have it."""
        self._spelled: dict[Key, str] = {}
        self._said: dict[Key, RichStatement] = {}
        self._old: set[Key] = set()
        """Addresses without a statement since the subscriptions began."""
        self._doubt: tuple[Doubt, str] = (Doubt.UNCERTAIN, "")

    @property
    def wanted(self) -> list[str]:
        """Return the SIP addresses, without `sip:`, as the file of colleagues spells them."""
        return list(self._spelled.values())

    def __contains__(self, uri: str) -> bool:
        return key_of(uri) in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def follow(self) -> None:
        """Take the colleagues who are on the board now."""
        keys: dict[Key, list[Key]] = {}
        spelled: dict[Key, str] = {}
        for key, entry in self._board.entries.items():
            if uri := entry.colleague.sip_uri:
                keys.setdefault(key_of(uri), []).append(key)
                spelled.setdefault(key_of(uri), uri)
        self._keys, self._spelled = keys, spelled
        for uri in [uri for uri in self._said if uri not in keys]:
            del self._said[uri]
        self._old &= keys.keys()
        self._show_all()

    def say(self, uri: str, statement: RichStatement) -> None:
        """Apply the server's statement about an address. An address of no colleague is ignored."""
        key = key_of(uri)
        if key in self._keys:
            before = self._said.get(key)
            if before is not None and before.state is statement.state and statement.is_known:
                statement = before  # it has the time since which the state holds
            self._said[key] = statement
            self._old.discard(key)
            self._show(key)

    def begin_anew(self) -> None:
        """Note that subscriptions begin: all earlier statements are uncertain until they are confirmed."""
        self._old = set(self._keys)
        self._show_all()

    def silent(self, uris: Iterable[str]) -> list[str]:
        """Return the addresses among these without a statement since the subscriptions began."""
        return [
            uri for uri in uris if (key := key_of(uri)) in self._keys and (key in self._old or key not in self._said)
        ]

    def trust(self, doubt: tuple[Doubt, str]) -> None:
        """Show all statements with this doubt applied."""
        if doubt != self._doubt:
            self._doubt = doubt
            self._show_all()

    def _show_all(self) -> None:
        for key in self._keys:
            self._show(key)

    def _show(self, key: Key) -> None:
        said = self._said.get(key, PENDING)
        if key in self._old and said.is_known:
            said = replace(said, is_uncertain=True)
        shown = doubted(said, self._doubt)
        for of_board in self._keys[key]:
            self._board.state_rich(of_board, SourceName.SFB, shown)
