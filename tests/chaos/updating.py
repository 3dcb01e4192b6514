"""A rolling update from an earlier commit's code to this one, as Kubernetes does it by the chart: `python -m tests.chaos.updating [COMMIT]`.

    each role in turn, each of its pods in turn
        a new pod starts; it is ready by the chart's probe, and has been for `minReadySeconds`
        the old one is deleted: no balancer sends it connections any more; the wait of `preStop` passes; SIGTERM
        it ends with 0 within the rest of `terminationGracePeriodSeconds`

Times are those of the chart as it is rendered. Both releases share Redis, partitions and suites for as long as that takes.
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.chaos import record as lines
from tests.chaos.processes import Process
from tests.chaos.scenarios import ROLL_S, Outcome, measure_roll
from tests.chaos.schedule import ROLES
from tests.chaos.topologies import STANDALONE
from tests.chaos.town import Size, Town, town
from tests.chaos.validators import judge
from tests.chart.engine import Helm
from tests.chart.examples import values
from tests.support.fault_proxy import FaultProxy
from tests.support.valkey import free_port

ROOT: Final = Path(__file__).parent.parent.parent
SIZE: Final = Size(tenants=50, suites=4, users=20)
"""Two hundred suites."""
_CALM_S: Final = 62.0
_BEFORE_S: Final = 30.0


@dataclass(frozen=True)
class PodTimes:
    """What the chart says of a role's pods, in seconds."""

    drain: str
    pre_stop: float
    grace: float
    min_ready: float

    @classmethod
    def of(cls, deployment: dict[str, Any]) -> PodTimes:
        pod = deployment["spec"]["template"]["spec"]
        [relay] = pod["containers"]
        variables = {each["name"]: each["value"] for each in relay["env"]}
        assert relay["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "ops"}
        return cls(
            drain=variables.get("RELAY_EDGE_DRAIN_DELAY", ""),
            pre_stop=relay["lifecycle"]["preStop"]["sleep"]["seconds"],
            grace=pod["terminationGracePeriodSeconds"],
            min_ready=deployment["spec"]["minReadySeconds"],
        )


def charted() -> dict[str, PodTimes]:
    """Return the times of each role, as the chart has them by default."""
    with Helm() as helm:
        rendering = helm.render(values())
        return {role: PodTimes.of(rendering.one("Deployment", role)) for role in ("edge", "worker", "webhook")}


def code_of(commit: str, folder: Path) -> Path:
    """Return a folder with an earlier commit's code."""
    packed = subprocess.run(
        ["git", "archive", commit, "relay", "onboarding", "suite/src"], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


async def play(folder: Path, commit: str, size: Size = SIZE, slack_s: float = 0.0, roll_s: float = ROLL_S) -> Outcome:
    """Play an update from `commit` to the code of this folder, in an empty folder, and judge it.

    It is spread over `roll_s`, and Graph's requests are compared with as long a time before: a worker that takes over from an earlier release may read
    everybody once, whatever the time.
    """
    outcome, times = Outcome(), charted()
    older = code_of(commit, folder / "older")
    before = {
        "PYTHONPATH": f"{older}:{older / 'suite' / 'src'}",
        "RELAY_EDGE_DRAIN_DELAY": times["edge"].drain,
    }
    async with town(folder, STANDALONE, size, slack_s, before) as at:
        await asyncio.sleep(_BEFORE_S)  # subscriptions are made
        usual_since = time.time()
        await asyncio.sleep(roll_s)
        began = time.time()
        for number, (name, role) in enumerate(ROLES.items(), 1):
            await _replace(at, name, role, times[role], outcome)
            await asyncio.sleep(max(0.0, began + number * roll_s / len(ROLES) - time.time()))
        ended = time.time()
        await at.rest(_CALM_S + slack_s)
        await at.asked.gather(at.relay)
        await at.end()
        _judge(at, outcome, usual_since, began, ended)
        outcome.faults += judge(at.record)
    return outcome


async def _replace(at: Town, name: str, role: str, times: PodTimes, outcome: Outcome) -> None:
    """Replace one pod."""
    old = at.relay.processes[name]
    port, ops = free_port(), free_port()
    changes = {"PYTHONPATH": "", "RELAY_OPS_PORT": str(ops)}
    if role != "worker":
        changes[f"RELAY_{role.upper()}_PORT"] = str(port)
    new = old.twin(at.relay.folder / f"{name}-new.log", **changes)
    at.relay.processes[name], at.relay.ops[name] = new, ops
    new.start()
    try:
        await at.relay.ready(name)
        await asyncio.sleep(times.min_ready)
        _lead(at, role, name, port)
        await asyncio.sleep(times.pre_stop)
        deleted = time.monotonic()
        code = await asyncio.to_thread(_ended, old, times.grace - times.pre_stop)
        took = time.monotonic() - deleted
    finally:
        old.kill()
    outcome.figures.append(f"{name}: replaced, the old one ended with {code} after {took:.1f} s")
    if code:
        outcome.faults.append(f"{name} ended with {code}")


def _ended(process: Process, within_s: float) -> int:
    """SIGTERM; return the exit code, -9 when it had to be killed."""
    try:
        return process.terminate(within_s)
    except subprocess.TimeoutExpired:
        return -9


def _lead(at: Town, role: str, name: str, port: int) -> None:
    """Send new connections to the new pod and no longer to the old one: what a Service does once a pod is deleted."""
    numbers = [each for each, of in ROLES.items() if of == role]
    place = numbers.index(name)
    if role == "edge":
        for turn, balancer in enumerate(at.balancers):
            _put(balancer, (place + turn) % len(numbers), port)
    elif role == "webhook":
        _put(at.hook, place, port)


def _put(balancer: FaultProxy, place: int, port: int) -> None:
    addresses = [balancer.upstream, *balancer.others]
    addresses[place] = ("127.0.0.1", port)
    balancer.upstream, balancer.others = addresses[0], addresses[1:]


def _judge(at: Town, outcome: Outcome, before: float, began: float, ended: float) -> None:
    for name, process in at.relay.processes.items():
        if "Traceback" in process.log.read_text(errors="replace") or process.died():
            at.record.note(lines.Output(name, process.died() or "the log has a traceback"))
    measure_roll(at, outcome, before, began, ended)


if __name__ == "__main__":
    found = asyncio.run(play(Path(tempfile.mkdtemp(prefix="update-")), sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"))
    sys.stdout.write("\n".join([f"{len(found.faults)} faults", *found.figures, *found.faults, ""]))
    sys.exit(min(len(found.faults), 1))
