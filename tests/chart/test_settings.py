"""What the chart sets is what the relay reads: the variables of each example's pods are loaded by the relay's own settings."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from relay.graph.push.certificates import make
from relay.settings.load import load
from relay.settings.roles import Role, needs_of
from relay.store.sealing.signing import Purpose, public_set
from tests.chart.engine import NEWEST
from tests.chart.examples import EXAMPLES, at, values
from tests.support.ring import RING, RING_JSON

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from tests.chart.engine import Helm
    from tests.chart.examples import Renderings

FOLDER = "/etc/presence-relay"
PAIR = trustme.CA().issue_cert("relay.example.com")
CONTENTS = {
    "url": b"rediss://redis.example.com:6379/0",
    "key-ring.json": RING_JSON.encode(),
    "key-ring.json.pub": public_set(RING, Purpose.SUITE_KEY).encode(),
    "client-secret": b"secret-of-entra",
    "password": b"secret-of-mail",
    "tls.crt": PAIR.cert_chain_pems[0].bytes(),
    "tls.key": PAIR.private_key_pem.bytes(),
    "ca.crt": PAIR.cert_chain_pems[0].bytes(),
    "suite.key": b"psk_00_00",
    "backup.key.pub": b"{}",
}
"""What a mounted Secret holds, by the name of its file."""


def mounted(pod: dict[str, Any], folder: Path) -> None:
    """Write what the pod's Secrets would be, as Kubernetes mounts them."""
    for volume in pod["volumes"]:
        if "secret" not in volume:
            continue
        (folder / volume["name"]).mkdir(exist_ok=True)
        for item in volume["secret"].get("items", [{"path": "2026-11.pem"}]):
            content = CONTENTS.get(item["path"])
            if content is None:  # certificates that notifications are encrypted for
                content = make("test", datetime.now(UTC))
            (folder / volume["name"] / item["path"]).write_bytes(content)


def read(container: dict[str, Any], folder: Path, needs: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings that the relay reads in this container."""
    for name in [name for name in os.environ if name.startswith("RELAY_")]:
        monkeypatch.delenv(name)
    for each in container["env"]:
        value = each.get("value", "of-a-secret").replace("$(VALKEY_PASSWORD)", "of-a-secret")
        monkeypatch.setenv(each["name"], value.replace(FOLDER, str(folder)))
    return load(needs)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_pod_has_the_settings_that_its_roles_need(
    rendered: Renderings, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deployments = rendered(example).of("Deployment")
    assert deployments != []
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        [relay, *_] = pod["containers"]
        roles = [Role(name) for name in relay["args"][1:]]
        mounted(pod, tmp_path)
        settings = read(relay, tmp_path, needs_of(roles), monkeypatch)
        assert settings.ops.port == 9090
        assert {port["name"]: port["containerPort"] for port in relay["ports"]}.items() <= {
            "edge": settings.edge.port,
            "web": settings.web.port,
            "webhook": settings.webhook.port,
            "ops": settings.ops.port,
        }.items()


@pytest.mark.parametrize("example", ["large", "small"])
def test_jobs_have_the_settings_that_their_commands_need(
    rendered: Renderings, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rendering = rendered(example)
    backup = rendering.one("CronJob", "backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [command] = backup.get("initContainers") or backup["containers"]
    mounted(backup, tmp_path)
    read(command, tmp_path, ["redis.url", "vault.key_ring"], monkeypatch)
    for job in rendering.of("Job", "preflight"):
        pod = job["spec"]["template"]["spec"]
        mounted(pod, tmp_path)
        read(pod["containers"][0], tmp_path, needs_of([Role.EDGE, Role.WORKER]), monkeypatch)


def test_values_of_all_types_arrive_as_the_relay_means_them(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = {
        "poll": {"interval": "1m30s", "headroom": 0.25, "limit": 1500, "countIds": True},
        "watch": {"tenantNames": 1_000_000, "namesASecond": 500},
        "notice": {"privateAddresses": False},
        "cloud": {"name": "dod"},
        "log": {"level": "warning"},
    }
    rendering = helm.render(values({"config": config}, at("webhook.enabled", False)), kube=NEWEST)
    pod = rendering.one("Deployment", "worker")["spec"]["template"]["spec"]
    mounted(pod, tmp_path)
    settings = read(pod["containers"][0], tmp_path, needs_of([Role.WORKER]), monkeypatch)
    assert settings.poll.interval.total_seconds() == 90
    assert (settings.poll.headroom, settings.poll.limit, settings.poll.count_ids) == (0.25, 1500, True)
    assert (settings.watch.tenant_names, settings.watch.names_a_second) == (1_000_000, 500)
    assert (settings.notice.private_addresses, settings.cloud.name, settings.log.level) == (False, "dod", "warning")


def test_the_drain_of_the_edge_is_the_charts(helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pod = helm.render(values(at("shutdown.drainSeconds", 45))).one("Deployment", "edge")["spec"]["template"]["spec"]
    mounted(pod, tmp_path)
    settings = read(pod["containers"][0], tmp_path, needs_of([Role.EDGE]), monkeypatch)
    assert settings.edge.drain_delay.total_seconds() == 45
    assert pod["terminationGracePeriodSeconds"] == 70
