"""The stages of alerts; `make alerts` carries all of them out, and here is one that costs little."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.monitoring.prometheus import Prometheus
from tests.monitoring.stages.catalogue import STAGES
from tests.monitoring.stages.run import Outcome, Watch, run, runbook, table
from tests.monitoring.stages.runbook import first_command
from tests.monitoring.stages.world import world
from tests.monitoring.test_rules import ALERTS
from tests.support.waiting import eventually

pytestmark = pytest.mark.long

ALERT = ("PresenceRelayRedisAway", "")


def test_each_alert_has_one_stage():
    assert sorted(stage.alert for stage in STAGES) == ALERTS
    for stage in STAGES:
        assert not re.search(stage.shows, ""), f"{stage.alert}: anything would show the cause"


def test_each_runbook_begins_with_a_command():
    for alert in ALERTS:
        command = first_command(runbook(alert))
        assert command.text, alert
        assert "\n" not in command.text, f"{alert}: one command"


class Alerts(Prometheus):
    """A Prometheus whose alerts are set."""

    def __init__(self) -> None:
        self.firing: set[tuple[str, str]] = set()

    async def query(self, expr: str) -> list[dict[str, dict[str, str]]]:
        return [{"metric": {"alertname": name, "window": window}} for name, window in self.firing]


async def test_what_fired_before_a_moment_is_not_taken_for_an_effect_of_what_came_then():
    alerts = Alerts()
    watch = Watch(alerts)
    looking = asyncio.create_task(watch.look())
    now = asyncio.get_running_loop().time
    quiet = now()
    assert watch.after(ALERT, quiet, fires=True) is None
    assert watch.after(ALERT, quiet, fires=False) == 0
    alerts.firing = {ALERT}
    await eventually(lambda: watch.is_firing(ALERT))
    burning = now()
    assert 0 < (watch.after(ALERT, quiet, fires=True) or 0) <= burning - quiet
    assert watch.after(ALERT, burning, fires=False) is None
    alerts.firing = set()
    await eventually(lambda: not watch.is_firing(ALERT))
    assert 0 < (watch.after(ALERT, burning, fires=False) or 0) <= now() - burning
    assert watch.after(ALERT, now(), fires=True) is None
    looking.cancel()


def test_a_stage_whose_command_does_not_show_the_cause_says_so():
    [stage] = (stage for stage in STAGES if stage.alert == "PresenceRelayThrottled")
    outcome = Outcome(stage, began=0.0, output="operation=find_users 3\noperation=read_presences 2\n")
    assert outcome.showed == "operation=read_presences 2"
    outcome.output = "operation=find_users 3\n"
    outcome.faults.append("no")
    *_, row, fault = table([outcome])
    assert row.endswith("| never | never | not the cause |")
    assert fault == "PresenceRelayThrottled: no"


def test_a_line_that_was_there_before_the_fault_does_not_show_its_cause():
    [stage] = (stage for stage in STAGES if stage.alert == "PresenceRelayHistoryLost")
    old, new = '{"event": "store_reconnected", "at": 1}', '{"event": "store_reconnected", "at": 2}'
    assert Outcome(stage, began=0.0, before=old, output=old).showed == ""
    assert Outcome(stage, began=0.0, before=old, output=f"{old}\n{new}\n").showed == new


@pytest.mark.timeout(300)
async def test_an_alert_fires_in_a_real_fault_its_runbook_shows_the_cause_and_it_clears(tmp_path: Path):
    stages = [stage for stage in STAGES if stage.alert == "PresenceRelayPartitionsUnowned"]
    async with world(tmp_path, roles={"worker-1": "worker"}, tenants=0) as at:
        [outcome] = await run(at, stages, lambda _: None)
    assert outcome.faults == []
    assert outcome.showed.startswith("worker-1 0/1 Error")
    assert outcome.fired_s.keys() == outcome.cleared_s.keys() == {""}
