"""The console in the chart: off by default, in a Deployment of its own, and on no way from the internet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.settings import console_settings
from relay.settings.roles import Role, needs_of
from tests.chart.engine import RenderFailed
from tests.chart.examples import CONSOLE, at, values
from tests.chart.pods import mounted
from tests.chart.test_settings import read

if TYPE_CHECKING:
    from tests.chart.engine import Helm, Rendering

TRIAL = {
    "console": {"enabled": True, "browserUrl": "http://localhost:8082", "token": {"existingSecret": "console-token"}}
}
EVERY_WAY = {
    "web": {"ingress": {"enabled": True}},
    "webhook": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}},
    "edge": {"service": {"type": "LoadBalancer"}},
}


def names(rendering: Rendering, kind: str) -> list[str]:
    return [each["metadata"]["name"] for each in rendering.of(kind) if each["metadata"]["name"].endswith("-console")]


def test_it_is_off_by_default(helm: Helm):
    assert "console" not in {
        each["metadata"]["labels"].get("app.kubernetes.io/component") for each in helm.render(values()).documents
    }


@pytest.mark.parametrize("mode", ["roles", "all"])
def test_it_runs_in_a_deployment_of_its_own_in_every_mode(helm: Helm, mode: str):
    rendering = helm.render(values(CONSOLE, at("mode", mode)))
    pod = rendering.one("Deployment", "-console")["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["serve", "console"]
    others = [each for each in rendering.of("Deployment") if not each["metadata"]["name"].endswith("-console")]
    assert all("console" not in each["spec"]["template"]["spec"]["containers"][0]["args"] for each in others)
    assert rendering.one("Deployment", "-console")["spec"]["replicas"] == 1


def test_no_public_way_leads_to_it(helm: Helm):
    rendering = helm.render(values(CONSOLE, EVERY_WAY))
    ways = [each for each in rendering.documents if each["kind"] in ("Ingress", "HTTPRoute", "TLSRoute", "GRPCRoute")]
    assert len(ways) == 2
    assert "console" not in json.dumps(ways)
    assert rendering.one("Service", "-console")["spec"]["type"] == "ClusterIP"


def test_only_the_named_gateway_reaches_it_and_without_a_service_nobody(helm: Helm):
    def console_port(rendering: Rendering) -> list[dict[str, Any]]:
        rules = rendering.one("NetworkPolicy", "-console")["spec"]["ingress"] or []
        return [rule for rule in rules if rule["ports"][0]["port"] == "console"]

    [rule] = console_port(helm.render(values(CONSOLE)))
    assert rule["from"] == CONSOLE["networkPolicy"]["console"]["from"]
    closed = helm.render(values(TRIAL))
    assert (console_port(closed), names(closed, "Service")) == ([], [])


@pytest.mark.parametrize("change", [CONSOLE, TRIAL], ids=["entra", "trial"])
def test_its_settings_are_what_the_values_say(
    helm: Helm, change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pod = helm.render(values(change)).one("Deployment", "-console")["spec"]["template"]["spec"]
    mounted(pod, tmp_path)
    settings = read(pod["containers"][0], tmp_path, needs_of([Role.CONSOLE]), monkeypatch)
    console = console_settings(settings.console, settings.web, settings.http)
    assert console.public_url == change["console"]["browserUrl"]
    assert console.pages_url == "https://pages.example.com"
    if change is CONSOLE:
        assert console.entra is not None
        assert console.entra.tenant_id == "11111111-0000-0000-0000-000000000000"
        assert (console.host, console.token) == ("0.0.0.0", None)
        assert settings.console_graph_settings().certificate is not None
    else:
        assert (console.entra, console.host) == (None, "127.0.0.1")
        assert console.token


def test_no_other_pod_has_its_secrets(helm: Helm):
    rendering = helm.render(values(CONSOLE))
    for each in rendering.of("Deployment"):
        is_console = each["metadata"]["name"].endswith("-console")
        assert ("console-entra" in json.dumps(each)) is is_console
        # Its own Redis user and its own app registration: the relay's credential stays with workers and pages.
        assert ("credential" in {one["name"] for one in each["spec"]["template"]["spec"]["volumes"]}) is (
            each["metadata"]["name"].endswith(("-worker", "-web"))
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (at("console.browserUrl", ""), "console.browserUrl is empty"),
        (at("console.browserUrl", "https://pages.example.com"), "console.browserUrl has the host of web.host"),
        (at("console.browserUrl", "https://relay.example.com:8443"), "console.browserUrl has the host of edge.host"),
        (at("console.browserUrl", "http://console.internal.example.com"), "begin it with https://"),
        (at("console.browserUrl", "https://console.internal.example.com/console"), "without a path"),
        (at("console.token.existingSecret", "token"), "keep one way to sign in"),
        (at("console.entra.tenantId", ""), "console.entra.tenantId is empty"),
        (at("console.entra.credential.existingSecret", ""), "console.entra.credential.existingSecret is empty"),
        (
            at("console.entra", {"tenantId": "", "clientId": "", "credential": {"existingSecret": ""}}),
            "Nobody could sign in",
        ),
        (at("console.tls.enabled", True), "console.tls.existingSecret"),
        (at("networkPolicy.console.from", []), "networkPolicy.console.from is empty"),
        (at("web.enabled", False), "invitations lead to the pages"),
    ],
)
def test_values_that_cannot_work_are_refused(helm: Helm, changes: dict[str, Any], said: str):
    with pytest.raises(RenderFailed, match=said):
        helm.render(values(CONSOLE, changes))


def test_a_token_is_for_this_machine_alone(helm: Helm):
    with pytest.raises(RenderFailed, match="is for a trial with a URL on localhost"):
        helm.render(values(TRIAL, at("console.browserUrl", "https://console.internal.example.com")))
