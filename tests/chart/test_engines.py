"""Helm 3 and Helm 4 make the same of every example, on the oldest Kubernetes and on the newest."""

from __future__ import annotations

import json

import pytest

from tests.chart.engine import CHART, MAJORS, NEWEST, Helm, RenderFailed
from tests.chart.examples import EXAMPLES, Renderings, values
from tests.chart.kubernetes import VERSIONS, faults, is_custom

OLDEST = VERSIONS[0]


@pytest.mark.parametrize("kube", [OLDEST, NEWEST])
@pytest.mark.parametrize("example", EXAMPLES)
def test_both_majors_of_helm_render_an_example_alike(rendered: Renderings, example: str, kube: str):
    assert rendered(example, "v3", kube).text == rendered(example, "v4", kube).text


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_the_strict_schema_of_a_kubernetes_version(rendered: Renderings, version: str):
    kube = OLDEST if version < "v1.30" else NEWEST  # where the chart makes something else
    unique = {
        json.dumps(document, sort_keys=True): document
        for example in EXAMPLES
        for document in rendered(example, kube=kube).documents
        if not is_custom(document)
    }
    assert len(unique) > 50
    assert [fault for document in unique.values() for fault in faults(document, version)] == []


def test_a_fault_in_an_object_is_found(rendered: Renderings):
    deployment = rendered("small").one("Deployment", "edge")
    deployment = {**deployment, "spec": {**deployment["spec"], "replicaz": 2}}
    assert faults(deployment, NEWEST) != []


@pytest.mark.parametrize("major", MAJORS)
def test_a_kubernetes_that_is_too_old_is_refused(helm: Helm, major: str):
    with pytest.raises(RenderFailed, match=r"chart requires kubeVersion: >=1\.27"):
        helm.render(values(), major=major, kube="v1.26.9")


@pytest.mark.parametrize("major", MAJORS)
def test_the_chart_passes_helms_own_lint(helm: Helm, major: str):
    said = helm.lint(values(), major=major)
    assert "ERROR" not in said.upper().replace("0 ERRORS", "")
    assert (CHART / "Chart.yaml").is_file()
