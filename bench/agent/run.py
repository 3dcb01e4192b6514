"""Run the agent and its peer in turn, with the same relay and consoles, and compare."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import trustme

from bench import report
from bench.agent import broadcaster, consoles, direct, relay
from bench.processes import Child, ChildFailed, cpu_s, free_port, server

if TYPE_CHECKING:
    from collections.abc import Iterator

BEYOND_MS: Final = 100.0
"""Limit on the time that the agent adds to the relay's own, at the 99th percentile, to the last console."""
CONNECT_S: Final = 10.0
MANY: Final = 1000
_CHOSEN: Final = 100
_WAIT_S: Final = 300.0
_SETTLE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """The options of the agent benchmark."""

    colleagues: int = 10_000
    consoles: int = 50
    rate: float = 50.0
    seconds: float = 15.0
    many: int = MANY
    whole: bool = False
    """Whether each of the many consoles requests all colleagues instead of 100."""
    profile: str = ""
    """The file for a profile of the agent by py-spy, which must be installed."""


@dataclass(slots=True)
class Side:
    """The measurements of one side.

    Attributes:
        direct_ms: of each change, from the relay to a suite that reads the relay directly.
        last_ms: from the relay to the last console.
        beyond_ms: the difference, of each change.
        rss_mb: memory with all colleagues, then with the consoles, then with the many consoles.
        connect_s: until the many consoles had all requested colleagues.
    """

    direct_ms: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    beyond_ms: list[float] = field(default_factory=list)
    incomplete: int = 0
    cpu_ms_a_change: float = 0.0
    rss_mb: list[float] = field(default_factory=list)
    told_s: float = 0.0
    connect_s: float = 0.0
    connect_mb: float = 0.0


def run(options: AgentOptions) -> int:
    """Measure both sides; return the exit code."""
    load = report.load_before()
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = b"".join(pem.bytes() for pem in certificate.cert_chain_pems), certificate.private_key_pem.bytes()
    ca_pem = authority.cert_pem.bytes()
    names = [relay.upn(number) for number in range(options.colleagues)]
    found: dict[str, Side] = {}
    for side in ("bare", "agent"):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            playing = stack.enter_context(Child(relay.serve, chain, key))
            port = playing.hear()
            run_side = _agent if side == "agent" else _bare
            at, pid = stack.enter_context(run_side(Path(folder), port, ca_pem, names, options))
            found[side] = _measured(playing, port, ca_pem, names, at, pid, options)
            report.say(f"{side}: last console p99 {report.quantile(found[side].last_ms, 0.99):.1f} ms")
    return _compare(found, options, load)


def _measured(
    playing: Child, relay_port: int, ca_pem: bytes, names: list[str], port: int, pid: int, options: AgentOptions
) -> Side:
    side, process = Side(), psutil.Process(pid)

    def note_memory() -> None:
        side.rss_mb.append(process.memory_info().rss / 1e6)

    with Child(direct.read, relay_port, ca_pem, names) as suite, Child(consoles.read, port) as reading:
        suite.hear(_WAIT_S)
        note_memory()
        side.told_s, _ = reading.ask("open", options.consoles, "", timeout_s=_WAIT_S)
        note_memory()
        playing.ask(options.rate, 2.0, timeout_s=_WAIT_S)  # warm
        time.sleep(_SETTLE_S)
        suite.ask("came")
        reading.ask("came")
        before = cpu_s([pid])[pid]
        played = playing.ask(options.rate, options.seconds, timeout_s=_WAIT_S)
        _settled(reading, suite, side, played, options)
        side.cpu_ms_a_change = (cpu_s([pid])[pid] - before) * 1000 / played
        reading.ask("close")
        if options.many:
            query = "" if options.whole else "?" + "&".join(f"user={name}" for name in names[:_CHOSEN])
            side.connect_s, received = reading.ask("open", options.many, query, timeout_s=_WAIT_S)
            side.connect_mb = received / 1e6
            note_memory()
    return side


def _settled(reading: Child, suite: Child, side: Side, played: int, options: AgentOptions) -> None:
    """Collect the results, after enough time for all changes to arrive."""
    time.sleep(_SETTLE_S)
    came = {stamp.decode(): counted for stamp, counted in reading.ask("came", timeout_s=_WAIT_S).items()}
    direct_came = suite.ask("came", timeout_s=_WAIT_S)
    for stamp, at in direct_came.items():
        count, last = came.get(stamp, (0, 0.0))
        if count < options.consoles:
            side.incomplete += 1
            continue
        began = _seconds(stamp)
        side.direct_ms.append((at - began) * 1000)
        side.last_ms.append((last - began) * 1000)
        side.beyond_ms.append((last - at) * 1000)
    if len(direct_came) != played:
        raise ChildFailed(f"{len(direct_came)} of {played} changes came to the suite")


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


@contextmanager
def _agent(
    folder: Path, relay_port: int, ca_pem: bytes, names: list[str], options: AgentOptions
) -> Iterator[tuple[int, int]]:
    """Run a real agent, from its settings file."""
    port = free_port()
    (folder / "ca.pem").write_bytes(ca_pem)
    key = folder / "suite.key"
    key.touch(0o600)
    key.write_text("psk_1f2e3d4c_bench")
    rows = "".join(f"login{number},{name},{1000 + number}\n" for number, name in enumerate(names))
    (folder / "colleagues.csv").write_text("login,upn,extension\n" + rows)
    (folder / "Presence.ini").write_text(
        f"MSTeamsPresence.Enable = 1\nWinningTechnology = MSTeams\n[Relay]\nAddress = localhost:{relay_port}\n"
        f"KeyFile = suite.key\nCaFile = ca.pem\nProxy = none\n[Agent]\nUsersFile = colleagues.csv\nPort = {port}\n"
        f"Consoles = {max(1000, options.many + options.consoles)}\n"
    )
    command = [sys.executable, "-m", "suite.cli", "agent", "--settings", str(folder / "Presence.ini")]
    if options.profile:
        command = ["py-spy", "record", "-o", options.profile, "--", *command]
    with server(command, port, folder / "log") as pid:
        yield port, pid


@contextmanager
def _bare(
    _folder: Path, relay_port: int, ca_pem: bytes, names: list[str], _options: AgentOptions
) -> Iterator[tuple[int, int]]:
    port = free_port()
    with Child(broadcaster.broadcast, relay_port, ca_pem, names, port) as child:
        child.hear(_WAIT_S)
        yield port, child.pid


def _compare(found: dict[str, Side], options: AgentOptions, load: float) -> int:
    def both(title: str, of: object) -> list[object]:
        return [title, *(round(of(found[side]), 2) for side in ("agent", "bare"))]  # type: ignore[operator]

    def p(share: float, what: str) -> object:
        return lambda side: report.quantile(getattr(side, what), share)

    asked = "all colleagues" if options.whole else f"{_CHOSEN} colleagues each"
    rows = [
        both("relay to a suite without an agent, p99 ms", p(0.99, "direct_ms")),
        both("relay to the last console, p50 ms", p(0.5, "last_ms")),
        both("relay to the last console, p99 ms", p(0.99, "last_ms")),
        both("beyond the relay's own, p50 ms", p(0.5, "beyond_ms")),
        both("beyond the relay's own, p99 ms", p(0.99, "beyond_ms")),
        both("changes that did not come to all", lambda side: side.incomplete),
        both("CPU ms a change, to all consoles", lambda side: side.cpu_ms_a_change),
        both("memory with all colleagues, MB", lambda side: side.rss_mb[0]),
        both(f"memory with {options.consoles} consoles, MB", lambda side: side.rss_mb[1]),
        both(f"{options.consoles} consoles told everybody, s", lambda side: side.told_s),
    ]
    if options.many:
        rows += [
            both(f"{options.many:,} consoles told ({asked}), s", lambda side: side.connect_s),
            both("sent to them, MB", lambda side: side.connect_mb),
            both("memory with them, MB", lambda side: side.rss_mb[2]),
        ]
    title = f"{options.colleagues:,} colleagues, {options.rate:g} changes a second, {options.consoles} consoles; load before: {load}"
    report.table(title, ("", "agent", "bare Starlette"), rows)
    agent, bare = found["agent"], found["bare"]
    verdict = report.Verdict("agent")
    verdict.ratios = {
        "last_p99": round(report.quantile(agent.last_ms, 0.99) / max(report.quantile(bare.last_ms, 0.99), 0.001), 2),
        "cpu": round(agent.cpu_ms_a_change / max(bare.cpu_ms_a_change, 0.001), 2),
        "beyond_p99_ms": round(report.quantile(agent.beyond_ms, 0.99), 1),
        "rss_mb": [round(one) for one in agent.rss_mb],
        "connect_s": round(agent.connect_s, 1),
    }
    verdict.must = {
        f"to the last console within {BEYOND_MS:g} ms beyond the relay's own": report.quantile(agent.beyond_ms, 0.99)
        <= BEYOND_MS,
        "every change comes to every console": agent.incomplete == 0,
    }
    if options.many and not options.whole:
        verdict.must[f"{options.many:,} consoles within {CONNECT_S:g} s"] = agent.connect_s <= CONNECT_S
    return verdict.say()
