"""Each benchmark, small: it runs, measures what it says, and ends with its one line. No time is asserted.

Those that start many processes run in `make soak`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import bench
from bench.agent import run as agent
from bench.cancelled import run as cancelled
from bench.commands import BENCHMARKS
from bench.fairness import run as fairness
from bench.fairness.freshness import Compared, Freshness
from bench.fanout import run as fanout
from bench.fanout.schedule import Point
from bench.load import answer, scale, slow_token
from bench.phones import run as phones
from bench.poll import run as poll
from bench.processes import Child, ChildFailed
from bench.push import day, latency, trouble
from bench.sip_restart import run as sip_restart
from bench.telemetry import run as telemetry
from bench.webhook import run as webhook
from bench.workers import run as workers

pytestmark = pytest.mark.long


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(said) == ["bench", "ratios", "must", "ok"]
    assert said["ok"] == all(said["must"].values())
    return said


@pytest.mark.soak
@pytest.mark.parametrize("pages", [False, True])
def test_fanout_delivers_everything_on_every_side(pages: bool):
    point = Point(tenants=4, suites=2, rate=400, pages=pages)
    runs = fanout.measure(point, fanout.FanoutOptions(points=(point,), runs=1, seconds=1, warm_s=0.3, processes=2))
    assert list(runs) == ["nats", "relay", "bare"]
    for (run,) in runs.values():
        assert run.deliveries == run.expected
    assert runs["nats"][0].expected == runs["relay"][0].expected
    assert set(runs["relay"][0].cost_s) == {"worker", "valkey", "edge 1", "edge 2"}
    assert runs["relay"][0].latencies_ms


def test_phones_are_told_every_change(capsys: pytest.CaptureFixture[str]):
    phones.run(phones.PhonesOptions(phones=3, colleagues=5, rate=50, seconds=0.5))
    assert last_line(capsys)["must"]["every change comes to every phone"]


@pytest.mark.soak
def test_everybody_is_right_after_a_restart_of_a_sip_server(capsys: pytest.CaptureFixture[str]):
    sip_restart.run(sip_restart.RestartOptions(users=100, rate=50))
    said = last_line(capsys)
    assert said["must"]["few are asked for twice"]


@pytest.mark.soak
def test_agent_tells_every_console_every_change(capsys: pytest.CaptureFixture[str]):
    agent.run(agent.AgentOptions(colleagues=50, consoles=3, rate=50, seconds=1, many=5))
    said = last_line(capsys)
    assert said["must"]["every change comes to every console"]
    assert said["ratios"]["cpu"] > 0


@pytest.mark.soak
def test_telemetry_compares_two_edges_that_deliver_the_same():
    point = Point(tenants=4, suites=2, rate=400)
    options = telemetry.TelemetryOptions(point=point, runs=1, seconds=1, warm_s=0.3, trace_share=1)
    compared = telemetry.measure(options)
    assert compared.run.deliveries == compared.run.expected
    assert compared.run.cost_s.keys() >= {"on", "off"}
    assert compared.scrapes_s
    assert compared.text_bytes > 10_000
    assert compared.spans["relay.edge.write"] > 0


def test_poll_writes_nothing_for_unchanged_pages(capsys: pytest.CaptureFixture[str]):
    poll.run(poll.PollOptions(users=(1300,), rounds=1, pages=2))
    must = last_line(capsys)["must"]
    assert must["1300 users: no write for unchanged pages"]
    assert len(must) == 3


def test_webhook_is_answered_and_leaves_nothing_out(capsys: pytest.CaptureFixture[str]):
    webhook.run(webhook.WebhookOptions(sizes=(1, 3), seconds=0.4, rounds=1, openings=3))
    must = last_line(capsys)["must"]
    assert must["1 in a POST: every answer is 202"]
    assert must["3 in a POST: every answer is 202"]
    assert len(must) == 6


@pytest.mark.soak
def test_push_latency_shows_every_change(capsys: pytest.CaptureFixture[str]):
    latency.run(latency.LatencyOptions(sizes=(12,), rate=20, seconds=1))
    must = last_line(capsys)["must"]
    assert must["1 tenants, with numbers: every change is shown"]
    assert must["1 tenants, without numbers: every change is shown"]


@pytest.mark.soak
def test_push_day_counts_what_both_relays_ask(capsys: pytest.CaptureFixture[str]):
    day.run(day.DayOptions(people=12, grants=1, hours=0.003, numbered=(True,)))
    said = last_line(capsys)
    assert said["ratios"]["with numbers: polling's requests"] > 0
    assert said["must"]["with numbers: one live subscription for a grant"]


@pytest.mark.soak
def test_push_trouble_loses_notifications_and_no_subscription(capsys: pytest.CaptureFixture[str]):
    trouble.run(trouble.TroubleOptions(people=12, grants=1, scenes=("loss",), hours=0.001))
    assert last_line(capsys)["must"]["loss: no subscription made anew"]


@pytest.mark.soak
def test_cancelled_streams_keep_no_objects(capsys: pytest.CaptureFixture[str]):
    cancelled.run(cancelled.CancelledOptions(streams=1_000))
    must = last_line(capsys)["must"]
    assert must["no object is kept of each stream"]
    assert must["half of the streams were cancelled in a blocked write"]


@pytest.mark.soak
def test_scale_measures_gaps_and_resumes(capsys: pytest.CaptureFixture[str]):
    scale.run(scale.ScaleOptions(users=300, tenants=3, seconds=12))
    ratios = last_line(capsys)["ratios"]
    assert ratios["gaps"] >= 300
    assert ratios["resume_s"] > 0


@pytest.mark.soak
def test_answer_sees_new_users_and_changes(capsys: pytest.CaptureFixture[str]):
    answer.run(answer.AnswerOptions(tries=2, many=20, changes=1))
    assert len(last_line(capsys)["must"]) == 3


@pytest.mark.soak
def test_slow_token_slows_one_tenant(capsys: pytest.CaptureFixture[str]):
    slow_token.run(slow_token.SlowTokenOptions(tenants=2, seconds=11, token_ms=300, token_life_s=4))
    said = last_line(capsys)
    assert said["must"]["the slow tenant asked for tokens"]
    assert said["ratios"]["others_gap_max_s"] > 0


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_fairness_measures_each_neighbour_without_and_beside_it(capsys: pytest.CaptureFixture[str]):
    small = fairness.FairnessOptions(
        rounds=1, seconds=3, large_seconds=8, small=2, people=5, users=300, medium=60, rate=5
    )
    fairness.run(small)
    said = last_line(capsys)
    for each in small.neighbours:
        assert said["ratios"][each.name]["reads"] > 0
        assert said["must"][f"{each.name}: every change is seen"]


def test_a_neighbour_is_compared_by_the_ages_of_changes_and_by_reads():
    found = Compared()
    found.alone.add(Freshness(ages=[1, 1, 2], reads=10, due=10, cpu_s={"worker": 1.0}, took_s=10))
    found.beside.add(Freshness(ages=[1, 2], reads=5, due=10, busy_ms={"worker": 7}))
    found.beside.add(Freshness(ages=[3], reads=4, due=8, busy_ms={"worker": 5}))
    assert (found.ratio(0.5), found.ratio(1.0), found.reads) == (2, 1.5, 0.5)
    assert found.beside.busy_ms == {"worker": 7}
    assert (found.alone.cores("worker"), found.alone.cores("edge")) == (0.1, 0)


def test_the_command_lists_every_benchmark():
    told = subprocess.run(
        [sys.executable, "-m", "bench"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert {each.name for each in BENCHMARKS} >= {"fanout", "poll", "webhook", "scale", "takeover", "push-latency"}
    for each in BENCHMARKS:
        name = each.name
        assert f"    {name} " in (bench.__doc__ or "")
        assert f"    {name} " in told


def _fail(_pipe: object) -> None:
    sys.exit(3)


def test_a_child_that_ended_is_told():
    with Child(_fail) as child, pytest.raises(ChildFailed):
        child.ask("anything")


@pytest.mark.soak
def test_two_workers_read_twice_the_users_of_one(capsys: pytest.CaptureFixture[str]):
    workers.run(workers.WorkersOptions(workers=(1, 2), tenants=20, seconds=10))
    assert len(last_line(capsys)["must"]) == 2
