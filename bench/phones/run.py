"""Run the agent and its peer in turn, with the same phones and changes, and compare."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from bench import report
from bench.phones import bare, phones
from bench.processes import Child, ChildFailed, cpu_s, free_port, server

if TYPE_CHECKING:
    from bench.phones.phones import Came

LAST_MS: Final = 200.0
"""Limit on the time from a change to the last NOTIFY, at the 99th percentile."""
_FIRST: Final = 1000
_SETTLE_S: Final = 1.5
_WAIT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesOptions:
    """The options of the phones benchmark."""

    phones: int = 50
    colleagues: int = 100
    rate: float = 20.0
    seconds: float = 15.0


@dataclass(slots=True)
class PhonesSide:
    """The measurements of one side.

    Attributes:
        last_ms: time of each change, from its request to the last phone.
        incomplete: changes that did not reach all phones.
        told_s: time until all phones had all colleagues.
    """

    last_ms: list[float] = field(default_factory=list)
    incomplete: int = 0
    cpu_ms_a_notify: float = 0.0
    told_s: float = 0.0
    rss_mb: float = 0.0


class _Teller:
    """Reports changes to the local API, and records the time of each."""

    def __init__(self, port: int, colleagues: int) -> None:
        self.told: dict[tuple[int, int], float] = {}
        self._connection = HTTPConnection("127.0.0.1", port)
        self._extensions = itertools.cycle(range(_FIRST, _FIRST + colleagues))
        self._changes: Counter[int] = Counter()
        self._sequences = itertools.count(1)

    def first(self, colleagues: int) -> None:
        """Report all colleagues as away."""
        self._tell([(number, "away") for number in range(_FIRST, _FIRST + colleagues)])

    def play(self, rate: float, seconds: float) -> None:
        """Report changes for `seconds`."""
        self.told.clear()
        self._changes.clear()
        began = time.monotonic()
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            extension = next(self._extensions)
            self.told[extension, self._changes[extension]] = time.time()
            self._changes[extension] += 1
            self._tell([(extension, f"{'busy' if self._changes[extension] % 2 else 'available'}")])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _tell(self, states: list[tuple[int, str]]) -> None:
        told = [
            {"user": str(extension), "state": state, "sequence": next(self._sequences), "expires_s": 600}
            for extension, state in states
        ]
        body = json.dumps({"connector": "bench", "states": told})
        self._connection.request("POST", "/v1/presence", body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        said = response.read()
        if response.status >= 300:
            raise ChildFailed(f"The agent answered {response.status}: {said[:200]!r}")


def run(options: PhonesOptions) -> int:
    """Measure both sides; return the exit code."""
    load = report.load_before()
    found: dict[str, PhonesSide] = {}
    for side in ("bare", "agent"):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            api_port, sip_port = free_port(), free_port()
            if side == "bare":
                child = stack.enter_context(Child(bare.serve, api_port, sip_port))
                child.hear()
                pid = child.pid
            else:
                settings = _settings(Path(folder), api_port, sip_port, options)
                command = [sys.executable, "-m", "suite.cli", "agent", "--settings", str(settings)]
                pid = stack.enter_context(server(command, sip_port, Path(folder) / "log"))
                _wait_for_api(api_port)
            found[side] = _measured(pid, api_port, sip_port, options, is_bare=side == "bare")
    return _compare(found, options, load)


def _wait_for_api(port: int) -> None:
    """Wait until the local API answers."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection, suppress(OSError):
            connection.request("GET", "/v1/sources")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    raise ChildFailed("The agent does not serve its local API.")


def _settings(folder: Path, api_port: int, sip_port: int, options: PhonesOptions) -> Path:
    rows = "".join(f"login{number},{_FIRST + number}\n" for number in range(options.colleagues))
    (folder / "colleagues.csv").write_text("login,extension\n" + rows)
    file = folder / "Presence.ini"
    file.write_text(
        f"WinningTechnology = Local\n[Agent]\nUsersFile = colleagues.csv\nPort = {api_port}\n"
        f"[SipServer]\nEnable = 1\nUdpPort = 0\nTcpPort = {sip_port}\nNotifiesPerSecond = 0\n"
    )
    return file


def _measured(pid: int, api_port: int, sip_port: int, options: PhonesOptions, *, is_bare: bool) -> PhonesSide:
    side = PhonesSide()
    with closing(_Teller(api_port, options.colleagues)) as teller, ExitStack() as stack:
        if not is_bare:
            teller.first(options.colleagues)
        colleagues = 0 if is_bare else options.colleagues
        watching = stack.enter_context(Child(phones.watch, sip_port, options.phones, colleagues))
        began = time.monotonic()
        watching.ask("told", timeout_s=_WAIT_S)
        side.told_s = time.monotonic() - began
        teller.play(options.rate, 1.0)  # warm
        time.sleep(_SETTLE_S)
        watching.ask("came")
        before = cpu_s([pid])[pid]
        teller.play(options.rate, options.seconds)
        time.sleep(_SETTLE_S)
        came: Came = watching.ask("came")
        spent = cpu_s([pid])[pid] - before
        side.rss_mb = psutil.Process(pid).memory_info().rss / 1e6
    for change, at in teller.told.items():
        count, last = came.get(change, (0, 0.0))
        if count == options.phones:
            side.last_ms.append((last - at) * 1000)
        else:
            side.incomplete += 1
    side.cpu_ms_a_notify = spent * 1000 / (len(teller.told) * options.phones)
    return side


def _compare(found: dict[str, PhonesSide], options: PhonesOptions, load: float) -> int:
    rows: list[list[object]] = [
        [title, *(round(of(found[side]), 2) for side in ("agent", "bare"))]
        for title, of in (
            ("change to the last phone, p50 ms", lambda side: report.quantile(side.last_ms, 0.5)),
            ("change to the last phone, p99 ms", lambda side: report.quantile(side.last_ms, 0.99)),
            ("changes that did not come to all", lambda side: side.incomplete),
            ("CPU ms a NOTIFY", lambda side: side.cpu_ms_a_notify),
            ("all phones told all colleagues, s", lambda side: side.told_s),
            ("memory with the phones, MB", lambda side: side.rss_mb),
        )
    ]
    title = f"{options.phones} phones with a list of {options.colleagues}, {options.rate:g} changes a second; load before: {load}"
    report.table(title, ("", "agent", "bare writes"), rows)
    agent, peer = found["agent"], found["bare"]
    p99 = report.quantile(agent.last_ms, 0.99)
    verdict = report.Verdict("phones")
    verdict.ratios = {
        "last_p99_ms": round(p99, 1),
        "bare_p99_ms": round(report.quantile(peer.last_ms, 0.99), 1),
        "cpu": round(agent.cpu_ms_a_notify / max(peer.cpu_ms_a_notify, 0.001), 1),
        "told_s": round(agent.told_s, 2),
    }
    verdict.must = {
        f"to the last phone within {LAST_MS:g} ms": p99 <= LAST_MS,
        "every change comes to every phone": agent.incomplete == 0,
    }
    return verdict.say()
