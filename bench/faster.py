"""A faster clock for this process and its children, which simulates hours of operation in minutes.

Debian's `faketime` provides it, with a library between programs and the system's clock. The relay, its Valkey and the
local cloud run unchanged, with their default settings. Real computing time is multiplied by the same factor.
"""

from __future__ import annotations

import os
import shutil
import sys

from bench.processes import ChildFailed

_FASTER = "FAKETIME"
"""Set by faketime in the processes that run under it."""


def run_again(speed: float) -> None:
    """Run this command again with a clock that is `speed` times as fast; return if it already has that clock.

    Raises:
        ChildFailed: faketime is not installed.
    """
    if speed == 1 or _FASTER in os.environ:
        return
    faketime = shutil.which("faketime")
    if faketime is None:
        raise ChildFailed("faketime is missing. Install it (apt-get install faketime), or wait: --speed 1")
    # `-m`: for all threads. All child processes share one start time.
    arguments = [faketime, "-m", "-f", f"+0 x{speed:g}", sys.executable, "-m", "bench", *sys.argv[1:]]
    os.execv(faketime, arguments)
