"""Time of day that goes wrong for one process: Debian's libfaketime stands between it and the system's clock.

Only the time of day is stepped, as an operator or NTP does it; monotonic time goes on. All that the process does by the time of
day meets it: the relay, MSAL, TLS, tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


class SteppedClock:
    """The clock of one process.

    Args:
        file: where the step is written; the process reads it once a second.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables that the process must be started with.

        Raises:
            FileNotFoundError: libfaketime is missing.
        """
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: float) -> None:
        """Let the process think it is so much later than it is."""
        self._file.write_text(f"{seconds:+.0f}\n")


def _library() -> Path:
    for place in _PLACES:
        for found in sorted(Path("/").glob(place[1:])):
            return found
    raise FileNotFoundError("libfaketime is missing. Install it, for example: sudo apt-get install faketime")
