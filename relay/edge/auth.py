"""Whose key it is. The tenant follows from the key alone; nothing else that a caller sends says who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.errors import SuiteKeyUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.store.suite_keys import KeyRecord, SuiteKeys

_HEADER = "authorization"
_SCHEME = "bearer"


class Authenticator:
    """Verifies the bearer credential of a call.

    Not cached: a check is two reads of Redis and one signature (0.1 ms), and a cache would have to be told of every revocation.
    """

    def __init__(self, suite_keys: SuiteKeys) -> None:
        self._suite_keys = suite_keys

    async def verify(self, metadata: Iterable[tuple[str, str | bytes]]) -> KeyRecord:
        """The suite key that the call carries.

        Raises:
            SuiteKeyUnknown, SuiteKeyRevoked, TenantRemoved: what is wrong with it.
            StoreUnavailable: nobody can tell.
        """
        return await self._suite_keys.verify(bearer(metadata))


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The suite key in the metadata.

    Raises:
        SuiteKeyUnknown: there is none, or more than one, so that two readers of the call cannot disagree on who it is.
    """
    values = [value for name, value in metadata if name == _HEADER]
    if len(values) != 1 or not isinstance(values[0], str):
        raise SuiteKeyUnknown("Send exactly one authorization header: Bearer psk_...")
    scheme, _, key = values[0].strip().partition(" ")
    if scheme.lower() != _SCHEME or not key.strip():
        raise SuiteKeyUnknown("Send the suite key as authorization: Bearer psk_...")
    return key.strip()
