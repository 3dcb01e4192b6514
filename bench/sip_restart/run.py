"""Subscribes an agent to many users, restarts the server, and measures the time until all are right and the request rate."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import psutil

from bench import report
from bench.processes import Child, ChildFailed, cpu_s, free_port, server
from bench.sip_restart.server import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

AWAY_S: Final = 3.0
"""Downtime of the server."""
_PATIENCE_S: Final = 60.0
"""Time beyond the paced time until the benchmark gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOptions:
    """The options of the benchmark: users, and subscriptions a second."""

    users: int = 10_000
    rate: int = 50


@dataclass(slots=True)
class Life:
    """The measurements of one run of the server: the time until all were right, and the times of SUBSCRIBEs since its start."""

    right_s: float
    times: Sequence[float]

    @property
    def most_a_second(self) -> int:
        """The most SUBSCRIBEs within a whole second."""
        return max(Counter(int(each) for each in self.times).values(), default=0)


def run(options: RestartOptions) -> int:
    """Measure; return the exit code."""
    load = report.load_before()
    port, sip_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), port, sip_port, options)
        command = [sys.executable, "-m", "suite.cli", "agent", "--settings", f"{folder}/Presence.ini"]
        with Child(serve, sip_port, "") as first:
            first.hear()
            agent = server(command, port, Path(folder) / "log")
            pid = agent.__enter__()
            try:
                began = Life(_until_all(port, "available", options), first.ask("times"))
                report.say(f"all subscribed after {began.right_s:.1f} s")
                first.__exit__()
                time.sleep(AWAY_S)
                cpu = cpu_s([pid])[pid]
                with Child(serve, sip_port, "busy") as second:
                    second.hear()
                    again = Life(_until_all(port, "busy", options), second.ask("times"))
                cpu = cpu_s([pid])[pid] - cpu
                rss_mb = psutil.Process(pid).memory_info().rss / 1e6
            finally:
                agent.__exit__(None, None, None)
    return _judge(options, began, again, cpu, rss_mb, load)


def _write(folder: Path, port: int, sip_port: int, options: RestartOptions) -> None:
    rows = "".join(f"user{number},user{number}@bench\n" for number in range(options.users))
    (folder / "colleagues.csv").write_text("login,sip\n" + rows)
    (folder / "Presence.ini").write_text(
        f"[SipSimple]\nEnable = 1\nAddress = 127.0.0.1:{sip_port}\nProtocol = tcp\nUri = sip:suite@bench\n"
        f"SubscriptionsPerSecond = {options.rate}\n[Agent]\nUsersFile = colleagues.csv\nPort = {port}\n"
    )


def _until_all(port: int, status: str, options: RestartOptions) -> float:
    """Wait until the agent shows all users in a state, and certain; return the time."""
    began = time.monotonic()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        while time.monotonic() - began < options.users / options.rate + _PATIENCE_S:
            users = client.get("/v1/users").json()["users"]
            if sum(each["status"] == status and not each["uncertain"] for each in users) == options.users:
                return time.monotonic() - began
            time.sleep(1.0)
    raise ChildFailed(f"not all users are {status} in time")


def _judge(options: RestartOptions, began: Life, again: Life, cpu: float, rss_mb: float, load: float) -> int:
    rows = [
        ["until all are right, s", began.right_s, again.right_s],
        ["SUBSCRIBEs in all", len(began.times), len(again.times)],
        ["SUBSCRIBEs in the busiest second", began.most_a_second, again.most_a_second],
        ["CPU of the agent, s", "", cpu],
        ["memory of the agent at the end, MB", "", rss_mb],
    ]
    title = f"{options.users:,} users, {options.rate} subscriptions a second; load before: {load}"
    report.table(title, ("", "first start", "after the restart"), rows)
    paced_s = options.users / options.rate
    verdict = report.Verdict("sip-restart")
    verdict.ratios = {
        "right_s": round(again.right_s, 1),
        "paced_s": round(paced_s, 1),
        "subscribes": len(again.times),
        "most_a_second": again.most_a_second,
        "rss_mb": round(rss_mb),
    }
    verdict.must = {
        "all are right within the paced time, a tenth and 10 s": again.right_s <= paced_s * 1.1 + 10,
        "no second has a tenth, and ten, more than the rate": again.most_a_second <= options.rate * 1.1 + 10,
        "few are asked for twice": len(again.times) <= options.users * 1.05 + 50,
    }
    return verdict.say()
