"""Colleagues by SIP address: what the server said of them last, and what the board shows of that.

A statement is uncertain until the server has said it anew after its subscriptions began again.
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
    """The colleagues with a SIP address who are on the board, and what the server said of each."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._keys: dict[Key, list[Key]] = {}
        """Each address, as addresses are compared -> the board's keys of those whose it is."""
        self._spelled: dict[Key, str] = {}
        self._said: dict[Key, RichStatement] = {}
        self._old: set[Key] = set()
        """Addresses of which nothing was said since subscriptions began."""
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
        """Take what the server says of an address. One that is nobody's is ignored."""
        key = key_of(uri)
        if key in self._keys:
            before = self._said.get(key)
            if before is not None and before.state is statement.state and statement.is_known:
                statement = before  # with the time since when it is so
            self._said[key] = statement
            self._old.discard(key)
            self._show(key)

    def begin_anew(self) -> None:
        """Note that subscriptions begin: everything that was said before is uncertain until it is said again."""
        self._old = set(self._keys)
        self._show_all()

    def silent(self, uris: Iterable[str]) -> list[str]:
        """Return those of these of whom nothing was said since subscriptions began."""
        return [
            uri for uri in uris if (key := key_of(uri)) in self._keys and (key in self._old or key not in self._said)
        ]

    def trust(self, doubt: tuple[Doubt, str]) -> None:
        """Show everything as far as it can be trusted now."""
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
