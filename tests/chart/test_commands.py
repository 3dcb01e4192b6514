"""What the chart's containers run is what the image's commands take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer
import typer.main

from relay.cli import app as relay_app
from suite.cli import app as suite_app
from tests.chart.examples import EXAMPLES, at, values

if TYPE_CHECKING:
    from tests.chart.engine import Helm, Rendering
    from tests.chart.examples import Renderings

COMMANDS: dict[str, Any] = {
    "presence-relay": typer.main.get_command(relay_app),
    "presence-suite": typer.main.get_command(suite_app),
}


def parsed(container: dict[str, Any]) -> str:
    """Return the path of the command that a container's words lead to; its arguments and options are checked."""
    [name] = container.get("command", ["presence-relay"])
    path, command, words = name, COMMANDS[name], list(container["args"])
    while below := getattr(command, "commands", {}):
        command, path = below[words[0]], f"{path} {words[0]}"
        words = words[1:]
    command.parse_args(typer.Context(command, info_name=path), words)
    return path


def ran(rendering: Rendering) -> set[str]:
    return {
        parsed(container)
        for _, pod in rendering.pods()
        for container in (*pod.get("initContainers", []), *pod["containers"])
        if "presence-relay:" in container["image"] or "presence-relay@" in container["image"]
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_container_runs_a_command_with_options_that_it_has(rendered: Renderings, example: str):
    assert ran(rendered(example)) >= {"presence-relay serve", "presence-suite health"}


def test_every_command_of_a_job_is_one(helm: Helm, rendered: Renderings):
    watch = helm.render(values(at("test", {"suiteKey": {"existingSecret": "key"}, "user": "ada@contoso.example"})))
    everything = ran(rendered("large")) | ran(rendered("trial")) | ran(watch)
    assert everything >= {
        "presence-relay backup create",
        "presence-relay check",
        "presence-relay keyring new-secret",
        "presence-suite watch",
    }


def test_a_backup_keeps_as_many_as_the_values_say(rendered: Renderings, helm: Helm):
    backup = {"enabled": True, "keep": 3, "publicKey": {"existingSecret": "k"}, "persistence": {"create": True}}
    cron = helm.render(values({"backup": backup})).one("CronJob", "-backup")["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    [container] = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--keep", "3"]
