"""What `helm install` prints: names for DNS, the redirect URI, and commands whose objects exist."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.chart.engine import CHART
from tests.chart.examples import EXAMPLES, at, values
from tests.chart.test_commands import parsed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chart.engine import Helm
    from tests.chart.examples import Renderings

# `helm template` prints no notes, so an object holds them here.
HOLDER = """\
{{- define "notes" -}}
%s
{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {text: {{ include "notes" . | toJson }}}
"""


@pytest.fixture(scope="module")
def notes(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    folder = tmp_path_factory.mktemp("chart") / CHART.name
    shutil.copytree(CHART, folder)
    text = (folder / "templates" / "NOTES.txt").read_text()
    (folder / "templates" / "notes.yaml").write_text(HOLDER % text)

    def of(given: dict) -> str:
        return helm.render(given, chart=folder).one("ConfigMap", "notes")["data"]["text"]

    return of


def example(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("name", EXAMPLES)
def test_commands_name_objects_that_exist_and_hosts_are_those_of_the_values(
    notes: Callable[..., str], rendered: Renderings, name: str
):
    given = example(EXAMPLES[name])
    shown = notes(given)
    made = {f"{each['kind']}/{each['metadata']['name']}" for each in rendered(name).documents}
    deployments = {f"Deployment/{each}" for each in re.findall(r"deploy/(\S+)", shown)}
    services = {f"Service/{each}" for each in re.findall(r"get service (\S+)", shown)}
    assert deployments
    assert deployments | services <= made
    for role in ("edge", "web", "webhook"):
        host = given[role].get("host")
        assert not host or f"     {host}  for " in shown
    assert f"https://{given['web']['host']}/onboarding/callback" in shown
    assert "helm -n telephony test relay" in shown
    commands = [words.split() for words in re.findall(r"-- presence-relay(.*)", shown)]
    assert {parsed({"args": words}) for words in commands} == {
        "presence-relay tenants list",
        "presence-relay tenants onboard",
    }


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "its address:  kubectl -n telephony get service relay-teams-presence-relay-edge"),
        (at("edge.service.type", "ClusterIP"), "set edge.tlsRoute, edge.grpcRoute or edge.ingress"),
        ({}, "Nothing leads to it yet: set web.httpRoute or web.ingress."),
        ({}, "Nothing leads to it yet: set webhook.httpRoute or webhook.ingress."),
        ({}, "Send an administrator of the organisation to\n     https://pages.example.com/onboarding\n"),
        (
            at("web.enabled", False),
            "4. The first tenant. With the redirect URI http://localhost:8400/onboarding/callback",
        ),
        (at("keyRing", {"existingSecret": "", "create": True}), "KEEP A COPY of the key ring"),
        (
            {"redis": {"existingSecret": ""}, "valkey": {"enabled": True}},
            "The chart's Valkey is for trials",
        ),
        (
            at("edge", {"tls": {"enabled": False, "existingSecret": ""}, "service": {"type": "ClusterIP"}}),
            "The edge serves no TLS",
        ),
    ],
)
def test_what_is_still_to_be_done_is_said(notes: Callable[..., str], change: dict, line: str):
    assert line in notes(values(change))


def test_what_needs_no_doing_is_not_said(notes: Callable[..., str]):
    shown = notes(example(EXAMPLES["small"]))
    for words in ("KEEP A COPY", "for trials", "serves no TLS", "Nothing leads"):
        assert words not in shown
    assert "\n\n\n" not in shown
