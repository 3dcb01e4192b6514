"""Guards of every test: no connection leaves this machine, and no code of ours blocks the event loop.

Python reports such calls to audit hooks before it makes them. One hook, for the whole process, refuses them and remembers them,
so that a test fails even when the code under test handles the refusal.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

_ROOT: Final = Path(__file__).parent.parent.parent
_OURS: Final = tuple(f"{_ROOT / folder}/" for folder in ("relay", "pages", "onboarding", "console", "suite/src"))
_OTHERS: Final = tuple(f"{_ROOT / folder}/" for folder in ("tests", "bench", "emulator"))
_BLOCKING: Final = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "time.sleep"})
"""Not to open a file: the small files of this machine that the relay reads are there at once."""


class Refused(OSError):
    """A call that no test may make."""


_refused: list[str] = []


def pytest_configure() -> None:
    """Watch this process from now on: a hook cannot be taken away again."""
    guard, is_finalizing = _hook, sys.is_finalizing

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not is_finalizing():  # the hook outlives this module, whose names are None by then
            guard(event, args)

    sys.addaudithook(hook)
    sleep = time.sleep

    def watched(seconds: float) -> None:
        _hook("time.sleep", (seconds,))  # no audit event before Python 3.13
        sleep(seconds)

    time.sleep = watched


@pytest.fixture(autouse=True)
def _guarded() -> Iterator[None]:
    """Fail a test that made a call which was refused."""
    _refused.clear()
    yield
    assert _refused == []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and not _is_near(args[1]):
        _refuse(f"a connection to {args[1]}")
    if event in _BLOCKING and _blocks(event, args) and (place := _place(sys._getframe(1))):
        _refuse(f"{event}{args[:1]} blocks the event loop at {place}")


def _blocks(event: str, args: tuple[Any, ...]) -> bool:
    """Whether an event loop runs in this thread and would wait; connections of its own are those of sockets that never wait."""
    if asyncio._get_running_loop() is None:
        return False
    return event != "socket.connect" or args[0].gettimeout() != 0


def _refuse(what: str) -> None:
    _refused.append(what)
    raise Refused(what)


def _is_near(address: object) -> bool:
    """Whether an address is on this machine; paths are those of Unix sockets."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0]).partition("%")[0]
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == "localhost"


def _place(frame: FrameType | None) -> str:
    """Return the line of ours that makes the call; empty when a test, a benchmark or the emulator makes it, or nobody of ours."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_OTHERS):
            return ""
        if name.startswith(_OURS):
            return f"{name.removeprefix(str(_ROOT))}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
