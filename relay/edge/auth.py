"""Verifies the suite key of each call, in a queue that a flood of wrong keys cannot block for known keys.

The suite key alone determines the tenant; nothing else in a call identifies it.

Verification reads from Redis, and any client can cause such reads with made-up keys. So few verifications run at a
time, some wait, and further calls are refused unread. Keys that were valid before have a queue of their own: a flood of
made-up keys blocks only suites that are new to this edge, and those only until they retry.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from relay.errors import Rejected, SuiteKeyUnknown
from relay.store.custody.suite_key_records import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relay.edge.settings import EdgeSettings
    from relay.edge.unauthenticated import UnauthenticatedCalls
    from relay.store.custody.suite_key_records import KeyRecord
    from relay.store.custody.suite_keys import SuiteKeys

_HEADER: Final = "authorization"
_SCHEME: Final = "bearer"
_MOST_KNOWN: Final = 10_000
"""Number of valid keys remembered, the latest used: more than an edge has suites, some 2 MB."""
_MOST_OF_ONE_KEY: Final = 8
"""Concurrent verifications of one known key. Further ones queue like unknown keys, so that one key cannot fill the
queue for known keys."""


class KeyVerifier:
    """Verifies the bearer credential of a call.

    The answer is not cached: a check is two reads of Redis and one signature (0.1 ms), and a cache would have to follow
    every revocation. Only the fact that a key was valid is remembered, to choose its queue. Wrong keys are not
    remembered: a flood makes up new ones.
    """

    def __init__(self, suite_keys: SuiteKeys, unauthenticated: UnauthenticatedCalls, settings: EdgeSettings) -> None:
        self._suite_keys = suite_keys
        self._unauthenticated = unauthenticated
        self._turns = asyncio.Semaphore(settings.verifications_at_once)
        self._known: dict[bytes, None] = {}  # SHA-256 of the key's text, the latest used last
        self._under_way: Counter[bytes] = Counter()  # of known keys

    async def verify(self, metadata: Iterable[tuple[str, str | bytes]]) -> KeyRecord:
        """Return the verified suite key of a new call.

        Raises:
            SuiteKeyUnknown, SuiteKeyRevoked, TenantRemoved: the key is not valid. A text that cannot be a key causes no read.
            Busy: too many calls wait for verification.
            StoreUnavailable: the store does not answer.
        """
        text = bearer(metadata)
        if parse(text) is None:
            raise SuiteKeyUnknown("This is not a suite key")
        mark = hashlib.sha256(text.encode()).digest()
        try:
            if mark in self._known and self._under_way[mark] < _MOST_OF_ONE_KEY:
                with self._counted(mark):
                    key = await self._suite_keys.verify(text)
            else:
                with self._unauthenticated.admitted():
                    async with self._turns:
                        key = await self._suite_keys.verify(text)
        except Rejected:
            self._known.pop(mark, None)
            raise
        self._remember(mark)
        return key

    async def verify_again(self, metadata: Iterable[tuple[str, str | bytes]]) -> KeyRecord:
        """Verify the key of a call again that was valid a moment ago, without waiting in the queue."""
        return await self._suite_keys.verify(bearer(metadata))

    @contextmanager
    def _counted(self, mark: bytes) -> Iterator[None]:
        self._under_way[mark] += 1
        try:
            yield
        finally:
            self._under_way[mark] -= 1
            if not self._under_way[mark]:
                del self._under_way[mark]

    def _remember(self, mark: bytes) -> None:
        self._known.pop(mark, None)
        self._known[mark] = None
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the suite key in the metadata.

    Raises:
        SuiteKeyUnknown: there is no key, or more than one. With two keys, two readers of the call could see different callers.
    """
    values = [value for name, value in metadata if name == _HEADER]
    if len(values) != 1 or not isinstance(values[0], str):
        raise SuiteKeyUnknown("Send exactly one authorization header: Bearer psk_...")
    scheme, _, key = values[0].strip().partition(" ")
    if scheme.lower() != _SCHEME or not key.strip():
        raise SuiteKeyUnknown("Send the suite key as authorization: Bearer psk_...")
    return key.strip()
