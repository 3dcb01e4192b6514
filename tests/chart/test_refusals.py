"""Values that cannot work are refused before anything is installed, in words that say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.chart.engine import MAJORS, RenderFailed
from tests.chart.examples import at, values

if TYPE_CHECKING:
    from tests.chart.engine import Helm

MISSHAPEN = {
    "a misspelled key at the top": (at("egde", {}), "egde"),
    "a misspelled key of a role": (at("edge.replica", 2), "replica"),
    "a misspelled key at some depth": (at("edge.tls.certManager.issuer", {}), "issuer"),
    "a misspelled setting": (at("config.watch.progresInterval", "25s"), "progresInterval"),
    "a group of settings that is none": (at("config.wacth", {}), "wacth"),
    "a setting that the chart decides": (at("config.edge.drainDelay", "5s"), "drainDelay"),
    "a port as a string": (at("edge.service.port", "443"), "/edge/service/port"),
    "a port beyond all ports": (at("edge.service.port", 70000), "/edge/service/port"),
    "a number as a string": (at("edge.replicas", "2"), "/edge/replicas"),
    "true as a string": (at("valkey.enabled", "yes"), "/valkey/enabled"),
    "a duration without a unit": (at("config.poll.interval", "fast"), "/config/poll/interval"),
    "a setting below its least": (at("config.edge.connections", 1), "/config/edge/connections"),
    "a cloud that is none": (at("config.cloud.name", "china"), "/config/cloud/name"),
    "a host with a scheme": (at("edge.host", "https://relay.example.com"), "/edge/host"),
    "a digest that is none": (at("image.digest", "sha256:1234"), "/image/digest"),
    "a Redis URL that is none": (at("redis.url", "http://redis"), "/redis/url"),
    "no surge, so that a rollout could not begin": (at("edge.maxSurge", 0), "/edge/maxSurge"),
}


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("case", MISSHAPEN)
def test_a_value_of_the_wrong_shape_is_refused_with_its_path(helm: Helm, case: str, major: str):
    change, said = MISSHAPEN[case]
    with pytest.raises(RenderFailed) as refused:
        helm.render(values(change), major=major)
    assert said in str(refused.value)


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


def test_a_parent_chart_may_add_its_globals_and_its_condition(helm: Helm):
    assert helm.render(
        values({"global": {"imageRegistry": "registry.example.com", "storageClass": "x"}, "enabled": True})
    )
