"""How many pods run, and how many may go at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.chart.engine import ROOT
from tests.chart.examples import EXAMPLES, at, values

if TYPE_CHECKING:
    from tests.chart.engine import Helm, Rendering
    from tests.chart.examples import Renderings


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, rendered: Renderings) -> Rendering:
    return rendered(request.param)


def test_a_budget_names_one_of_its_two_numbers_and_evicts_what_is_not_ready(example: Rendering):
    for budget in example.of("PodDisruptionBudget"):
        assert len(budget["spec"].keys() & {"minAvailable", "maxUnavailable"}) == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(
    ("change", "has_one"),
    [
        ({"replicas": 1}, False),
        ({"replicas": 2}, True),
        ({"autoscaling": {"enabled": True, "minReplicas": 1}}, False),
        ({"autoscaling": {"enabled": True, "minReplicas": 2}}, True),
        ({"podDisruptionBudget": {"enabled": False}}, False),
    ],
)
def test_a_budget_is_made_from_two_pods_on_also_with_autoscaling(helm: Helm, change: dict[str, Any], has_one: bool):
    rendering = helm.render(values({"edge": change}))
    assert len(rendering.of("PodDisruptionBudget", "-edge")) == int(has_one)


def test_with_autoscaling_the_deployment_names_no_replicas(helm: Helm):
    rendering = helm.render(values(at("edge.autoscaling.enabled", True)))
    assert "replicas" not in rendering.one("Deployment", "edge")["spec"]
    assert rendering.one("Deployment", "worker")["spec"]["replicas"] == 2


def test_an_autoscaler_takes_pods_away_one_by_one_and_no_faster_than_they_drain(helm: Helm):
    rendering = helm.render(values(at("edge.autoscaling.enabled", True), at("shutdown.drainSeconds", 120)))
    down = rendering.one("HorizontalPodAutoscaler", "edge")["spec"]["behavior"]["scaleDown"]
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 145}]
    assert down["stabilizationWindowSeconds"] == 600


def test_an_autoscaler_never_has_a_least_above_its_most(example: Rendering):
    for scaler in example.of("HorizontalPodAutoscaler"):
        assert 1 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]
    for scaled in example.of("ScaledObject"):
        assert 1 <= scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"]


@pytest.mark.parametrize(("component", "metric"), [("edge", "relay_edge_streams"), ("worker", "relay_worker_users")])
def test_an_autoscaler_may_follow_streams_or_watched_users(helm: Helm, component: str, metric: str):
    given = {"enabled": True, "cpuPercent": 0, "metric": {"name": metric, "averageValue": "2000"}}
    scaler = helm.render(values({component: {"autoscaling": given}})).one("HorizontalPodAutoscaler", component)["spec"]
    target = {"type": "AverageValue", "averageValue": "2000"}
    assert scaler["metrics"] == [{"type": "Pods", "pods": {"metric": {"name": metric}, "target": target}}]
    assert scaler["scaleTargetRef"]["name"] == f"relay-teams-presence-relay-{component}"


def test_an_autoscaler_may_follow_cpu_and_a_metric(rendered: Renderings):
    metrics = rendered("large").one("HorizontalPodAutoscaler", "edge")["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource", "Pods"]


def test_keda_scales_instead_of_an_autoscaler_and_lets_streams_drain_too(rendered: Renderings):
    example = rendered("large")
    assert example.of("HorizontalPodAutoscaler", "worker") == []
    scaled = example.one("ScaledObject", "worker")["spec"]
    assert scaled["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": example.one("Deployment", "worker")["metadata"]["name"],
    }
    down = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert "replicas" not in example.one("Deployment", "worker")["spec"]


def test_metrics_that_values_and_examples_name_are_metrics_of_the_relay():
    texts = [path.read_text() for path in EXAMPLES.values()]
    texts.append((ROOT / "deploy" / "helm" / "teams-presence-relay" / "values.yaml").read_text())
    named = set(re.findall(r"\brelay_[a-z_]+", " ".join(texts)))
    code = " ".join(path.read_text() for path in (ROOT / "relay").rglob("*.py"))
    known = {name.replace(".", "_") for name in re.findall(r'"(relay\.[a-z_.]+)"', code)}
    assert named >= {"relay_edge_streams", "relay_worker_users"}
    assert named - known == set()
