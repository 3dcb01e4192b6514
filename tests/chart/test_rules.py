"""Rules that no schema knows, each by a test of its own, over every example."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.engine import pod_of
from tests.chart.examples import EXAMPLES, at, values

if TYPE_CHECKING:
    from tests.chart.engine import Helm, Rendering
    from tests.chart.examples import Renderings

PORTS = ("port", "targetPort", "containerPort", "nodePort")
ROLES = ("edge", "worker", "webhook", "web")


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, rendered: Renderings) -> Rendering:
    return rendered(request.param)


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container.get("env", [])}


# Pods


def test_every_pod_keeps_to_pod_security_restricted(example: Rendering):
    for name, pod in example.pods():
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 65532), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        for volume in pod.get("volumes", []):
            assert volume.keys() & {"secret", "emptyDir", "persistentVolumeClaim", "configMap"}, (name, volume)
        for container in containers(pod):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name


def test_on_openshift_the_cluster_chooses_user_and_groups(helm: Helm):
    for example in ("large", "trial"):
        given = yaml.safe_load(EXAMPLES[example].read_text()) | {"openshift": True}
        for name, pod in helm.render(given).pods():
            assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, name


def test_no_pod_has_a_token_of_kubernetes_but_that_of_the_job_that_makes_the_key_ring(example: Rendering):
    for name, pod in example.pods():
        assert pod["automountServiceAccountToken"] is (name.startswith("Job/") and name.endswith("key-ring")), name
        assert pod["enableServiceLinks"] is False, name
    assert all(each["automountServiceAccountToken"] is False for each in example.of("ServiceAccount"))


def test_every_container_says_what_it_needs_and_its_limits_so_that_a_quota_admits_it(example: Rendering):
    for name, pod in example.pods():
        for container in containers(pod):
            for amount in ("cpu", "memory"):
                assert container["resources"]["requests"][amount], (name, amount)
                assert container["resources"]["limits"][amount], (name, amount)


def test_every_image_has_a_version_and_none_is_latest(example: Rendering):
    for name, pod in example.pods():
        for container in containers(pod):
            image = container["image"]
            tag = image.rpartition("/")[2].partition(":")[2]
            assert tag not in ("", "latest"), (name, image)


def test_no_command_goes_through_a_shell(example: Rendering):
    for name, pod in example.pods():
        for container in containers(pod):
            words = [*container.get("command", []), *container.get("args", [])]
            assert not {"sh", "bash", "/bin/sh", "-c"} & set(words), name


def test_probes_of_the_relay_ask_the_ops_port_and_liveness_asks_for_nothing_outside(example: Rendering):
    for deployment in example.of("Deployment"):
        [relay, *_] = deployment["spec"]["template"]["spec"]["containers"]
        paths = {probe: relay[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert paths == {
            "startupProbe": {"path": "/livez", "port": "ops"},
            "readinessProbe": {"path": "/readyz", "port": "ops"},
            "livenessProbe": {"path": "/livez", "port": "ops"},
        }


def test_a_pod_has_time_to_stop(example: Rendering):
    for deployment in example.of("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        [relay, *_] = pod["containers"]
        wait = relay["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = int(variables(relay).get("RELAY_EDGE_DRAIN_DELAY", "0s").removesuffix("s"))
        assert pod["terminationGracePeriodSeconds"] >= wait + drain + 20


def test_an_edge_that_drains_for_longer_gets_longer_to_stop(helm: Helm):
    usual = helm.render(values()).one("Deployment", "edge")["spec"]["template"]["spec"]
    longer = helm.render(values(at("shutdown.drainSeconds", 60))).one("Deployment", "edge")["spec"]["template"]["spec"]
    assert longer["terminationGracePeriodSeconds"] - usual["terminationGracePeriodSeconds"] == 40


def test_a_kubernetes_without_the_sleep_hook_sleeps_by_a_command(rendered: Renderings):
    pod = rendered("small", kube="v1.27.0").one("Deployment", "edge")["spec"]["template"]["spec"]
    assert pod["containers"][0]["lifecycle"]["preStop"] == {"exec": {"command": ["sleep", "5"]}}


def test_a_rolling_update_never_has_less_than_full_capacity(example: Rendering):
    for deployment in example.of("Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert deployment["spec"]["minReadySeconds"] > 0


def test_pods_stay_off_nodes_of_an_architecture_that_the_image_lacks(helm: Helm):
    pod = helm.render(values(at("image.architectures", ["arm64"]))).one("Deployment", "edge")["spec"]["template"][
        "spec"
    ]
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]


def test_every_port_is_one(example: Rendering):
    def ports(part: Any) -> list[Any]:
        if isinstance(part, list):
            return [port for each in part for port in ports(each)]
        if not isinstance(part, dict):
            return []
        own = [value for key, value in part.items() if key in PORTS and not isinstance(value, dict | list)]
        return own + ports([*part.values()])

    named = {"edge", "web", "webhook", "console", "ops", "valkey"}
    found = ports(example.documents)
    assert len(found) > 10
    assert [port for port in found if not (port in named or (isinstance(port, int) and 1 <= port <= 65535))] == []


def test_where_pods_run_is_the_operators_choice(helm: Helm):
    own = {
        "priorityClassName": "telephony",
        "runtimeClassName": "gvisor",
        "nodeSelector": {"pool": "telephony"},
        "tolerations": [{"key": "telephony", "operator": "Exists"}],
    }
    chosen = own | {"affinity": {"podAntiAffinity": {}}}
    for deployment in helm.render(values({"pod": chosen})).of("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod.items() >= own.items()
        assert pod["affinity"].keys() == {"podAntiAffinity", "nodeAffinity"}


def test_every_pod_of_a_release_runs_where_the_operator_says(helm: Helm):
    own = {"priorityClassName": "telephony", "tolerations": [{"key": "telephony", "operator": "Exists"}]}
    for example in ("large", "trial"):
        given = yaml.safe_load(EXAMPLES[example].read_text()) | {"pod": own}
        for name, pod in helm.render(given).pods():
            assert pod.items() >= own.items(), name
            assert ("affinity" in pod) == (example == "large"), name


def test_the_trial_valkey_runs_on_nodes_of_any_architecture(helm: Helm):
    given = values({"redis": {"existingSecret": ""}, "valkey": {"enabled": True}})
    assert "affinity" not in helm.render(given).one("StatefulSet")["spec"]["template"]["spec"]


def test_pods_of_a_role_spread_over_zones_and_nodes_as_far_as_possible(example: Rendering):
    for deployment in example.of("Deployment"):
        constraints = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        keys = [each["topologyKey"] for each in constraints]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for each in constraints:
            assert (each["whenUnsatisfiable"], each["matchLabelKeys"]) == ("ScheduleAnyway", ["pod-template-hash"])
            assert each["labelSelector"] == deployment["spec"]["selector"]


@pytest.mark.parametrize("own", [[], [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]])
def test_an_operators_spread_replaces_the_charts(helm: Helm, own: list[dict[str, Any]]):
    pod = helm.render(values({"edge": {"topologySpreadConstraints": own}})).one("Deployment", "edge")["spec"][
        "template"
    ]
    assert pod["spec"].get("topologySpreadConstraints", []) == own


# Secrets


def test_no_secret_is_in_an_object_of_the_chart(example: Rendering):
    assert example.of("Secret") == []
    for name, pod in example.pods():
        for container in containers(pod):
            for variable, value in variables(container).items():
                is_secret = any(
                    word in variable for word in ("SECRET", "PASSWORD", "PRIVATE_KEY", "KEY_RING", "TLS_KEY")
                )
                assert not is_secret or variable.endswith("_FILE") or not value, (name, variable)
                assert "PRIVATE KEY" not in value, (name, variable)
    for config in example.of("ConfigMap"):
        assert not any("PRIVATE KEY" in text or "password" in text.lower() for text in config["data"].values())


def test_the_edge_has_the_public_keys_of_the_ring_and_neither_ring_nor_credential(helm: Helm):
    rendering = helm.render(values())
    edge = rendering.one("Deployment", "edge")["spec"]["template"]["spec"]
    mounted = {item["path"] for volume in edge["volumes"] for item in volume.get("secret", {}).get("items", [])}
    assert mounted == {"url", "key-ring.json.pub", "tls.crt", "tls.key"}
    webhook = rendering.one("Deployment", "webhook")["spec"]["template"]["spec"]
    assert {item["path"] for volume in webhook["volumes"] for item in volume.get("secret", {}).get("items", [])} == {
        "url"
    }


def test_each_role_mounts_the_authorities_of_those_whom_it_reaches_and_no_others(helm: Helm):
    trust = {name: {"existingSecret": name} for name in ("microsoft", "mail", "notices")}
    backup = {"enabled": True, "publicKey": {"existingSecret": "key"}, "persistence": {"create": True}}
    mounts = {
        name.rpartition("-")[2]: {each["name"] for each in pod["volumes"] if each["name"].startswith("trust-")}
        for name, pod in helm.render(values({"trust": trust, "backup": backup})).pods()
    }
    everything = {"trust-microsoft", "trust-mail", "trust-notices"}
    assert mounts == {
        "edge": set(), "worker": everything, "web": everything, "webhook": {"trust-microsoft"},
        "backup": set(), "test": set(),
    }  # fmt: skip


def test_secrets_are_mounted_as_folders_for_the_relays_group_alone_so_that_changes_arrive(example: Rendering):
    for name, pod in example.pods():
        for volume in pod.get("volumes", []):
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, (name, volume)
        for container in containers(pod):
            assert not any("subPath" in mount for mount in container["volumeMounts"]), name
        assert pod["securityContext"]["fsGroup"] == 65532


def test_each_role_may_have_a_redis_user_of_its_own(rendered: Renderings):
    example = rendered("large")
    keys = {}
    for role in ROLES:
        volumes = example.one("Deployment", role)["spec"]["template"]["spec"]["volumes"]
        [url] = [volume["secret"] for volume in volumes if volume["name"] == "redis-url"]
        keys[role] = url["items"]
    assert keys == {role: [{"key": f"{role}-url", "path": "url"}] for role in ROLES}


# Names and labels


@pytest.mark.parametrize(
    "release", ["r", "relay", "a" * 53, "teams-presence-relay", "1.of-two", "x" * 44 + "-presence"]
)
def test_every_name_fits_whatever_the_release_is_called(helm: Helm, rendered: Renderings, release: str):
    rendering = helm.render(yaml.safe_load(EXAMPLES["large"].read_text()), release=release)
    names = [(each["kind"], each["metadata"]["name"]) for each in rendering.documents]
    assert len(set(names)) == len(names)
    assert len(names) == len(rendered("large").documents)
    for kind, name in names:
        assert len(name) <= (52 if kind in ("CronJob", "StatefulSet") else 63), (kind, name)
        assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name), (kind, name)  # as Services need it
    for each in rendering.documents:
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())


def test_two_long_releases_that_begin_alike_have_different_names(helm: Helm):
    one, other = (helm.render(values(), release="r" * 52 + end).one("Deployment", "edge") for end in "ab")
    assert one["metadata"]["name"] != other["metadata"]["name"]


def test_selectors_hold_nothing_that_changes_between_versions(example: Rendering):
    for each in chain(example.of("Deployment"), example.of("StatefulSet")):
        assert each["spec"]["selector"]["matchLabels"].keys() == {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
        }


def test_selectors_are_those_of_the_first_release(helm: Helm):
    rendering = helm.render(values(at("commonLabels", {"app.kubernetes.io/component": "mine", "team": "a"})))
    for role in ROLES:
        deployment = rendering.one("Deployment", role)
        expected = {
            "app.kubernetes.io/name": "teams-presence-relay",
            "app.kubernetes.io/instance": "relay",
            "app.kubernetes.io/component": role,
        }
        assert deployment["spec"]["selector"]["matchLabels"] == expected
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels.items() >= (expected | {"team": "a"}).items()


def test_each_service_budget_and_policy_selects_the_pods_it_is_for(example: Rendering):
    pods = [
        each["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "StatefulSet")
        for each in example.of(kind)
    ]
    selectors = [service["spec"]["selector"] for service in example.of("Service")]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in example.of("PodDisruptionBudget")]
    for selector in selectors:
        assert [labels for labels in pods if selector.items() <= labels.items()] != []


# Jobs


def test_a_preflight_mounts_no_secret_that_the_release_makes(rendered: Renderings):
    example = rendered("large")
    made = {each["spec"]["secretName"] for each in example.of("Certificate")}
    pod = pod_of(example.one("Job", "preflight"))
    assert pod is not None
    assert not made & {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert pod["serviceAccountName"] == "default"


def test_only_hooks_that_can_run_before_everything_else_are_hooks(example: Rendering):
    for each in example.documents:
        hook = each["metadata"].get("annotations", {}).get("helm.sh/hook")
        if hook is None:
            continue
        assert hook in ("pre-install,pre-upgrade", "test")
        assert each["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"


def test_for_gitops_no_hook_runs_but_the_test_and_each_render_is_the_same(helm: Helm, rendered: Renderings):
    example = rendered("gitops")
    hooks = {each["metadata"].get("annotations", {}).get("helm.sh/hook") for each in example.documents}
    assert hooks == {None, "test"}
    assert helm.render(yaml.safe_load(EXAMPLES["gitops"].read_text())).text == example.text


def test_the_policy_of_a_hooks_pod_is_there_before_the_pod(example: Rendering):
    # In a namespace that refuses all traffic, a hook without its policy would reach nothing.
    def hook(each: dict[str, Any]) -> dict[str, str]:
        return each["metadata"].get("annotations", {})

    policies = {each["metadata"]["name"]: hook(each) for each in example.of("NetworkPolicy")}
    for each in (*example.of("Job"), *example.of("Pod")):
        policy = policies[each["metadata"]["name"]]
        assert policy["helm.sh/hook"] == hook(each)["helm.sh/hook"]
        assert int(policy["helm.sh/hook-weight"]) < int(hook(each)["helm.sh/hook-weight"])


def test_a_backup_is_complete_before_a_container_of_the_operators_takes_it_away(rendered: Renderings):
    pod = pod_of(rendered("large").one("CronJob", "backup"))
    assert pod is not None
    assert [each["name"] for each in pod["initContainers"]] == ["backup"]
    assert [each["name"] for each in pod["containers"]] == ["upload"]


def test_what_users_own_survives_an_uninstall(helm: Helm, rendered: Renderings):
    claim = rendered("small").one("PersistentVolumeClaim", "backup")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    valkey = rendered("trial").one("StatefulSet", "valkey")
    assert valkey["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert rendered("trial").of("Secret") == []
