"""A process of the relay that breaks one rule: `python -m tests.chaos.weakened RULE serve ROLE`. A run with it shows that the validator
of that guarantee sees what real processes do wrong, and not only what a record was made to say.
"""

from __future__ import annotations

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
from relay.worker.tenant.names import NameBook
from tests.chaos.scene import NEWCOMER

_LEAK_BYTES: Final = 4 << 20


def _isolated() -> None:
    """An edge takes every suite for Fabrikam's."""
    verify = SuiteKeys.verify

    async def weak(self: SuiteKeys, text: str) -> KeyRecord:
        return replace(await verify(self, text), tenant_id=TenantId(stable_guid("fabrikam.example")))

    _set(SuiteKeys, "verify", weak)


def _ordered() -> None:
    """An edge repeats what came before after what is new."""
    deliver = Watch.on_answers
    before: dict[str, list[Any]] = {}

    def weak(self: Watch[bytes], entry: AnswersEntry[bytes]) -> None:
        answers = []
        for user, value in entry.answers:
            known = before.setdefault(user, [])
            if value not in known[-2:]:
                known.append(value)
            answers.append((user, known[-2] if len(known) > 2 else value))
        deliver(self, replace(entry, answers=answers))

    _set(Watch, "on_answers", weak)


def _convergent() -> None:
    """An edge loses every second entry."""
    deliver, count = Watch.on_answers, [0]

    def weak(self: Watch[bytes], entry: AnswersEntry[bytes]) -> None:
        count[0] += 1
        if count[0] % 2:
            deliver(self, entry)

    _set(Watch, "on_answers", weak)


def _answered() -> None:
    """A worker looks nobody up who comes later."""
    want = NameBook.want

    def weak(self: NameBook, names: Iterable[Name]) -> None:
        want(self, [name for name in names if name != NEWCOMER])

    _set(NameBook, "want", weak)


def _never_silently_stale() -> None:
    """A worker says that all was confirmed just now, whatever Graph answers."""
    put = ContactWriter.put

    def weak(self: ContactWriter, contact: TenantContact, *, urgent: bool) -> None:
        now_ms = int(self._resources.clock.wall().timestamp() * 1000)
        put(self, msgspec.structs.replace(contact, contact_ms=now_ms, status=Status.NONE), urgent=urgent)

    _set(ContactWriter, "put", weak)


def _resumable() -> None:
    """An edge owes nothing to a suite that comes back."""

    def weak(_: Watch[bytes], ask: Ask, _revision: object) -> bool:
        return ask is Ask.FULL

    _set(Watch, "_owed", weak)


def _bounded() -> None:
    """An edge keeps something of each change."""
    deliver, kept = Watch.on_answers, []

    def weak(self: Watch[bytes], entry: AnswersEntry[bytes]) -> None:
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
    RULES[sys.argv.pop(1)]()
    relay_main()
