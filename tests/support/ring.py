"""A key ring for tests, the same in every process of a run, and the marks that are made with it."""

from __future__ import annotations

from typing import Final

from relay.store.sealing.keyring import KeyRing
from relay.store.sealing.marks import PublicMarks, RingMarks
from relay.store.sealing.signing import Purpose, public_set

RING_JSON: Final = '{"keys": [{"kty": "oct", "kid": "test", "iat": 0, "k": "%s"}]}' % ("dGVz" * 10 + "dHM")
"""Whose key everybody knows."""
RING: Final = KeyRing.from_json(RING_JSON)
MARKS: Final = RingMarks(RING)
PUBLIC_MARKS: Final = PublicMarks(public_set(RING, Purpose.SUITE_KEY))
"""What an edge has that knows no ring."""
