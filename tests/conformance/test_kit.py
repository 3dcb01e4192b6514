"""The conformance kit, with suites that do as the guide says and suites that do one thing wrong. Times are scaled, the edge is real."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.dev.conformance.checklist import CheckedRule, passes
from relay.dev.conformance.relay import Times
from relay.dev.conformance.report import as_html, as_text
from relay.dev.conformance.rules import Judged
from relay.dev.conformance.run import LOG, KitOptions, Suite, conformance, program
from relay.dev.conformance.scenarios import SCENARIOS
from suite.cli import app
from tests.conformance.suites import agent, own_client, small_suite
from tests.examples import tools
from tests.support.waiting import eventually_in_thread

pytestmark = pytest.mark.long

QUICK = Times(
    settle_s=0.6,
    patience_s=20.0,
    drain_s=4.0,
    connection_age_s=0.2,
    gone_s=3.0,
    throttle_s=1.5,
    slow_s=0.2,
    silent_s=20.0,
    progress_s=1.5,
    revoked_s=2.0,
)


async def checklist(folder: Path, suite: Suite, scenarios: Sequence[str] = (), **options) -> list[CheckedRule]:
    """Play scenarios to a suite of `suites`."""
    given = KitOptions(folder=folder, scenarios=scenarios, times=QUICK, **options)
    return await conformance(given, lambda _: None, suite)


def failing(checks: Sequence[CheckedRule]) -> set[tuple[str, str]]:
    return {(check.scenario, check.rule) for check in checks if check.verdict is Judged.FAIL}


def unseen(checks: Sequence[CheckedRule]) -> set[tuple[str, str]]:
    return {(check.scenario, check.rule) for check in checks if check.verdict is Judged.UNSEEN}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("suite", [own_client, agent])
async def test_the_projects_own_client_and_its_agent_pass_every_scenario(tmp_path: Path, suite: Suite):
    checks = await checklist(tmp_path, suite)
    assert passes(checks), as_text(checks)
    assert not unseen(checks), as_text(checks)
    assert list(dict.fromkeys(check.scenario for check in checks)) == list(SCENARIOS)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("fault", "scenario", "rules"),
    [
        ("", "drain", set()),
        ("", "cut", set()),
        ("half-closes", "start", {"keeps-requests-open"}),
        ("ignores-drain", "drain", {"leaves"}),
        ("no-token", "drain", {"resumes"}),
        ("no-held", "drain", {"holds-users"}),
        ("no-wait", "cut", {"waits"}),
        ("no-wait", "gone", {"does-not-hammer"}),
        ("ignores-retry", "busy", {"obeys-retry-info"}),
        ("reconnects-when-reset", "reset", {"keeps-stream"}),
        ("keeps-old-names", "rename", {"follows-names"}),
        ("reconnects-when-throttled", "throttle", {"keeps-stream"}),
        ("comes-back-revoked", "revoke", {"stops"}),
    ],
)
async def test_a_suite_fails_at_what_it_does_wrong_and_nowhere_else(
    tmp_path: Path, fault: str, scenario: str, rules: set[str]
):
    wanted = {(scenario, rule) for rule in rules}
    for attempt in range(3):  # a machine that stalls can make a suite look as if it waited, or had no token yet
        folder = tmp_path / str(attempt)
        folder.mkdir()
        checks = await checklist(folder, lambda relay: small_suite(relay, fault), [scenario])
        if failing(checks) == wanted:
            break
    assert failing(checks) == wanted, as_text(checks)
    assert len([check for check in checks if check.verdict is Judged.PASS]) > 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize(
    "scenarios",
    [
        ["start", "drain", "cut", "throttle", "revoke"],
        ["busy", "reset", "rename", "revoke"],
        ["slow", "gone", "revoke"],
    ],
)
async def test_the_examples_pass(tmp_path: Path, scenarios: list[str], language: str):
    command = [*tools.commands()[language], "{address}", "{ca}", "{key}", "{users}"]
    assert tools.is_built(language), "the example is not built, or has changed: run make examples"
    options = KitOptions(folder=tmp_path, scenarios=scenarios, times=replace(QUICK, patience_s=40.0), command=command)
    checks = await conformance(options, lambda _: None, lambda relay: program(relay, options, lambda _: None))
    assert passes(checks), as_text(checks) + (tmp_path / LOG).read_text()
    assert not unseen(checks), as_text(checks)


async def test_a_suite_that_never_comes_is_not_said_to_pass(tmp_path: Path):
    options = KitOptions(
        folder=tmp_path,
        scenarios=["start", "drain"],
        times=QUICK,
        command=[sys.executable, "-c", "raise SystemExit(7)"],
    )
    checks = await conformance(options, lambda _: None, lambda relay: program(relay, options, lambda _: None))
    assert not passes(checks)
    assert {check.verdict for check in checks} == {Judged.UNSEEN}
    assert "exit code 7" in checks[0].why


@pytest.mark.timeout(240)
def test_the_command_runs_a_suites_program_and_prints_the_checklist(tmp_path: Path):
    presence_suite = str(Path(sys.executable).parent / "presence-suite")
    page, state = tmp_path / "page.html", tmp_path / "state"
    command = [
        presence_suite,
        "conformance",
        "--scenario",
        "start",
        "--scenario",
        "revoke",
        "--json",
        "--html",
        str(page),
    ]
    command += ["--port", "0", "--state", str(state), "--"]
    command += [
        presence_suite,
        "watch",
        "{users}",
        "--address",
        "{address}",
        "--ca-file",
        "{ca}",
        "--key-file",
        "{key}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["passes"]
    assert [check["scenario"] for check in found["checks"]] == 3 * ["start"] + 2 * ["revoke"]
    assert found["verdict"] in page.read_text()
    assert (state / "conformance.key").read_text().strip() not in done.stdout + done.stderr + page.read_text()


@pytest.mark.timeout(120)
def test_a_run_that_is_told_to_end_ends_the_suites_program_too(tmp_path: Path):
    presence_suite, pid_file = str(Path(sys.executable).parent / "presence-suite"), tmp_path / "pid"
    program = f"import os, pathlib, time; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    command = [presence_suite, "conformance", "--scenario", "start", "--port", "0", "--state", str(tmp_path / "state")]
    kit = subprocess.Popen([*command, "--", sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    try:
        eventually_in_thread(lambda: pid_file.exists() and pid_file.read_text())
        kit.terminate()
        assert kit.wait(60) == 130
        assert not Path(f"/proc/{pid_file.read_text()}").exists()
    finally:
        kit.kill()


def test_what_a_suite_sent_is_shown_as_text_on_the_page():
    check = CheckedRule(
        "start", "names-users", "It names users.", Judged.FAIL, "<script>alert(1)</script>@c.example is wrong"
    )
    assert "<script>" not in as_html([check])
    assert "&lt;script&gt;" in as_html([check])
    assert "fails 1 of 1 checks, in start." in as_text([check])


def test_without_the_relay_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "relay.dev.conformance.run", None)
    result = CliRunner().invoke(app, ["conformance", "--list"])
    assert result.exit_code == 2
    assert "pip install 'presence-relay[dev]'" in result.output


def test_the_command_lists_what_happens_in_each_scenario_and_refuses_one_that_there_is_not(tmp_path: Path):
    listed = CliRunner().invoke(app, ["conformance", "--list"]).output.splitlines()
    assert [line.split()[0] for line in listed] == list(SCENARIOS)
    assert all(line.endswith(".") for line in listed)
    refused = CliRunner().invoke(app, ["conformance", "--scenario", "flood", "--state", str(tmp_path)])
    assert refused.exit_code == 2
    assert "There is no scenario flood." in refused.output
