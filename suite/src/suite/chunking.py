"""Split a start, or a change of users, into messages that the relay accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from presence_api.v1 import presence_service_pb2 as api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from presence_api.v1 import presence_pb2 as pb
    from suite.names import Key
    from suite.state import StartUsers

MAX_USERS_A_MESSAGE: Final = 10_000
"""The protocol's limit."""
MAX_USERS_A_STREAM: Final = 100_000
"""The protocol's limit for the bidirectional form. A server stream has one start message, and so 10,000 users."""
MAX_MESSAGE_BYTES: Final = 2 * 1024 * 1024
"""Limit of the names in one message; the relay refuses 4 MiB. 10,000 ordinary names take 0.5 MB."""

_T = TypeVar("_T")

_FRAME_BYTES = 16  # upper limit of two tags and two lengths around a name
_GUID_BYTES = 40


def start_parts(start: StartUsers, base: api.WatchStart) -> list[api.WatchStart]:
    """Split the start into as few parts as possible. The first one also has `base` (client, progress interval)."""
    items: list[tuple[pb.ResolvedName | None, str]] = [(held, held.user) for held in start.held]
    items.extend((None, name) for name in start.subscribe)
    parts = [_part(chunk) for chunk in _chunks(items, _item_bytes)]
    parts = parts or [api.WatchStart()]
    parts[0].MergeFrom(base)
    parts[0].resume_token = start.token
    parts[-1].more_follows = False
    return parts


def _part(items: list[tuple[pb.ResolvedName | None, str]]) -> api.WatchStart:
    return api.WatchStart(
        held_users=[held for held, _ in items if held is not None],
        subscribe_users=[name for held, name in items if held is None],
        more_follows=True,
    )


def _item_bytes(item: tuple[pb.ResolvedName | None, str]) -> int:
    return _bytes(item[1]) + (_GUID_BYTES if item[0] is not None else 0)


def changes(subscribe: Sequence[str], unsubscribe: Sequence[Key]) -> Iterator[api.WatchPresenceRequest.Change]:
    """Split the change into as few messages as possible, removals first."""
    for gone in _chunks(unsubscribe, _bytes):
        yield api.WatchPresenceRequest.Change(unsubscribe_users=gone)
    for names in _chunks(subscribe, _bytes):
        yield api.WatchPresenceRequest.Change(subscribe_users=names)


def _bytes(name: str) -> int:
    return len(name.encode()) + _FRAME_BYTES


def _chunks(items: Iterable[_T], size: Callable[[_T], int]) -> Iterator[list[_T]]:
    chunk: list[_T] = []
    used = 0
    for item in items:
        item_bytes = size(item)
        if chunk and (len(chunk) == MAX_USERS_A_MESSAGE or used + item_bytes > MAX_MESSAGE_BYTES):
            yield chunk
            chunk, used = [], 0
        chunk.append(item)
        used += item_bytes
    if chunk:
        yield chunk
