"""Snapshots of all state that can change, kept in this process under names.

People, tenants and applications stay the same objects, because queued work refers to them; a snapshot contains the values
of their attributes. It also contains the queue, so that after restoring the same things happen at the same times.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from emulator.world import Application, Person, Tenant, World

if TYPE_CHECKING:
    from collections.abc import Iterable

SnapshotPart = Callable[[], Callable[[], None]]
"""Saves the current state of a part of the cloud, and returns a function that restores it."""

MOST: Final = 8
"""Maximum number of snapshots. Each contains all attributes of all people: some 1 kB a person."""

_NAME: Final = re.compile(r"[\w.-]{1,64}")
_READING: Final = {"fragment", "last_read"}
"""Attributes of people that concern reads, not state."""
_ATTRIBUTES: Final = tuple(name for name in Person.__slots__ if name not in _READING)


class Snapshots:
    """The named snapshots of one cloud.

    Args:
        parts: functions that each save one part of the cloud and return a function that restores it.
        on_restored: called after a snapshot was restored.
    """

    def __init__(self, parts: Iterable[SnapshotPart], *, on_restored: Callable[[], None]) -> None:
        self._parts = list(parts)
        self._on_restored = on_restored
        self._taken: dict[str, list[Callable[[], None]]] = {}

    def names(self) -> list[str]:
        """Return the names of the snapshots, oldest first."""
        return list(self._taken)

    def take(self, name: str) -> None:
        """Take a snapshot under a name; it replaces an earlier one of that name.

        Raises:
            ValueError: the name is invalid, or there are too many snapshots.
        """
        if not _NAME.fullmatch(name):
            raise ValueError("a snapshot's name must be 1 to 64 letters, digits, dots, dashes or underscores")
        if name not in self._taken and len(self._taken) >= MOST:
            raise ValueError(f"there are {MOST} snapshots already: {', '.join(self._taken)}; delete one")
        self._taken[name] = [part() for part in self._parts]

    def restore(self, name: str) -> None:
        """Restore the state of a snapshot; the snapshot stays.

        Raises:
            LookupError: there is none of that name.
        """
        for restore in self._found(name):
            restore()
        self._on_restored()

    def drop(self, name: str) -> None:
        """Delete the snapshot of a name.

        Raises:
            LookupError: there is none of that name.
        """
        self._found(name)
        del self._taken[name]

    def _found(self, name: str) -> list[Callable[[], None]]:
        if name not in self._taken:
            raise LookupError(f"there is no snapshot {name}; there are {', '.join(self._taken) or 'none'}")
        return self._taken[name]


def snapshot_world(world: World) -> Callable[[], None]:
    """Save the tenants with their people, the applications and the sequence numbers; return a function that restores them."""
    whole = _attributes(world)
    parts = [(part, _attributes(part)) for part in (*world.tenants.values(), *world.applications.values())]
    people = [(each, [_copied(getattr(each, name)) for name in _ATTRIBUTES]) for each in world.people()]

    def restore() -> None:
        for part, attributes in [(world, whole), *parts]:
            _set(part, attributes)
        for person, values in people:
            for name, value in zip(_ATTRIBUTES, values, strict=True):
                setattr(person, name, _copied(value))
            person.fragment = b""

    return restore


def _attributes(part: Any) -> dict[str, Any]:
    """Return copies of all attributes of an object of any type."""
    names = [field.name for field in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else list(vars(part))
    return {name: _copied(getattr(part, name)) for name in names}


def _set(part: Any, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        setattr(part, name, _copied(value))


def _copied(value: Any) -> Any:
    """Return a copy that later changes do not affect: containers are copied recursively, their leaves are not."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    if isinstance(value, set):
        return set(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Tenant | Application):
        return dataclasses.replace(value, **_attributes(value))
    if type(value).__module__ == "itertools":
        return copy.copy(value)
    return value
