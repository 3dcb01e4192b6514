"""The metrics: found in the code, with the questions that they answer of `relay/ops/metrics.toml`."""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
CATALOGUE: Final = ROOT / "relay" / "ops" / "metrics.toml"
_KINDS: Final = {
    "create_counter": "counter",
    "create_observable_counter": "counter",
    "create_histogram": "histogram",
    "create_observable_gauge": "gauge",
    "create_up_down_counter": "gauge",
    "counter": "counter",  # as two modules call them for short
    "gauge": "gauge",
}

_HEAD: Final = """# Metrics

Every role exports its metrics on the ops port (9090), at `/metrics`, in Prometheus' format. With `RELAY_TELEMETRY_OTLP_ENDPOINT` they also go to a collector by
OTLP over gRPC, under the names with dots. The resource names the process: `service.name` is `presence-relay`, `relay.roles` has its roles. No label has a
user or a tenant. This page is generated: `make docs`.

`/livez` answers while the process lives. `/readyz` answers 200 while all of its parts work: [readiness](../operate/credentials.md#readiness).
"""
_OF_PROCESSES: Final = """## Several processes on one machine

`serve edge --processes` answers for all its processes. Each sample has the label `process`.

| in Prometheus | kind | meaning |
| --- | --- | --- |
| `relay_process_up` | gauge | 1 while the process answers |
| `relay_process_starts_total` | counter | Starts of the process |

"""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, as the code makes it."""

    kind: str
    unit: str
    description: str

    def in_prometheus(self, name: str) -> str:
        """Return the name that Prometheus knows the metric by."""
        unit = "_seconds" if self.unit == "s" else ""
        return f"{name.replace('.', '_')}{unit}{'_total' if self.kind == 'counter' else ''}"


@cache
def catalogue() -> Mapping[str, Mapping[str, Any]]:
    """Return section -> metric -> its question and labels."""
    return tomllib.loads(CATALOGUE.read_text())


@cache
def made() -> Mapping[str, Metric]:
    """Return each metric that the code makes."""
    found: dict[str, Metric] = {}
    for path in [*(ROOT / "relay").rglob("*.py"), *(ROOT / "onboarding").rglob("*.py")]:
        for name, metric in _instruments(ast.parse(path.read_text())):
            assert found.setdefault(name, metric) == metric, f"{name} is described in two ways"
    return found


def metrics_page() -> str:
    """Return the page of metrics."""
    lines = [_HEAD]
    for section, metrics in catalogue().items():
        lines += [
            f"## {section}",
            "",
            "| metric | kind | labels | meaning | question |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, about in metrics.items():
            metric = made()[name]
            kind = f"{metric.kind}, seconds" if metric.unit == "s" else metric.kind
            labels = "<br>".join(f"`{label}`: {values}" for label, values in about.get("labels", {}).items())
            lines.append(
                f"| `{metric.in_prometheus(name)}`<br>`{name}` | {kind} | {labels} | {metric.description} | {about['question']} |"
            )
        lines.append("")
    return "\n".join([*lines, _OF_PROCESSES]).rstrip() + "\n"


def _instruments(tree: ast.AST) -> Iterator[tuple[str, Metric]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
            continue
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in _KINDS and isinstance(name := node.args[0].value, str) and "." in name:
            said = {each.arg: each.value.value for each in node.keywords if isinstance(each.value, ast.Constant)}
            yield name, Metric(_KINDS[function], str(said.get("unit", "")), str(said["description"]))
