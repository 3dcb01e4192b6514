"""What the chart sets is what the relay reads: the variables of each example's pods are loaded by the relay's own settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from relay.settings.load import load
from relay.settings.roles import Role, needs_of
from tests.chart.engine import NEWEST
from tests.chart.examples import CONSOLE, EXAMPLES, at, values
from tests.chart.pods import environment, mounted

if TYPE_CHECKING:
    from relay.settings.load import Settings
    from tests.chart.engine import Helm
    from tests.chart.examples import Renderings


def read(container: dict[str, Any], folder: Path, needs: list[str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings that the relay reads in this container."""
    for name in [name for name in os.environ if name.startswith("RELAY_")]:
        monkeypatch.delenv(name)
    for name, value in environment(container, folder).items():
        monkeypatch.setenv(name, value)
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
            "console": settings.console.port,
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


@pytest.mark.parametrize("role", list(Role))
def test_every_port_is_open_to_ipv6_where_the_values_say(
    helm: Helm, role: Role, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = values(at("listenAddress", "::"), CONSOLE)
    pod = helm.render(given).one("Deployment", f"-{role}")["spec"]["template"]["spec"]
    mounted(pod, tmp_path)
    settings = read(pod["containers"][0], tmp_path, needs_of([role]), monkeypatch)
    assert settings.ops.host == "::"
    if role is not Role.WORKER:
        assert getattr(settings, role).host == "::"


def test_the_drain_of_the_edge_is_the_charts(helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pod = helm.render(values(at("shutdown.drainSeconds", 45))).one("Deployment", "edge")["spec"]["template"]["spec"]
    mounted(pod, tmp_path)
    settings = read(pod["containers"][0], tmp_path, needs_of([Role.EDGE]), monkeypatch)
    assert settings.edge.drain_delay.total_seconds() == 45
    assert pod["terminationGracePeriodSeconds"] == 70
