"""A clock that goes faster, for this process and all that it starts: hours of a relay's life in minutes.

Debian's `faketime` does it, with a library between programs and the system's clock. The relay, its Valkey and the
local cloud run unchanged, with their default settings. The machine's own computing time counts as many times.
"""

from __future__ import annotations

import os
import shutil
import sys

from bench.processes import ChildFailed

_FASTER = "FAKETIME"
"""Set by faketime in the processes that run under it."""


def run_again(speed: float) -> None:
    """Run this very command again by a clock that goes `speed` times as fast; returns when it does so already.

    Raises:
        ChildFailed: there is no faketime.
    """
    if speed == 1 or _FASTER in os.environ:
        return
    faketime = shutil.which("faketime")
    if faketime is None:
        raise ChildFailed("faketime is missing. Install it (apt-get install faketime), or wait: --speed 1")
    # `-m`: all threads; and the processes that it starts share one beginning.
    arguments = [faketime, "-m", "-f", f"+0 x{speed:g}", sys.executable, "-m", "bench", *sys.argv[1:]]
    os.execv(faketime, arguments)
