"""Lists of colleagues that phones watch as one resource (RFC 4662): those of the settings, and `everyone`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from suite.agent.sipserver.finding import is_ours
from suite.sip.errors import MalformedMessage
from suite.sip.uris import host_port, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from suite.agent.board import Board
    from suite.agent.users.reading import Colleague
    from suite.names import Key

EVERYONE: Final = "everyone"
MOST_MEMBERS: Final = 1500
"""Members of a list: one NOTIFY names all of them."""
MOST_MEMBERS_OVER_UDP: Final = 200
"""A datagram has no room for more."""
_IN_URIS: Final = "+*$!'()&=,;?/"
"""Characters that are not escaped in the user part of a URI (RFC 3261 25.1)."""


class ColleagueLists:
    """All lists, with their members on the board."""

    def __init__(self, board: Board, lists: Mapping[str, Sequence[str]]) -> None:
        self._board = board
        self._lists = lists
        self._listed = board.listed
        self._members: dict[str, dict[Key, None]] = {}
        self._of: dict[Key, list[str]] = {}

    def use(self, lists: Mapping[str, Sequence[str]]) -> None:
        """Apply new lists."""
        self._lists = lists
        self.settle()

    def settle(self) -> None:
        """Forget the members, so that they are looked up on the board again."""
        self._listed = self._board.listed
        self._members.clear()
        self._of.clear()

    def named_by(self, uri: str, domains: Sequence[str]) -> str | None:
        """Return the name of the list that a URI names; None if it names none."""
        try:
            read = parse_uri(uri)
        except MalformedMessage:
            return None
        name = unquote(read.user or "").lower()
        is_list = name == EVERYONE or name in self._lists
        return name if is_list and read.scheme != "tel" and is_ours(read.host, domains) else None

    def members(self, name: str) -> Mapping[Key, None]:
        """Return the members of a list, in its order, that are on the board."""
        if self._listed is not self._board.listed:  # the colleagues changed, and `settle` was not called yet
            self.settle()
        members = self._members.get(name)
        if members is None:
            members = self._members[name] = dict.fromkeys(self._found(name))
            for key in members:
                self._of.setdefault(key, []).append(name)
        return members

    def having(self, key: Key) -> Sequence[str]:
        """Return the lists that have a colleague, among those whose members were read."""
        return self._of.get(key, ())

    def _found(self, name: str) -> Iterable[Key]:
        if name in self._lists:
            return [found[0] for each in self._lists[name] if (found := self._board.find(each)) is not None]
        return [key for key in self._board.entries if key in self._board.listed] if name == EVERYONE else ()


@lru_cache(4096)
def resource_of(colleague: Colleague, list_uri: str) -> str:
    """Return the URI of a colleague in a list: with the extension, which phones call, or else the colleague's own address."""
    read = parse_uri(list_uri)
    host = host_port(read.host, read.port)
    if colleague.extension:
        return f"sip:{quote(colleague.extension, safe=_IN_URIS)}@{host}"
    address = colleague.sip_uri or (colleague.upn if "@" in colleague.upn else "")
    if address:
        user, _, domain = address.rpartition("@")
        return f"sip:{quote(user, safe=_IN_URIS)}@{domain}"
    return f"sip:{quote(colleague.id, safe=_IN_URIS)}@{host}"
