"""The ops port of all processes: each request queries readiness or metrics of every process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.processes.child import Child
    from relay.processes.supervisor import Supervisor

LABEL: Final = "process"


class SupervisorOps:
    """The answers of a supervisor about its processes.

    Ready means: every process was ready once, none is stopping, and all that listen are ready now, at least one of
    them. A process that is restarting does not listen, so Linux gives it no connections, and the others continue.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def readiness(self) -> tuple[bool, str]:
        """Return whether suites can connect here, and a line for each process."""
        supervisor = self._supervisor
        asked = [number for number, child in supervisor.children.items() if child is not None and child.is_up]
        found = dict(zip(asked, await self._ask(asked, "/readyz"), strict=True))
        lines = ["running: ready" if supervisor.is_running else "running: not ready"]
        for number in supervisor.children:
            if number not in found:
                lines.append(f"{LABEL} {number}: starts")
                continue
            answer = found[number]
            words = ["not ready: it does not answer"] if answer is None else answer[1].splitlines()
            lines += [f"{LABEL} {number} {line}" if answer else f"{LABEL} {number}: {line}" for line in words]
        are_well = bool(found) and all(answer is not None and answer[0] == 200 for answer in found.values())
        return supervisor.is_running and are_well, "".join(f"{line}\n" for line in lines)

    async def metrics(self) -> bytes:
        """Return the metrics of each process, with its number as a label, and the supervisor's own."""
        up = [number for number, child in self._supervisor.children.items() if child is not None]
        answers = zip(up, await self._ask(up, "/metrics"), strict=True)
        texts = {number: answer[1] for number, answer in answers if answer is not None}
        return merged(texts, self._own(texts))

    async def _ask(self, numbers: Iterable[int], path: str) -> list[tuple[int, str] | None]:
        children = (self._supervisor.children[number] for number in numbers)
        return list(await asyncio.gather(*(_asked(child, path) for child in children if child is not None)))

    def _own(self, answered: Mapping[int, str]) -> Iterable[Metric]:
        up = GaugeMetricFamily("relay_process_up", "1 while the process answers", labels=[LABEL])
        starts = CounterMetricFamily("relay_process_starts", "Starts of the process", labels=[LABEL])
        for number, count in self._supervisor.starts.items():
            up.add_metric([str(number)], int(number in answered))
            starts.add_metric([str(number)], count)
        return up, starts


def merged(texts: Mapping[int, str], more: Iterable[Metric] = ()) -> bytes:
    """Merge several expositions into one, with a label for the process on each sample.

    Args:
        texts: number of a process -> its metrics in Prometheus' text form.
        more: further metrics.
    """
    found: dict[str, Metric] = {}
    for number, text in texts.items():
        for family in text_string_to_metric_families(text):
            known = found.setdefault(family.name, Metric(family.name, family.documentation, family.type, family.unit))
            known.samples += [one._replace(labels={**one.labels, LABEL: str(number)}) for one in family.samples]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*found.values(), *more]))
    return generate_latest(registry)


class _Collected:
    """Existing metrics, in the form that the library takes."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


async def _asked(child: Child, path: str) -> tuple[int, str] | None:
    """Return the answer of a process; None without one."""
    try:
        return await child.ask(path)
    except (OSError, TimeoutError, ValueError):
        return None
