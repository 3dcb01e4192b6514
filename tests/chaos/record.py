"""The record of a run: what was true at Graph, what each suite was shown, what was kept and asked, and what went wrong when.

A run appends a line of JSON for each; the validators judge the lines and nothing else, so a record can be judged again
(`python -m tests.chaos judge FILE`). All times are seconds since 1970 by the clock of this machine, which no fault steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec


class _Line(msgspec.Struct, frozen=True, tag_field="line"):
    """One thing that happened."""


class Begun(_Line, frozen=True, tag="begun"):
    """The run: where its schedule comes from, and what a busy machine may add to each promised time."""

    seed: int
    topology: str
    slack_s: float
    schedule: tuple[str, ...] = ()


class Person(_Line, frozen=True, tag="person"):
    """Somebody at Graph."""

    user: str
    tenant: str
    name: str
    """UPN, as suites name them."""


class Truth(_Line, frozen=True, tag="truth"):
    """How somebody was to be seen at Graph from `at` on; `number` is Microsoft's sequence number, empty where it says none."""

    at: float
    user: str
    availability: str
    activity: str
    number: str = ""


class Opened(_Line, frozen=True, tag="opened"):
    """A suite came with a key of this tenant."""

    at: float
    suite: str
    tenant: str


class Asked(_Line, frozen=True, tag="asked"):
    """A suite subscribed to these names."""

    at: float
    suite: str
    names: tuple[str, ...]


class Dropped(_Line, frozen=True, tag="dropped"):
    """A suite unsubscribed from these names."""

    at: float
    suite: str
    names: tuple[str, ...]


class Closed(_Line, frozen=True, tag="closed"):
    """A suite left for good."""

    at: float
    suite: str


class Connected(_Line, frozen=True, tag="connected"):
    """A stream began; the outcome is RESUMED, RESET or SNAPSHOT."""

    at: float
    suite: str
    outcome: str


class Disconnected(_Line, frozen=True, tag="disconnected"):
    """A stream ended."""

    at: float
    suite: str
    reason: str


class Reset(_Line, frozen=True, tag="reset"):
    """What a suite held is uncertain from now on; without `kept` it is gone."""

    at: float
    suite: str
    kept: bool


class Complete(_Line, frozen=True, tag="complete"):
    """Everything asked for at the start of the stream was answered."""

    at: float
    suite: str


class Resolved(_Line, frozen=True, tag="resolved"):
    """A name stands for this user, or for nobody because of the status."""

    at: float
    suite: str
    name: str
    user: str
    status: str = ""


class Shown(_Line, frozen=True, tag="shown"):
    """A suite was told of somebody: a presence, or the status that says why there is none."""

    at: float
    suite: str
    user: str
    availability: str = ""
    activity: str = ""
    number: str = ""
    status: str = ""


class Told(_Line, frozen=True, tag="told"):
    """A suite was told of its tenant: the status (`NONE`: all is well), when Graph last confirmed it, and how often it is read."""

    at: float
    suite: str
    status: str
    contact: float
    every_s: float


class Request(_Line, frozen=True, tag="request"):
    """Graph was asked."""

    at: float
    tenant: str
    status: int


class Acknowledged(_Line, frozen=True, tag="acknowledged"):
    """A write of custody was said to be saved. `value` only grows: a number of writes."""

    at: float
    kind: str
    id: str
    value: int


class Found(_Line, frozen=True, tag="found"):
    """What of custody was there at the end."""

    kind: str
    id: str
    value: int


class Trouble(_Line, frozen=True, tag="trouble"):
    """A fault, from its begin until it was over."""

    at: float
    until: float
    what: str


class Calm(_Line, frozen=True, tag="calm"):
    """No fault and no change from `at` until `until`; everything must be right within `within_s`, and was so at `right`."""

    at: float
    right: float
    until: float
    within_s: float


class Memory(_Line, frozen=True, tag="memory"):
    """What a process has in memory at rest, and for how many watched users and open streams in the whole relay."""

    at: float
    process: str
    pid: int
    bytes: int
    users: int
    streams: int


class Output(_Line, frozen=True, tag="output"):
    """What a process must not say or do: a secret or a presence in its output, a traceback, an end that nobody asked for."""

    process: str
    what: str
    is_secret: bool = False


Line = (
    Begun | Person | Truth | Opened | Asked | Dropped | Closed | Connected | Disconnected | Reset | Complete | Resolved
    | Shown | Told | Request | Acknowledged | Found | Trouble | Calm | Memory | Output
)  # fmt: skip
OfSuite = (
    Opened | Asked | Dropped | Closed | Connected | Disconnected | Reset | Complete | Resolved | Shown | Told
)  # fmt: skip
_OF_SUITE: Final = (
    Opened, Asked, Dropped, Closed, Connected, Disconnected, Reset, Complete, Resolved, Shown, Told,
)  # fmt: skip
_Kind = TypeVar("_Kind", bound=_Line)


class Record:
    """The lines of a run, in the order in which they were noted.

    Args:
        lines: those that there are.
        file: where `note` appends them too.
    """

    def __init__(self, lines: Iterable[Line] = (), file: Path | None = None) -> None:
        self._lines = list(lines)
        self._file = file.open("ab") if file is not None else None

    @classmethod
    def read(cls, file: Path) -> Record:
        """Read the record of an earlier run.

        Raises:
            msgspec.DecodeError: a line is not one of a record.
        """
        decoder = msgspec.json.Decoder(Line)
        return cls(decoder.decode(line) for line in file.read_bytes().splitlines())

    def note(self, line: Line) -> None:
        """Append a line."""
        self._lines.append(line)
        if self._file is not None:
            self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Write what is not written yet."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """Return the lines of a kind, in order."""
        return [line for line in self._lines if isinstance(line, kind)]

    def by_suite(self) -> dict[str, list[OfSuite]]:
        """Return suite -> everything that it asked and was told, in order."""
        found: dict[str, list[OfSuite]] = {}
        for line in self._lines:
            if isinstance(line, _OF_SUITE):
                found.setdefault(line.suite, []).append(line)
        return found

    @property
    def slack_s(self) -> float:
        """What a busy machine may add to each promised time."""
        return max((line.slack_s for line in self.of(Begun)), default=0.0)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)
