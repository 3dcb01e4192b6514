"""Find colleagues by any of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.names import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from suite.agent.users.reading import Colleague


class Directory:
    """An immutable set of colleagues. Names are compared without case, as the relay does. Of two with the same id, the first counts."""

    def __init__(self, colleagues: Iterable[Colleague] = ()) -> None:
        self._by_id: dict[Key, Colleague] = {}
        self._by_name: dict[Key, Colleague] = {}
        for colleague in colleagues:
            if self._by_id.setdefault(key_of(colleague.id), colleague) is not colleague:
                continue
            # A name that two colleagues share, such as an extension, finds the first one.
            for name in (colleague.login, colleague.upn, colleague.sip_uri, colleague.extension):
                if name:
                    self._by_name.setdefault(key_of(name), colleague)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Colleague]:
        return iter(self._by_id.values())

    def find(self, name: str) -> Colleague | None:
        """Return the colleague with this login, UPN, SIP address or extension. A login takes precedence over other names."""
        key = key_of(name)
        return self._by_id.get(key) or self._by_name.get(key)
