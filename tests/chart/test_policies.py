"""trivy finds nothing in the examples that hold every kind of object. `make chart-policies` runs trivy and checkov over all of them."""

from __future__ import annotations

import pytest

from tests.chart.policies import trivy, unexcused
from tests.chart.snapshots import FOLDER


@pytest.mark.timeout(300)
def test_trivy_finds_nothing_but_exceptions_that_have_a_reason():
    findings = trivy(["trial", "large"])
    assert unexcused(findings) == []
    assert {finding.partition(" ")[0] for finding in findings} == {"KSV113"}, "trivy looked"


def test_these_examples_hold_every_kind_of_object():
    def kinds(*examples: str) -> set[str]:
        lines = [line for each in examples for line in (FOLDER / f"{each}.yaml").read_text().splitlines()]
        return {line for line in lines if line.startswith("kind: ")}

    routes = {
        f"kind: {kind}" for kind in ("GRPCRoute", "TLSRoute", "HTTPRoute", "BackendTLSPolicy", "BackendTrafficPolicy")
    }
    others = {"kind: PodMonitor", "kind: PersistentVolumeClaim"}
    assert kinds(*(path.stem for path in FOLDER.glob("*.yaml"))) - kinds("trial", "large") <= routes | others
