"""A process of the relay that breaks one rule: `python -m tests.chaos.weakened RULE serve ROLE`. A run with it shows that the validator
of that guarantee sees what real processes do wrong, and not only what a record was made to say.

The process keeps the rule until it gets SIGUSR1, so that the run begins well.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from emulator.generate import stable_guid
from relay.cli import main as relay_main
from relay.core.presence import Name, Status, TenantId
from relay.core.watching.values import AnswersEntry, Ask
from relay.core.watching.watch import Watch
from relay.store.custody.suite_key_records import KeyRecord
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.presence.entries import TenantContact
from relay.worker.contacts import ContactWriter
from relay.worker.reads.reader import PresenceReader
from relay.worker.tenant.names import NameBook
from tests.chaos.scene import NEWCOMER

_LEAK_BYTES: Final = 16 << 20
_is_weak: list[bool] = []
"""Not empty once the rule is broken."""


def _isolated() -> None:
    """An edge takes every suite for Fabrikam's."""
    verify = SuiteKeys.verify

    async def weak(self: SuiteKeys, text: str) -> KeyRecord:
        key = await verify(self, text)
        return replace(key, tenant_id=TenantId(stable_guid("fabrikam.example"))) if _is_weak else key

    _set(SuiteKeys, "verify", weak)


def _ordered() -> None:
    """An edge sends of each user the presence before the last one."""
    deliver = Watch.on_answers
    known: dict[tuple[Watch[bytes], str], list[Any]] = {}

    def weak(self: Watch[bytes], entry: AnswersEntry[bytes]) -> None:
        answers = []
        for user, value in entry.answers:
            before = known.setdefault((self, user), [])
            before.append(value)
            is_turn = _is_weak and len(before) % 3 == 0
            answers.append((user, before[-3] if is_turn else value))
        deliver(self, AnswersEntry(revision=entry.revision, answers=answers))

    _set(Watch, "on_answers", weak)


def _convergent() -> None:
    """An edge loses every second entry."""
    deliver, count = Watch.on_answers, [0]

    def weak(self: Watch[bytes], entry: AnswersEntry[bytes]) -> None:
        count[0] += 1
        if not _is_weak or count[0] % 2:
            deliver(self, entry)

    _set(Watch, "on_answers", weak)


def _answered() -> None:
    """A worker looks somebody up whom nobody watched before: never."""
    want = NameBook.want

    def weak(self: NameBook, names: Iterable[Name]) -> None:
        want(self, [name for name in names if not (_is_weak and name == NEWCOMER)])

    _set(NameBook, "want", weak)


def _never_silently_stale() -> None:
    """A worker says that all was confirmed just now, whatever Graph answers."""
    put, mark_stale = ContactWriter.put, PresenceReader.mark_stale

    def weak_put(self: ContactWriter, contact: TenantContact, *, urgent: bool) -> None:
        now_ms = int(self._resources.clock.wall().timestamp() * 1000)
        fresh = msgspec.structs.replace(contact, contact_ms=now_ms, status=Status.NONE)
        put(self, fresh if _is_weak else contact, urgent=urgent)

    async def weak_mark(self: PresenceReader, now: float) -> None:
        if not _is_weak:
            await mark_stale(self, now)

    _set(ContactWriter, "put", weak_put)
    _set(PresenceReader, "mark_stale", weak_mark)


def _resumable() -> None:
    """An edge owes nothing to a suite that comes back."""
    owed = Watch._owed

    def weak(self: Watch[bytes], ask: Ask, revision: Any) -> bool:
        return ask is Ask.FULL if _is_weak else owed(self, ask, revision)

    _set(Watch, "_owed", weak)


def _bounded() -> None:
    """An edge keeps something of each change."""
    deliver, kept = Watch.on_answers, []

    def weak(self: Watch[bytes], entry: AnswersEntry[bytes]) -> None:
        if _is_weak:
            kept.append(bytearray(b"x" * _LEAK_BYTES))
        deliver(self, entry)

    _set(Watch, "on_answers", weak)


def _set(owner: type, name: str, weak: object) -> None:
    setattr(owner, name, weak)


RULES: Final[Mapping[str, Callable[[], None]]] = {
    "isolated": _isolated,
    "ordered": _ordered,
    "convergent": _convergent,
    "answered": _answered,
    "never_silently_stale": _never_silently_stale,
    "resumable": _resumable,
    "bounded": _bounded,
}
"""What a process may do wrong. Custody is weakened in its writer: see `test_weakened.py`."""


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: _is_weak.append(True))
    RULES[sys.argv.pop(1)]()
    relay_main()
