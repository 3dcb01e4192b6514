"""The work of an event loop between two looks at what is ready: nobody else has a turn meanwhile.

Work is counted in calls of the relay's own functions and not in seconds, so a count is the same on every machine.
"""

from __future__ import annotations

import sys
from asyncio import base_events
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_OURS: Final = f"{Path(relay.__file__).parent}/"
_PASS: Final = base_events.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]


class Passes:
    """The passes of this thread's event loop while they are watched.

    Attributes:
        longest: calls in the longest one.
        functions: the functions that it called most, for whoever reads why a test fails.
        most: function -> its calls in the pass that called it most.
    """

    def __init__(self) -> None:
        self.longest = 0
        self.functions: list[tuple[str, int]] = []
        self.most: Counter[str] = Counter()
        self._calls: Counter[Any] = Counter()

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Count one event of the interpreter, as `sys.setprofile` tells it."""
        if event != "call":
            return
        if frame.f_code is _PASS:
            self.end()
        if frame.f_code.co_filename.startswith(_OURS):
            self._calls[frame.f_code] += 1

    def end(self) -> None:
        """Count the pass under way as over."""
        calls = self._calls.total()
        if calls > self.longest:
            self.longest = calls
            self.functions = [(code.co_qualname, count) for code, count in self._calls.most_common(8)]
        for code, count in self._calls.items():
            self.most[code.co_qualname] = max(count, self.most[code.co_qualname])
        self._calls.clear()


@contextmanager
def watched_passes() -> Iterator[Passes]:
    """Watch the passes of the event loop of this thread."""
    passes = Passes()
    sys.setprofile(passes.note)
    try:
        yield passes
    finally:
        sys.setprofile(None)
        passes.end()
