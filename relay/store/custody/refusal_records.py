"""Microsoft's refusals as they are stored in the records of grants and tenants."""

from __future__ import annotations

from typing import Final

import msgspec

from relay.core.consent.microsoft_error import RefusalRecord


def encode(trouble: RefusalRecord | None) -> bytes:
    """Return a refusal in its stored form; empty for None."""
    return b"" if trouble is None else _ENCODER.encode(trouble)


def decode(kept: bytes) -> RefusalRecord | None:
    """Return a refusal from its stored form; None if there is none, or this release cannot read it."""
    try:
        return _DECODER.decode(kept) if kept else None
    except msgspec.DecodeError:
        return None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(RefusalRecord)
