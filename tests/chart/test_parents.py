"""The chart as a dependency of another: globals of all shapes, a condition, tags, an alias, and templates of the same short names."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.engine import CHART, MAJORS, RenderFailed
from tests.chart.examples import at, values

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chart.engine import Helm

DEPENDENCIES = [
    {"name": CHART.name, "version": "*", "alias": "presence", "condition": "presence.enabled", "tags": ["telephony"]},
    {"name": CHART.name, "version": "*", "alias": "second", "condition": "second.enabled"},
]
GLOBAL = {
    "imageRegistry": "registry.example.com",
    "imagePullSecrets": [{"name": "pull"}, "pull", "other"],
    "storageClass": "fast",
    "security": {"allowInsecureImages": True},
}
# A template with a name that this chart could have too: names of templates are those of all charts together.
OTHER = """\
{{- define "relay.labels" }}{mine: "true"}{{ end }}
{{- define "relay.name" }}mine{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: mine, labels: {{ include "relay.labels" . }}}
"""


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent")
    chart = {"apiVersion": "v2", "name": "telephony", "version": "1.0.0", "dependencies": DEPENDENCIES}
    (folder / "Chart.yaml").write_text(yaml.dump(chart))
    (folder / "templates").mkdir()
    (folder / "templates" / "other.yaml").write_text(OTHER)
    shutil.copytree(CHART, folder / "charts" / CHART.name)
    return folder


def given(*, second: bool, **presence: Any) -> dict[str, Any]:
    return {
        "global": GLOBAL,
        "tags": {"telephony": True},
        "presence": values({"enabled": True}, presence),
        "second": values({"enabled": second}),
    }


@pytest.mark.parametrize("major", MAJORS)
def test_a_parent_chart_may_add_its_globals_and_its_condition(helm: Helm, parent: Path, major: str):
    rendering = helm.render(given(second=False), chart=parent, major=major)
    assert {each["metadata"]["name"] for each in rendering.of("Deployment")} == {
        f"relay-presence-{role}" for role in ("edge", "worker", "webhook", "web")
    }
    for _, pod in rendering.pods():
        assert pod["imagePullSecrets"] == [{"name": "pull"}, {"name": "other"}]
        assert pod["containers"][0]["image"].startswith("registry.example.com/presence-relay:")
    assert rendering.one("ConfigMap")["metadata"]["labels"] == {"mine": "true"}


def test_one_release_may_hold_the_chart_twice(helm: Helm, parent: Path):
    rendering = helm.render(given(second=True), chart=parent)
    names = [(each["kind"], each["metadata"]["name"]) for each in rendering.documents]
    assert len(set(names)) == len(names)
    selectors = [str(each["spec"]["selector"]) for each in rendering.of("Deployment")]
    assert len(set(selectors)) == len(selectors) == 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (at("edge.replica", 2), "at '/edge': additional properties 'replica' not allowed"),
        (at("edge.host", "https://x.example.com"), "edge.host is https://x.example.com: write the DNS name alone"),
    ],
)
def test_a_value_in_a_parent_chart_is_checked_as_well(helm: Helm, parent: Path, change: dict[str, Any], said: str):
    with pytest.raises(RenderFailed) as refused:
        helm.render(given(second=False, **change), chart=parent)
    assert said in str(refused.value)
