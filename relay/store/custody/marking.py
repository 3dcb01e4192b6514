"""The marks of all suite keys in force: counted, made once for old keys, and renewed by a rotation.

Earlier releases wrote records without a mark. An operator checks the list and marks them once, because the relay cannot
distinguish them from forged records. A rotation of the key ring renews genuine marks and makes no others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from relay.store.custody.suite_key_records import KeyRecord, decoded
from relay.store.sealing.marks import FIELD, MarkVerdict, Vouched, kid_of
from relay.store.server import keys
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from relay.store.sealing.marks import RingMarks
    from relay.store.server.connection import Store

_MARK = Script("suite_key_mark")
_PREFIX: Final = keys.suite_key("")


@dataclass(frozen=True, slots=True)
class MarkedKey:
    """A suite key in force, and its mark.

    Attributes:
        record: its record.
        standing: verdict on its mark.
        kid: the ring key that the mark names; None without a mark.
        is_listed: whether its tenant lists it. A key that is not listed is forged, and is never marked.
        vouched: the facts that its mark vouches for.
        mark: its mark; empty without one.
    """

    record: KeyRecord
    standing: MarkVerdict
    kid: str | None
    is_listed: bool
    vouched: Vouched
    mark: bytes


@dataclass(slots=True)
class MarkCensus:
    """The number of suite keys in force by their mark."""

    by_kid: Counter[str] = field(default_factory=Counter)
    """Ring key -> genuine marks."""
    others: Counter[MarkVerdict] = field(default_factory=Counter)
    """Marks that are not genuine, by verdict."""

    def faults(self) -> list[str]:
        """Return the faults for operators, one line each."""
        return [f"{_counted(number)} {_WORDS[standing]}" for standing, number in sorted(self.others.items()) if number]


class Marking:
    """The marks of all suite keys. Raises StoreUnavailable from every method; repeating is safe."""

    def __init__(self, store: Store, marks: RingMarks) -> None:
        self._store = store
        self._marks = marks

    async def in_force(self) -> AsyncIterator[MarkedKey]:
        """Yield every suite key in force, in no order; not a consistent snapshot."""
        async for found in self._store.vault_scan(_PREFIX + b"*"):
            for key in await self._read([name.removeprefix(_PREFIX).decode() for name in found]):
                yield key

    async def census(self) -> MarkCensus:
        """Count marks by the key that made them."""
        census = MarkCensus()
        async for key in self.in_force():
            if key.standing is MarkVerdict.GENUINE and key.kid is not None:
                census.by_kid[key.kid] += 1
            else:
                census.others[key.standing] += 1
        return census

    async def renew(self) -> AsyncIterator[bool]:
        """Renew genuine marks under an older key of the ring; yield for each suite key whether its mark was renewed.

        Raises (while iterated):
            NotSaved: the last mark is not confirmed to be on disk. The old and the new mark are both genuine.
        """
        async for key in self.in_force():
            is_old = key.standing is MarkVerdict.GENUINE and key.kid != self._marks.in_use
            yield is_old and await self.mark(key)

    async def mark(self, key: MarkedKey) -> bool:
        """Mark one key with the ring's key in use; False if its record has changed, or its tenant does not list it.

        Raises:
            NotSaved: the mark is not confirmed to be on disk; repeating is safe.
        """
        if not key.is_listed:
            return False
        vouched = key.vouched
        call = _MARK(
            suite_key=keys.suite_key(vouched.key_id),
            tenant_id=vouched.tenant_id,
            secret_hash=vouched.secret_hash,
            old_mark=key.mark,
            new_mark=self._marks.mark(vouched),
        )
        async with self._store.durable() as vault:
            is_marked = await vault.run(call)
            await vault.confirm()
        return bool(is_marked)

    async def _read(self, ids: Sequence[str]) -> list[MarkedKey]:
        records = await self._store.many([("HGETALL", keys.suite_key(key_id)) for key_id in ids], vault=True)
        found, now = list[tuple[KeyRecord, bytes, bytes]](), datetime.now(UTC)
        for key_id, record in zip(ids, records, strict=True):
            try:
                key = decoded(key_id, record)
            except (KeyError, ValueError):  # deleted meanwhile, or not a valid record: no suite can use it
                continue
            if not key.has_ended(now):
                found.append((key, record.get(b"hash", b""), record.get(FIELD, b"")))
        commands = [("SISMEMBER", keys.tenant_suite_keys(key.tenant_id), key.key_id) for key, *_ in found]
        listed = await self._store.many(commands, vault=True)
        return [self._judged(*one, is_listed=bool(is_in)) for one, is_in in zip(found, listed, strict=True)]

    def _judged(self, key: KeyRecord, secret_hash: bytes, mark: bytes, *, is_listed: bool) -> MarkedKey:
        vouched = Vouched(key.key_id, key.tenant_id, secret_hash)
        return MarkedKey(
            record=key,
            standing=self._marks.judge(vouched, mark or None),
            kid=kid_of(mark),
            is_listed=is_listed,
            vouched=vouched,
            mark=mark,
        )


_WORDS: Final = {
    MarkVerdict.MISSING: "no mark",
    MarkVerdict.KEY_UNKNOWN: "a mark of a key that is missing from the ring",
    MarkVerdict.FALSE: "a false mark: the record was written or changed without the key ring",
}


def _counted(number: int) -> str:
    return f"{number} suite key{'s' * (number != 1)} in force {'have' if number != 1 else 'has'}"
