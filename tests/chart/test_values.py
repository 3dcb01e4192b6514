"""values.yaml, its schema, the README and the relay's settings say the same."""

from __future__ import annotations

import re
import tarfile
from typing import TYPE_CHECKING

import pytest
import yaml

from relay.settings.env import variable_of
from relay.settings.load import GROUPS
from tests.chart import schema
from tests.chart.engine import CHART, MAJORS, NEWEST, ROOT
from tests.chart.examples import EXAMPLES, values
from tests.chart.values import documented

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chart.engine import Helm
    from tests.chart.examples import Renderings

VALUES = documented()


def leaves(tree: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(tree, dict) and tree and path[-1:] != ("resources",):
        return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]
    return [path]


def test_every_value_has_a_comment():
    known = {value.path for value in VALUES if value.comment}
    assert [
        ".".join(path) for path in leaves(VALUES.default) if path[: len(path)] not in known and path[:-1] not in known
    ] == []


def test_every_comment_is_a_sentence():
    wrong = [value.name for value in VALUES if value.comment and not re.fullmatch(r"(`|[A-Z]).*[.`:]", value.comment)]
    assert wrong == []


def test_every_setting_of_the_relay_can_be_set_or_follows_from_a_value():
    config = schema.config_schema()["properties"]
    known = {value.name for value in VALUES}
    for group_name, group in GROUPS.items():
        for field_name in group.model_fields:
            variable = variable_of(group, field_name)
            if variable in schema.OWNED:
                assert schema.OWNED[variable] in known, variable
            elif variable not in schema.FIXED:
                assert schema.config_key(variable, group_name) in config[group_name]["properties"], variable


def test_every_role_may_set_what_is_set_for_all_pods():
    import json

    properties = json.loads((CHART / "values.schema.json").read_text())["properties"]
    for role in schema.ROLES:
        assert properties[role]["properties"].keys() >= properties["pod"]["properties"].keys()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_begins_with_what_it_is_for_and_sets_nothing_to_its_default(example: str):
    text = EXAMPLES[example].read_text()
    assert text.startswith("# ")

    def repeated(given: object, default: object, path: str = "") -> list[str]:
        if isinstance(given, dict) and isinstance(default, dict):
            return [line for key in given for line in repeated(given[key], default.get(key, ...), f"{path}.{key}")]
        return [path] if given == default and not path.endswith((".kind", ".group")) else []

    assert repeated(yaml.safe_load(text), VALUES.default) == []


def test_the_chart_has_the_version_of_the_project():
    import tomllib

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load(chart["annotations"]["artifacthub.io/changes"])[0]["kind"] in {"added", "changed", "fixed"}


def test_artifact_hub_is_told_the_images_that_the_values_name():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = {each["name"]: each["image"] for each in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])}
    valkey = VALUES.default["valkey"]["image"]
    assert images == {
        "presence-relay": f"presence-relay:{chart['appVersion']}",
        "valkey": f"{valkey['repository']}:{valkey['tag']}",
    }


@pytest.mark.parametrize("major", MAJORS)
def test_a_package_of_the_chart_renders_the_same_and_brings_its_documents(
    helm: Helm, rendered: Renderings, tmp_path: Path, major: str
):
    helm.call("helm_package", helm_version=major, path=str(CHART), destination=str(tmp_path))
    [package] = tmp_path.glob("*.tgz")
    assert helm.render(yaml.safe_load(EXAMPLES["trial"].read_text()), chart=package).text == rendered("trial").text
    with tarfile.open(package) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    examples = {f"values/{example}.yaml" for example in EXAMPLES}
    assert names >= {"README.md", "UPGRADING.md", "Chart.yaml", "values.yaml", "values.schema.json"} | examples
    assert not [name for name in names if name.endswith((".py", ".pyc", ".key", ".pem"))]


@pytest.mark.parametrize(
    ("kind", "endpoints"), [("PodMonitor", "podMetricsEndpoints"), ("ServiceMonitor", "endpoints")]
)
def test_a_monitor_scrapes_the_ops_port_of_every_role_and_of_nothing_else(helm: Helm, kind: str, endpoints: str):
    rendering = helm.render(values({"metrics": {kind[0].lower() + kind[1:]: {"enabled": True, "labels": {"a": "b"}}}}))
    monitor = rendering.one(kind)
    assert monitor["metadata"]["labels"]["a"] == "b"
    [endpoint] = monitor["spec"][endpoints]
    assert (endpoint["port"], endpoint["path"]) == ("ops", "/metrics")
    objects = [each["metadata"] for each in rendering.of("Service")]
    if kind == "PodMonitor":
        objects = [each["spec"]["template"]["metadata"] for each in rendering.of("Deployment")]
    selector = monitor["spec"]["selector"]["matchLabels"]
    found = [each["labels"] for each in objects if selector.items() <= each["labels"].items()]
    assert {each["app.kubernetes.io/component"] for each in found} == {"edge", "worker", "webhook", "web"}
    ports = [each["spec"]["ports"] for each in rendering.of("Service", "-ops")]
    assert all([port["targetPort"] for port in each] == ["ops"] for each in ports)


def test_values_of_a_role_go_before_those_of_all_pods_also_when_they_are_false_or_empty(helm: Helm):
    rendering = helm.render(
        values(
            {
                "pod": {
                    "podDisruptionBudget": {"enabled": True},
                    "nodeSelector": {"a": "b"},
                    "tolerations": [{"key": "x"}],
                },
                "edge": {"podDisruptionBudget": {"enabled": False}, "tolerations": [], "minReadySeconds": 0},
            }
        )
    )
    edge = rendering.one("Deployment", "edge")["spec"]
    assert rendering.of("PodDisruptionBudget", "-edge") == []
    assert "tolerations" not in edge["template"]["spec"]
    assert edge["minReadySeconds"] == 0
    assert edge["template"]["spec"]["nodeSelector"] == {"a": "b"}
    assert rendering.one("Deployment", "worker")["spec"]["template"]["spec"]["tolerations"] == [{"key": "x"}]


def test_a_name_that_looks_like_a_number_stays_a_name(helm: Helm):
    given = values({"pod": {"serviceAccount": {"name": "1"}, "priorityClassName": "2", "nodeSelector": {"pool": "3"}}})
    pod = helm.render(given).one("Deployment", "worker")["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["priorityClassName"], pod["nodeSelector"]) == ("1", "2", {"pool": "3"})


def test_templates_in_extra_objects_are_rendered(helm: Helm):
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-one"}},
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Namespace }}-two"}\n',
        "{{ if .Values.valkey.enabled }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: three}\n{{ end }}",
    ]
    rendering = helm.render(values({"extraObjects": objects}))
    assert {each["metadata"]["name"] for each in rendering.of("ConfigMap")} == {"relay-one", "telephony-two"}


def test_dashboards_become_config_maps_and_rules_a_rule_object(helm: Helm):
    rendering = helm.render(
        values(
            {
                "metrics": {
                    "dashboards": {"enabled": True, "extra": {"mine": '{"title": "Mine"}'}},
                    "prometheusRule": {"enabled": True, "groups": {"mine": [{"alert": "A", "expr": "1"}]}},
                }
            }
        )
    )
    board = rendering.one("ConfigMap", "-dashboard-mine")
    assert board["data"] == {"mine.json": '{"title": "Mine"}'}
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    groups = rendering.one("PrometheusRule")["spec"]["groups"]
    assert {"name": "mine", "rules": [{"alert": "A", "expr": "1"}]} in groups


def test_each_alert_links_to_its_runbook_when_the_documentation_site_has_an_address(helm: Helm):
    def annotations(site: str) -> list[dict[str, str]]:
        given = {"metrics": {"prometheusRule": {"enabled": True, "site": site}}}
        groups = helm.render(values(given)).one("PrometheusRule")["spec"]["groups"]
        return [rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule]

    assert not any("runbook_url" in each for each in annotations(""))
    for site in ("https://docs.example.com/relay", "https://docs.example.com/relay/"):
        linked = {each["runbook"]: each["runbook_url"] for each in annotations(site)}
        assert linked["docs/operate/runbooks/redis-away.md"] == (
            "https://docs.example.com/relay/operate/runbooks/redis-away/"
        )
        assert all(url.startswith("https://docs.example.com/relay/operate/runbooks/") for url in linked.values())


def test_additions_of_the_operator_reach_the_pods_of_a_role(helm: Helm):
    own = {
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "extraContainers": [{"name": "beside", "image": "beside:1"}],
        "extraInitContainers": [{"name": "before", "image": "before:1"}],
        "podLabels": {"team": "a"},
        "podAnnotations": {"note": "b"},
    }
    rendering = helm.render(values({"worker": own}), kube=NEWEST)
    template = rendering.one("Deployment", "worker")["spec"]["template"]
    relay, beside = template["spec"]["containers"]
    assert own["extraEnv"][0] in relay["env"]
    assert relay["envFrom"] == own["extraEnvFrom"]
    assert own["extraVolumes"][0] in template["spec"]["volumes"]
    assert own["extraVolumeMounts"][0] in relay["volumeMounts"]
    assert (beside["name"], template["spec"]["initContainers"][0]["name"]) == ("beside", "before")
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["annotations"] == {"note": "b"}
    assert "team" not in rendering.one("Deployment", "web")["spec"]["template"]["metadata"]["labels"]


def test_jobs_that_ask_the_network_have_the_variables_of_all_pods(helm: Helm):
    own = {
        "extraEnv": [
            {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
            {"name": "RELAY_LOG_LEVEL", "value": "debug"},
        ],
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    }
    backup = {"enabled": True, "publicKey": {"existingSecret": "key"}, "persistence": {"create": True}}
    given = {"pod": own, "preflight": {"enabled": True}, "backup": backup, "config": {"log": {"level": "info"}}}
    rendering = helm.render(values(given))
    cron = rendering.one("CronJob")["spec"]["jobTemplate"]
    for job in (rendering.one("Job", "-preflight"), cron):
        [container] = job["spec"]["template"]["spec"]["containers"]
        assert container["env"][-2:] == own["extraEnv"]
        assert container["envFrom"] == own["extraEnvFrom"]
        assert len({each["name"] for each in container["env"]}) == len(container["env"])


def test_a_backup_may_have_the_identity_that_its_upload_needs(helm: Helm):
    backup = {
        "enabled": True,
        "serviceAccountName": "uploader",
        "podLabels": {"azure.workload.identity/use": "true"},
        "publicKey": {"existingSecret": "key"},
        "upload": {"container": {"image": "uploader:1"}},
    }
    given = values({"backup": backup, "pod": {"podLabels": {"team": "a"}}})
    template = helm.render(given).one("CronJob")["spec"]["jobTemplate"]["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == "uploader"
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["metadata"]["labels"].items() >= {"azure.workload.identity/use": "true", "team": "a"}.items()


def test_the_pod_of_helms_test_has_the_labels_and_annotations_of_all_pods(helm: Helm):
    own = {"podLabels": {"sidecar.istio.io/inject": "true"}, "podAnnotations": {"note": "a", "helm.sh/hook": "none"}}
    made = helm.render(values({"pod": own})).one("Pod", "-test")["metadata"]
    assert made["labels"].items() >= own["podLabels"].items()
    assert (made["annotations"]["note"], made["annotations"]["helm.sh/hook"]) == ("a", "test")


def test_a_setting_that_the_trial_valkey_needs_is_there_once_however_it_is_set(helm: Helm):
    valkey = {"redis": {"existingSecret": ""}, "valkey": {"enabled": True}}
    for config in ({}, {"redis": {"plaintext": True}}):
        pod = helm.render(values(valkey, {"config": config})).one("Deployment", "-edge")["spec"]["template"]["spec"]
        assert [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "RELAY_REDIS_PLAINTEXT"] == [
            "true"
        ]


def test_a_variable_of_the_operators_replaces_the_charts_and_is_there_once(helm: Helm):
    url = {"name": "RELAY_REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "external", "key": "url"}}}
    level = {"name": "RELAY_LOG_LEVEL", "value": "debug"}
    rendering = helm.render(values({"config": {"log": {"level": "info"}}, "worker": {"extraEnv": [url, level]}}))
    env = rendering.one("Deployment", "worker")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [each for each in env if each["name"].startswith(("RELAY_REDIS_URL", "RELAY_LOG"))] == [url, level]
    assert len({each["name"] for each in env}) == len(env) > 5
