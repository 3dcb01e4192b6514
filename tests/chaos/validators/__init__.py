"""One validator for each guarantee: each is a function from the record of a run to the faults that it shows, a sentence each.

isolated.py    no suite receives anything of another tenant
ordered.py     no older presence after a newer one
convergent.py  when all is calm, every suite shows what Graph says
answered.py    every name has a presence or a reason soon
fresh.py       what was not confirmed is not shown as fresh
resumable.py   what changed while a suite was away is there once it resumed
custody.py     what was acknowledged as saved is there; no secret is in an output
bounded.py     memory, and requests to Graph, stay within bounds
orderly.py     no process ends or stumbles by itself (no guarantee, but no run is good without)
calm.py        the time that counts: that in which nothing was wrong
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos.record import Record
from tests.chaos.validators.answered import answered
from tests.chaos.validators.bounded import bounded
from tests.chaos.validators.convergent import convergent
from tests.chaos.validators.custody import custody
from tests.chaos.validators.fresh import never_silently_stale
from tests.chaos.validators.isolated import isolated
from tests.chaos.validators.ordered import ordered
from tests.chaos.validators.orderly import orderly
from tests.chaos.validators.resumable import resumable

Validator = Callable[[Record], list[str]]

VALIDATORS: Final[Mapping[str, Validator]] = {
    "Isolated": isolated,
    "Ordered": ordered,
    "Convergent": convergent,
    "Answered": answered,
    "Never silently stale": never_silently_stale,
    "Resumable": resumable,
    "Custody": custody,
    "Bounded": bounded,
    "Orderly": orderly,
}


def judge(record: Record) -> list[str]:
    """Return every fault that a record shows, with the guarantee that it breaks."""
    return [f"{name}: {fault}" for name, validator in VALIDATORS.items() for fault in validator(record)]
