"""Values that cannot work are refused before anything is installed, in words that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.chart.engine import MAJORS, RenderFailed
from tests.chart.examples import at, values

if TYPE_CHECKING:
    from tests.chart.engine import Helm

MISSHAPEN = {
    "a misspelled key at the top": (at("egde", {}), "'egde' not allowed"),
    "a misspelled key of a role": (at("edge.replica", 2), "at '/edge': additional properties 'replica'"),
    "a misspelled key at some depth": (at("edge.tls.certManager.issuer", {}), "at '/edge/tls/certManager'"),
    "a misspelled key of an issuer": (at("web.tls.certManager.issuerRef", {"nmae": "x"}), "'nmae' not allowed"),
    "a misspelled trigger": (at("pod.autoscaling.keda.triger", []), "at '/pod/autoscaling/keda'"),
    "a misspelled probe": (at("worker.livenessProbe.periodSecond", 3), "at '/worker/livenessProbe'"),
    "a misspelled setting": (at("config.watch.progresInterval", "25s"), "progresInterval"),
    "a group of settings that is none": (at("config.wacth", {}), "wacth"),
    "a setting that the chart decides": (at("config.edge.drainDelay", "5s"), "drainDelay"),
    "a Redis URL for a role that is none": (
        at("redis.keys", {"egde": "url"}),
        "at '/redis/keys': additional properties",
    ),
    "a misspelled resource": (at("edge.resources.requests", {"memroy": "1Gi"}), "'memroy' not allowed"),
    "an amount of no unit": (
        at("edge.resources.limits", {"memory": "1GB"}),
        "at '/edge/resources/limits/memory': '1GB'",
    ),
    "a misspelled variable": (at("edge.extraEnv", [{"nmae": "A"}]), "at '/edge/extraEnv/0': missing property 'name'"),
    "a misspelled toleration": (at("pod.tolerations", [{"kye": "a"}]), "at '/pod/tolerations/0'"),
    "a misspelled constraint": (at("edge.topologySpreadConstraints", [{"maxSkw": 1}]), "'maxSkw' not allowed"),
    "a misspelled affinity": (at("edge.affinity", {"nodeAffinty": {}}), "'nodeAffinty' not allowed"),
    "a misspelled gateway": (at("web.httpRoute", {"parentRefs": [{"nmae": "g"}]}), "at '/web/httpRoute/parentRefs/0'"),
    "a misspelled peer": (at("networkPolicy.edge.from", [{"podSelecter": {}}]), "at '/networkPolicy/edge/from/0'"),
    "a misspelled rule": (at("networkPolicy.extraEgress", [{"prots": []}]), "at '/networkPolicy/extraEgress/0'"),
    "a volume without a name": (at("edge.extraVolumes", [{"emptyDir": {}}]), "missing property 'name'"),
    "a container without an image": (at("edge.extraContainers", [{"name": "a"}]), "missing property 'image'"),
    "a trigger without a type": (at("edge.autoscaling.keda.triggers", [{"metadata": {}}]), "missing property 'type'"),
    "an alert without an expression": (at("metrics.prometheusRule.groups", {"a": [{"alert": "A"}]}), "'expr'"),
    "an object without a kind": ({"extraObjects": [{"metadata": {}}]}, "missing properties 'apiVersion', 'kind'"),
    "a label that Kubernetes refuses": (at("commonLabels", {"a b": "x"}), "at '/commonLabels'"),
    "a label that is too long": (at("pod.podLabels", {"a": "x" * 64}), "maxLength: got 64, want 63"),
    "a label that is a number": (at("pod.podLabels", {"a": 1}), "at '/pod/podLabels/a': got number, want string"),
    "a port as a string": (at("edge.service.port", "443"), "at '/edge/service/port': got string, want integer"),
    "a port beyond all ports": (at("edge.service.port", 70000), "at '/edge/service/port': maximum: got 70,000"),
    "a number as a string": (at("edge.replicas", "2"), "at '/edge/replicas': got string, want integer"),
    "fewer pods than none": (at("edge.replicas", -1), "at '/edge/replicas': minimum: got -1"),
    "true as a string": (at("valkey.enabled", "yes"), "at '/valkey/enabled': got string, want boolean"),
    "a list instead of a map": (at("pod.podLabels", ["a"]), "at '/pod/podLabels': got array, want object"),
    "a tag that YAML reads as a number": (at("image.tag", 1.2), "at '/image/tag': got number, want string"),
    "an architecture of another naming": (at("image.architectures", ["x86_64"]), "one of 'amd64', 'arm64'"),
    "a duration without a unit": (at("config.poll.interval", "fast"), "at '/config/poll/interval': 'fast'"),
    "a setting below its least": (at("config.edge.connections", 1), "at '/config/edge/connections'"),
    "half a connection": (at("config.edge.connections", 10.5), "got number, want integer"),
    "a cloud that is none": (at("config.cloud.name", "china"), "at '/config/cloud/name'"),
    "a network that is none": (at("edge.service.loadBalancerSourceRanges", ["10.0.0.0"]), "loadBalancerSourceRanges/0"),
    "a target of nothing for each pod": (at("edge.autoscaling.metric.averageValue", "0"), "averageValue"),
    "no surge, so that a rollout could not begin": (at("edge.maxSurge", 0), "/edge/maxSurge"),
}


@pytest.mark.parametrize("case", MISSHAPEN)
def test_a_value_of_the_wrong_shape_is_refused_with_its_path(helm: Helm, case: str):
    change, said = MISSHAPEN[case]
    with pytest.raises(RenderFailed) as refused:
        helm.render(values(change))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "case",
    ["a misspelled key at some depth", "a port as a string", "a misspelled toleration", "a label that is too long"],
)
def test_both_majors_of_helm_refuse_in_the_same_words(helm: Helm, case: str):
    words = set()
    for major in MAJORS:
        with pytest.raises(RenderFailed) as refused:
            helm.render(values(MISSHAPEN[case][0]), major=major)
        words.add(str(refused.value))
    assert len(words) == 1


GATEWAY = {"enabled": True, "parentRefs": [{"name": "public"}]}
MISWRITTEN = {
    "a host with a scheme": (
        at("edge.host", "https://relay.example.com"),
        "edge.host is https://relay.example.com: write the DNS name alone, in lower case, such as relay.example.com",
    ),
    "a host of many": (at("edge.host", "*.example.com"), "edge.host is *.example.com: write the DNS name alone"),
    "a digest that is none": (
        at("image.digest", "sha256:1234"),
        "image.digest is sha256:1234: write sha256: and 64 hexadecimal digits",
    ),
    "a tag in the repository": (at("image.repository", "operators/relay:1.0"), "without a tag, which has a value"),
    "a registry with a scheme": (
        at("image.registry", "https://registry.example.com"),
        "write the registry's name without https://",
    ),
    "a Redis URL that is none": (
        at("redis", {"existingSecret": "", "url": "http://redis"}),
        "redis.url is http://redis: begin it with rediss:// or redis://",
    ),
    "a topology that is none": (
        at("redis", {"existingSecret": "", "url": "rediss+clutser://redis"}),
        "with rediss+sentinel:// or rediss+cluster://",
    ),
    "the name of a Secret in capitals": (
        at("keyRing.existingSecret", "Key_Ring"),
        "keyRing.existingSecret is Key_Ring",
    ),
    "the name of an application instead of its id": (
        at("entra.clientId", "Presence"),
        "entra.clientId is Presence: copy the application (client) id",
    ),
    "an amount with a space": (at("valkey.persistence.size", "2 GB"), "write an amount such as 2Gi"),
    "a time that a gateway does not read": (
        at("web.httpRoute", GATEWAY | {"requestTimeout": "1.5s"}),
        "web.httpRoute.requestTimeout is 1.5s: write a number and a unit, such as 30s",
    ),
    "no time": (at("web.httpRoute", GATEWAY | {"requestTimeout": ""}), "web.httpRoute.requestTimeout is empty"),
    "days of a certificate": (
        at("edge.tls.certManager.duration", "90d"),
        "write hours, minutes or seconds, such as 2160h",
    ),
    "a schedule in words": (at("backup.schedule", "every day"), "write the five fields of cron, minute first"),
    "a schedule of six fields": (at("backup.schedule", "0 0 2 * * *"), "write the five fields of cron"),
    "an address that is a URL": (at("test.address", "https://relay.example.com"), "write host:port"),
    "a collector without a scheme": (at("config.telemetry.otlpEndpoint", "collector:4317"), "begin it with https://"),
    "a section that is null": ({"edge": None}, "edge is null: remove it, and it has its default"),
    "a section below that is null": (at("web.tls", None), "web.tls is null: remove it"),
    "a value that is null": (at("edge.service.port", None), "edge.service.port is null: remove it"),
}


@pytest.mark.parametrize("case", MISWRITTEN)
def test_a_value_that_is_written_wrong_is_refused_with_the_way_to_write_it(helm: Helm, case: str):
    change, words = MISWRITTEN[case]
    with pytest.raises(RenderFailed) as refused:
        helm.render(values(change))
    assert words in str(refused.value)
    assert "nil pointer" not in str(refused.value)


TLS_OFF = {"tls": {"enabled": False, "existingSecret": ""}}
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "no image": (at("image.repository", ""), "`make image`"),
    "the tag latest": (at("image.tag", "latest"), "name a version or a digest"),
    "two replicas of the trial Valkey": (
        {"redis": {"existingSecret": ""}, "valkey": {"enabled": True, "replicas": 2}},
        "set it to 1, or use a replicated Redis of your own",
    ),
    "no certificate": (
        at("edge.tls.existingSecret", ""),
        "set edge.tls.existingSecret, or edge.tls.certManager.enabled",
    ),
    "certificates off towards the internet": ({"edge": TLS_OFF}, "set edge.service.type to ClusterIP"),
    "an issuer without a name": (
        at("edge.tls", {"existingSecret": "", "certManager": {"enabled": True}}),
        "edge.tls.certManager.issuerRef.name is empty: name the issuer",
    ),
    "an autoscaler with fixed replicas": (
        at("edge", {"replicas": 3, "autoscaling": {"enabled": True}}),
        "remove replicas, or turn autoscaling off",
    ),
    "a least above the most": (
        at("edge.autoscaling", {"enabled": True, "minReplicas": 5, "maxReplicas": 3}),
        "raise maxReplicas",
    ),
    "an autoscaler that follows nothing": (
        at("edge.autoscaling", {"enabled": True, "cpuPercent": 0}),
        "set cpuPercent, or metric.name",
    ),
    "KEDA without a trigger": (
        at("edge.autoscaling", {"enabled": True, "keda": {"enabled": True}}),
        "name at least one trigger",
    ),
    "a budget with both numbers": (
        at("edge.podDisruptionBudget", {"minAvailable": 1, "maxUnavailable": 1}),
        "keep one of the two",
    ),
    "a grace shorter than the drain": (
        at("edge.terminationGracePeriodSeconds", 30),
        "edge.terminationGracePeriodSeconds is 30, and the pod needs 45 to stop",
    ),
    "a drain shorter than twice a connection's age": (
        at("config.edge.connectionAge", "15s"),
        "raise drainSeconds, or lower connectionAge",
    ),
    "a drain shorter than twice an age of several units": (
        at("config.edge.connectionAge", "1m30s"),
        "shutdown.drainSeconds is 20, less than twice config.edge.connectionAge, 1m30s: raise drainSeconds",
    ),
    "a drain shorter than twice an age of days": (at("config.edge.connectionAge", "0.5d"), "raise drainSeconds"),
    "a webhook without a host": (
        at("webhook.host", ""),
        "webhook.host is empty: set the DNS name at which Microsoft reaches the webhook, or set webhook.enabled to false",
    ),
    "a webhook that nobody can encrypt for": (at("webhook.encryption.existingSecret", ""), "webhook.encryption"),
    "notifications where there are none": (at("config.cloud.name", "gcc-high"), "set webhook.enabled to false"),
    "one host for two roles": (at("web.host", "relay.example.com"), "give each a DNS name of its own"),
    "a Sentinel beside the trial Valkey": (
        {"redis": {"existingSecret": "", "url": "rediss+sentinel://s:26379/m"}, "valkey": {"enabled": True}},
        "redis.url and valkey.enabled are both set: keep one of them",
    ),
    "no Redis": (
        at("redis.existingSecret", ""),
        "set redis.existingSecret to a Secret with the URL, or valkey.enabled",
    ),
    "a Redis password for everybody to read": (
        at("redis", {"existingSecret": "", "url": "rediss://relay:hunter2@redis"}),
        "put the URL into a Secret",
    ),
    "a Redis password among the options": (
        at("redis", {"existingSecret": "", "url": "rediss://redis?db=1&password=hunter2"}),
        "redis.url has a password",
    ),
    "a Sentinel password among the options": (
        {"vault": {"url": "rediss+sentinel://s/m?sentinel_password=hunter2"}},
        "vault.url has a password",
    ),
    "a Redis without TLS": (
        at("redis", {"existingSecret": "", "url": "redis://redis"}),
        "use rediss://, or set config.redis.plaintext to true",
    ),
    "no key ring": (at("keyRing.existingSecret", ""), "presence-relay keyring new key-ring.json"),
    "no application": (at("entra.clientId", ""), "set the application id"),
    "no credential": (at("entra.credential.existingSecret", ""), "the client secret of the app registration"),
    "a route without a gateway": (
        at("edge.tlsRoute.enabled", True),
        "edge.tlsRoute.parentRefs is empty: name the gateway",
    ),
    "two ways in": (
        at("web", {"ingress": {"enabled": True}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}),
        "web is exposed in 2 ways (httpRoute, ingress): keep one of them",
    ),
    "a gateway that ends TLS before a pod that expects it": (
        at("edge.grpcRoute", {"enabled": True, "parentRefs": [{"name": "g"}]}),
        "set edge.grpcRoute.backendTLS.enabled to true",
    ),
    "TLS passed through to a pod without": (
        at(
            "edge",
            TLS_OFF | {"service": {"type": "ClusterIP"}, "tlsRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}},
        ),
        "set edge.tls.enabled to true, or use edge.grpcRoute",
    ),
    "a route to a pod that expects TLS": (
        at("web", {"tls": {"enabled": True, "existingSecret": "tls"}, "httpRoute": GATEWAY}),
        "set web.httpRoute.backendTLS.enabled to true, or web.tls.enabled to false",
    ),
    "TLS towards a pod that serves none": (
        at("web.httpRoute", GATEWAY | {"backendTLS": {"enabled": True}}),
        "set web.tls.enabled to true, or remove backendTLS",
    ),
    "a balancer beside a route": (at("edge.tlsRoute", GATEWAY), "set edge.service.type to ClusterIP"),
    "a node's port without a port of the node": (
        at("web.service.nodePort", 30080),
        "set web.service.type to NodePort, or remove nodePort",
    ),
    "networks that nothing keeps out": (
        at("web.service.loadBalancerSourceRanges", ["10.0.0.0/8"]),
        "set networkPolicy.web.from",
    ),
    "a certificate that is renewed before it is made": (
        at(
            "webhook.encryption",
            {"existingSecret": "", "certManager": {"enabled": True, "issuerRef": {"name": "x"}, "duration": "24h"}},
        ),
        "webhook.encryption.certManager.renewBefore is 720h, and the certificate lives 24h: lower renewBefore",
    ),
    "a scrape longer than its interval": (
        at("metrics.podMonitor", {"enabled": True, "interval": "5s"}),
        "metrics.podMonitor.scrapeTimeout is 10s, more than interval, 5s: lower scrapeTimeout",
    ),
    "TLS towards the trial Valkey": (
        {"redis": {"existingSecret": ""}, "valkey": {"enabled": True}, "config": {"redis": {"plaintext": False}}},
        "config.redis.plaintext is false, and the chart's Valkey serves no TLS: remove it",
    ),
    "a Sentinel whose usual port is closed": (
        at("redis", {"existingSecret": "", "url": "rediss+sentinel://sentinel-0,sentinel-1/relay"}),
        "redis.url uses port 26379, which networkPolicy.redis.ports closes: add it there",
    ),
    "a node's port of a Service without an address": (
        at("edge.service.clusterIP", "None"),
        "edge.service.clusterIP is None, and a Service of type LoadBalancer needs an address",
    ),
    "an autoscaler that follows a share of nothing": (
        at(
            "edge",
            {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}, "limits": {"cpu": None}}},
        ),
        "set edge.resources.requests.cpu, or cpuPercent to 0",
    ),
    "a rollout that has failed before a pod counts as ready": (
        at("pod.minReadySeconds", 600),
        "edge.minReadySeconds is 600, and a rollout has failed after progressDeadlineSeconds, 600: lower",
    ),
    "a budget of all pods": (
        at("edge.podDisruptionBudget.minAvailable", 2),
        "edge.podDisruptionBudget.minAvailable is 2, and 2 pods run at the least",
    ),
    "a budget of a share that Kubernetes rounds up to all": (
        at("edge.podDisruptionBudget.minAvailable", "51%"),
        "edge.podDisruptionBudget.minAvailable is 51%, and 2 pods run at the least, so that no node could be drained",
    ),
    "a budget of every hundredth": (at("edge.podDisruptionBudget.minAvailable", "100%"), "no node could be drained"),
    "a budget that lets nothing go": (at("edge.podDisruptionBudget.maxUnavailable", 0), "set it to 1 or more"),
    "KEDA without autoscaling": (
        at("edge.autoscaling.keda.enabled", True),
        "set edge.autoscaling.enabled to true",
    ),
    "pods of a role that is in one pod with the others": (
        {"mode": "all", "edge": {"replicas": 3}},
        "edge.replicas has no effect with mode all: set all.replicas",
    ),
    "pods of all roles that have pods of their own": (
        at("all.replicas", 3),
        "all.replicas has no effect with mode roles: set pod.replicas, or that of a role",
    ),
    "a Sentinel that the NetworkPolicy keeps away": (
        at("redis", {"existingSecret": "", "url": "rediss+sentinel://s-0:26379,s-1:26379/relay"}),
        "redis.url uses port 26379, which networkPolicy.redis.ports closes: add it there",
    ),
    "keys of a Secret that is not named": (
        at("vault.keys", {"edge": "edge-url"}),
        "vault.keys has no effect without a Secret",
    ),
    "a second credential that is the first": (
        at("entra.secondCredential.existingSecret", "entra"),
        "name the other Secret, or remove it",
    ),
    "an upload by nothing": (
        at("backup", {"enabled": True, "publicKey": {"existingSecret": "k"}, "upload": {"container": {"args": ["a"]}}}),
        "backup.upload.container has no image",
    ),
    "a text that is no object": ({"extraObjects": ["x"]}, "write apiVersion, kind and metadata"),
    "a dashboard that is none": (
        at("metrics.dashboards.extra", {"mine": "{nope"}),
        "metrics.dashboards.extra.mine is not JSON",
    ),
    "a dashboard that could be no object": (
        at("metrics.dashboards.extra", {"My Board": "{}"}),
        "write it in lower-case letters, digits and -",
    ),
    "a container with the name of the chart's": (
        at("edge.extraContainers", [{"name": "relay", "image": "a:1"}]),
        "give it another name",
    ),
    "a volume with the name of one of the chart's": (
        at("edge.extraVolumes", [{"name": "edge-tls", "emptyDir": {}}]),
        "edge.extraVolumes is called edge-tls, as one of the chart's own",
    ),
    "a mail user without a password": (
        at("config.mail", {"host": "m.example.com", "from": "r@example.com", "user": "relay"}),
        "name it as mail.existingSecret",
    ),
    "a preflight before its key ring": (
        {"preflight": {"enabled": True}, "keyRing": {"create": True, "existingSecret": ""}},
        "set preflight.enabled to false",
    ),
    "a backup for nobody": (
        at("backup", {"enabled": True, "persistence": {"create": True}}),
        "presence-relay backup new-key backup.key",
    ),
    "a backup that goes nowhere": (
        at("backup", {"enabled": True, "publicKey": {"existingSecret": "k"}}),
        "backup.persistence.existingClaim or backup.persistence.create, or backup.upload.container",
    ),
    "a suite key without a user": (at("test.suiteKey.existingSecret", "key"), "test.user is empty"),
    "every metric twice": (
        at("metrics", {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}),
        "keep one of the two",
    ),
    "no role": (
        {role: {"enabled": False} for role in ("edge", "worker", "webhook", "web")},
        "No role is enabled",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_combination_that_cannot_work_is_refused_with_its_remedy(helm: Helm, case: str):
    change, remedy = IMPOSSIBLE[case]
    with pytest.raises(RenderFailed) as refused:
        helm.render(values(change))
    assert remedy in str(refused.value)
    assert "nil pointer" not in str(refused.value)


def test_an_upgrade_that_reuses_values_without_new_defaults_is_told_the_option(helm: Helm):
    with pytest.raises(RenderFailed) as refused:
        helm.render(values(at("web.tls", None)), is_upgrade=True)
    assert "web.tls is null" in str(refused.value)
    assert "use --reset-then-reuse-values instead of --reuse-values" in str(refused.value)


def test_everything_that_is_wrong_is_told_at_once(helm: Helm):
    with pytest.raises(RenderFailed) as refused:
        helm.render()
    for part in (
        "image.repository",
        "edge.host",
        "web.host",
        "webhook.host",
        "no Redis",
        "no key ring",
        "entra.clientId",
    ):
        assert part in str(refused.value)
