"""The rules that ship with the chart: promtool accepts them, each fires in its fault and ends after it, and each has a runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import rules
from tests.monitoring.prometheus import tool
from tests.monitoring.staged import BAD_MIN, GOOD_MIN, STAGED

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
HEADINGS = ["## What it means", "## See it", "## What to do", "## When to wake the on-call engineer"]


def promtool(*arguments: str) -> str:
    """Run promtool; what it printed when it is content."""
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> list[dict[str, Any]]:
    return [rule for group in rules.rules()["groups"] for rule in group["rules"] if "alert" in rule]


def _windows(alert: str) -> list[str]:
    """Return the labels by which promtool tells the alerts of one name apart."""
    windows = [rule["labels"].get("window") for rule in alerts() if rule["alert"] == alert]
    return [f'{{window="{window}"}}' if window else "{}" for window in windows]


ALERTS = sorted({alert["alert"] for alert in alerts()})


def test_the_file_of_the_chart_is_the_one_that_is_generated():
    assert rules.FILE.read_text() == rules.text(), "run: make monitoring"


def test_promtool_accepts_the_rules():
    assert f"SUCCESS: {sum(len(group['rules']) for group in rules.rules()['groups'])} rules" in promtool(
        "check", "rules", str(rules.FILE)
    )


def test_each_alert_fires_in_its_fault_and_ends_after_it(tmp_path: Path):
    assert sorted(STAGED) == ALERTS
    tests = [
        {
            "name": alert,
            "interval": "1m",
            "input_series": [{"series": each.series, "values": each.values()} for each in staged],
            "promql_expr_test": [
                {
                    "expr": f'count by (window) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
                    "eval_time": f"{at}m",
                    "exp_samples": [{"labels": labels, "value": 1} for labels in firing],
                }
                for at, firing in ((BAD_MIN - 5, _windows(alert)), (BAD_MIN + GOOD_MIN, []))
            ],
        }
        for alert, staged in STAGED.items()
    ]
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules.FILE)], "evaluation_interval": "10m", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", str(file))


def test_a_release_that_works_does_not_hide_one_that_does_not(tmp_path: Path):
    working, failing = 'namespace="works"', 'namespace="fails"'
    series = {
        f"relay_worker_partitions{{{working}}}": "64x60",
        f"relay_store_ready{{{working}}}": "1x60",
        f"relay_store_ready{{{failing}}}": "1x60",  # none of its workers is there
        f'relay_worker_reads_total{{{working},outcome="answered"}}': "0+100000x60",
        f'relay_worker_reads_total{{{failing},outcome="answered"}}': "0+10x60",
        f'relay_worker_reads_total{{{failing},outcome="throttled"}}': "0+10x60",
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": text} for name, text in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count by (namespace) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
                "eval_time": "50m",
                "exp_samples": [{"labels": '{namespace="fails"}', "value": number}],
            }
            for alert, number in (("PresenceRelayPartitionsUnowned", 1), ("PresenceRelayReadsFail", 3))
        ],
    }
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules.FILE)], "evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in promtool("test", "rules", str(file))


def test_partitions_without_a_worker_are_missed_even_when_nothing_of_the_relay_is_scraped(tmp_path: Path):
    test = {
        "interval": "1m",
        "alert_rule_test": [
            {
                "eval_time": "10m",
                "alertname": "PresenceRelayPartitionsUnowned",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "page"},
                        "exp_annotations": {
                            "summary": "No worker reads some of the 64 partitions",
                            "description": "0 of 64 partitions have a worker.",
                            "runbook": "docs/operate/runbooks/partitions-unowned.md",
                        },
                    }
                ],
            }
        ],
    }
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(rules.FILE)], "evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in promtool("test", "rules", str(file))


def test_each_alert_says_what_is_wrong_and_what_was_measured():
    for alert in alerts():
        assert alert["annotations"]["summary"], alert["alert"]
        assert "{{ $" in alert["annotations"]["description"], alert["alert"]


def test_scaled_time_shortens_every_window_and_wait_and_changes_nothing_else(tmp_path: Path):
    slow, fast = rules.rules(), rules.faster(60)
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(fast))
    assert "SUCCESS" in promtool("check", "rules", str(file))
    text = yaml.safe_dump(fast)
    for usual, scaled in {"[5m]": "[5000ms]", "[3d]": "[4320000ms]", "for: 15m": "for: 15000ms"}.items():
        assert usual in yaml.safe_dump(slow)
        assert usual not in text
        assert scaled in text
    assert [rule.get("alert") for group in fast["groups"] for rule in group["rules"]] == [
        rule.get("alert") for group in slow["groups"] for rule in group["rules"]
    ]
    with pytest.raises(ValueError, match="5m cannot be divided by 7"):
        rules.faster(7)


@pytest.mark.parametrize("window", ["1h", "6h", "3d"])
def test_each_objective_has_an_alert_for_each_speed_of_using_up_its_budget(window: str):
    named = {alert["alert"] for alert in alerts() if alert["labels"].get("window") == window}
    assert len(named) == len(rules.OBJECTIVES)


def test_each_alert_has_a_runbook_of_the_same_form_and_each_runbook_an_alert():
    runbooks = {alert["annotations"]["runbook"] for alert in alerts()}
    assert {str(page.relative_to(ROOT)) for page in rules.RUNBOOKS.glob("*.md")} == runbooks
    for page in runbooks:
        text = (ROOT / page).read_text()
        assert re.findall(r"^## .*$", text, re.MULTILINE) == HEADINGS, page
        names = {alert["alert"] for alert in alerts() if alert["annotations"]["runbook"] == page}
        assert all(f"`{name}`" in text for name in names), page
        assert "```" in text.split(HEADINGS[1])[1].split(HEADINGS[2])[0], f"{page}: a command to begin with"
