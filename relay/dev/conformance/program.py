"""The vendor's program as a child process, which ends with the run."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from relay.dev.folder import DevTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

_STOP_S: Final = 5.0


def filled(command: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """Return the command with all placeholders such as `{address}` replaced."""
    found = []
    for part in command:
        text = part
        for name, value in words.items():
            text = text.replace(f"{{{name}}}", value)
        found.append(text)
    return found


@asynccontextmanager
async def running_program(command: Sequence[str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program with its output in a file. Proxy variables are removed, because the relay is on loopback.

    Raises:
        DevTrouble: it cannot be started.
    """
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with log.open("wb") as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=kept,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise DevTrouble(f"{command[0]} cannot be started: {error.strerror}.") from error
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_S)
                break
