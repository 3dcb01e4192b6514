"""The commands in the chart's README, as far as a machine without a cluster can run them: made files, rendered values, names of objects."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from relay.cli import app as relay_app
from suite.cli import app as suite_app
from tests.chart.__main__ import main as check_custom_resources
from tests.chart.engine import CHART, ROOT
from tests.chart.examples import EXAMPLES, values
from tests.chart.readme import README

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chart.engine import Helm

APPLICATION = "00000000-0000-0000-0000-000000000000"
TEXT = README.read_text()
PAGE = (ROOT / "docs" / "operate" / "kubernetes.md").read_text()


def commands(text: str = TEXT) -> list[list[str]]:
    """Return every command: of indented blocks, and those that tables have between backticks."""
    block = [line.strip() for line in text.splitlines() if re.match(r"(    |       )(\S)", line)]
    inline = re.findall(r"`((?:kubectl create|presence-relay|presence-suite|helm|make) [^`]+)`", text)
    return [shlex.split(line.rstrip(" &"), comments=True) for line in dict.fromkeys([*block, *inline])]


def starting(*words: str) -> list[list[str]]:
    found = [command for command in commands() if command[: len(words)] == list(words)]
    assert found, words
    return found


def flags(command: list[str], name: str) -> Iterator[str]:
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == name:
            yield following
        elif word.startswith(f"{name}="):
            yield word.partition("=")[2]


def given(command: list[str]) -> dict[str, Any]:
    """Return the values of a `helm install` line."""
    [file] = flags(command, "-f")
    whole = yaml.safe_load((ROOT / file).read_text())
    for setting in flags(command, "--set"):
        path, _, value = setting.replace("APPLICATION-ID", APPLICATION).partition("=")
        *above, last = path.split(".")
        place = whole
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return whole


def test_the_trial_renders_as_its_command_says_and_has_the_objects_that_later_commands_name(helm: Helm):
    [install] = starting("helm", "-n", "telephony", "install")
    name, chart = install[4:6]
    assert (ROOT / chart).resolve() == CHART
    rendering = helm.render(given(install), release=name)
    names = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in rendering.documents}
    for command in starting("kubectl", "-n", "telephony", "exec") + starting(
        "kubectl", "-n", "telephony", "port-forward"
    ):
        [target] = [word for word in command if word.startswith(("deploy/", "service/"))]
        assert target.replace("deploy/", "deployment/") in names, command
    [pod] = [each["spec"]["template"]["spec"] for each in rendering.of("Deployment")]
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    made = {command[6] for command in starting("kubectl", "-n", "telephony", "create", "secret")}
    assert secrets - {"relay-teams-presence-relay-key-ring"} == made, "the key ring's Secret is made by a Job"


def test_the_test_pod_trusts_the_certificate_of_the_trial_as_the_readme_says(helm: Helm):
    [install] = starting("helm", "-n", "telephony", "install")
    more = [word for setting in re.findall(r"`--set ([^`]+)`", TEXT) for word in ("--set", *setting.split(" --set "))]
    more = [part for word in more for part in (["--set", word] if word != "--set" else [])]
    pod = helm.render(given([*install, *more])).one("Pod", "-test")["spec"]
    [ca] = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "ca"]
    assert (ca["secretName"], ca["items"][0]["key"]) == ("edge-tls", "tls.crt")


def ran(words: list[str]) -> Result:
    return CliRunner().invoke(relay_app, words)


def test_commands_that_make_what_secrets_hold_make_what_the_chart_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for words in (("keyring", "new"), ("backup", "new-key"), ("certificates", "make")):
        whole = [command for command in starting("presence-relay", *words) if len(command) == 4]
        assert [ran(command[1:]).exit_code for command in whole] == [0]
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    for command in starting("kubectl", "create", "secret", "generic"):
        for file in flags(command, "--from-file"):
            assert file == "password" or Path(file).exists(), command
    assert {defaults["keyRing"]["key"], defaults["keyRing"]["publicKey"]} == {"key-ring.json", "key-ring.json.pub"}
    assert Path(defaults["backup"]["publicKey"]["key"]).exists()


@pytest.mark.parametrize("text", [TEXT, PAGE], ids=["README.md", "kubernetes.md"])
def test_every_command_of_ours_is_one(text: str):
    for command in commands(text):
        if "presence-relay" in command and command[0] in ("presence-relay", "kubectl"):
            words = command[command.index("presence-relay") + 1 :]
            below = [word for word in words[:2] if re.fullmatch("[a-z-]+", word) and not word.startswith("-")]
            assert ran([*below, "--help"]).exit_code == 0 or ran([*below[:1], "--help"]).exit_code == 0, command
        if command[0] == "presence-suite":
            shown = CliRunner().invoke(suite_app, [command[1], "--help"], env={"COLUMNS": "200"}).output
            assert all(word in shown for word in command if word.startswith("--")), command


def test_every_example_is_named_in_the_readme():
    assert {path.stem for path in EXAMPLES.values()} - set(re.findall(r"values/([\w-]+)\.yaml", TEXT)) == set()


def test_the_policy_of_another_gateway_renders_for_the_edges_service(helm: Helm):
    [block] = re.findall(r"\n    extraObjects:\n((?:      ?.*\n)+)", PAGE)
    rendering = helm.render(values(yaml.safe_load(f"extraObjects:\n{block}")))
    policy = rendering.one("GCPBackendPolicy")["spec"]
    assert policy["targetRef"]["name"] == rendering.one("Service", "-edge")["metadata"]["name"]


def test_the_makefile_has_the_targets_that_the_pages_name():
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for text in (TEXT, PAGE) for name in re.findall(r"`make ([a-z0-9-]+)", text)}
    assert named - targets == set()


def test_the_features_beside_other_charts_are_each_held_by_a_test():
    rows = [line.split("|") for line in TEXT.splitlines() if line.startswith("| ") and "../tests/" in line]
    assert len(rows) > 20
    for row in rows:
        [(path, name)] = re.findall(r"\]\(([^)#]+)#(\w+)\)", row[2])
        assert f"def {name}(" in (CHART / path).read_text(), row[1]


def test_the_chart_check_without_a_folder_says_what_it_left_out(capsys: pytest.CaptureFixture[str]):
    assert check_custom_resources(None) == 0
    assert "not checked  cert-manager.io/v1 Certificate" in capsys.readouterr().out
