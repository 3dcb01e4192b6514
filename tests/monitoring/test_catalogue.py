"""Rules, dashboards, runbooks and staged faults ask for metrics, labels and values of labels that the reference of metrics lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from deploy.monitoring import rules
from deploy.monitoring.boards import BOARDS
from relay.edge.errors import advice
from relay.ops.metric import Metric, MetricKind
from tests.monitoring.staged import STAGED
from tests.references.metrics import described

CATALOGUE: Final = {metric.prometheus_name: metric for metric in described().values()}
_LABELS_OF_THE_SCRAPE: Final = {"role", "instance", "job", "namespace"}
_METRIC: Final = re.compile(r'\b((?:relay|rpc|http|process|db)_[a-z0-9_]+)(?:\{((?:[^"}]|"[^"]*")*)\})?')
_GROUPING: Final = re.compile(r"\b(?:by|without|on|ignoring) ?\([^)]*\)")
_MATCHER: Final = re.compile(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"')


def of_rules() -> list[str]:
    return [rule["expr"] for group in rules.rules()["groups"] for rule in group["rules"]]


def of_dashboards() -> list[str]:
    return [expr for board in BOARDS for row in board.rows.values() for panel in row for expr in panel.series.values()]


def of_runbooks() -> list[str]:
    pages = [page.read_text() for page in rules.RUNBOOKS.glob("*.md")]
    return [expr for page in pages for expr in re.findall(r"^```promql\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]


def of_staged_faults() -> list[str]:
    return [each.series for staged in STAGED.values() for each in staged]


def values(metric: Metric, label: str) -> tuple[str, ...] | None:
    """Return the values that a label may have; None when others than the relay decide which there are."""
    if label == "le":
        return (*(str(float(bound)) for bound in metric.bounds), "+Inf")
    if metric.name == "rpc.server.call.duration" and label == "error_type":
        return tuple(advice())
    listed = metric.prometheus_labels[label]
    return listed if isinstance(listed, tuple) else None


def unknown(expr: str) -> Iterator[str]:
    """Yield each metric, label and value in an expression that no role exports."""
    for name, matchers in _METRIC.findall(_GROUPING.sub("", expr)):
        metric = CATALOGUE.get(name)
        parts = name.rpartition("_")
        if metric is None and parts[2] in {"bucket", "count", "sum"}:
            metric = CATALOGUE.get(parts[0])
            if metric is not None and metric.kind is not MetricKind.HISTOGRAM:
                metric = None
        if metric is None:
            yield name
            continue
        labels = {*metric.prometheus_labels, *_LABELS_OF_THE_SCRAPE, *(["le"] if parts[2] == "bucket" else [])}
        for label, operator, text in _MATCHER.findall(matchers):
            if label not in labels:
                yield f"{name}: {label}"
            elif label not in _LABELS_OF_THE_SCRAPE and text:
                yield from (f"{name}: {label}={each}" for each in _not_listed(values(metric, label), operator, text))


def _not_listed(listed: tuple[str, ...] | None, operator: str, text: str) -> list[str]:
    if listed is None:
        return []
    if operator in {"=", "!="}:
        return [] if text in listed else [text]
    stem, *inner = re.split(r"[()]", text)
    asked = [stem + each for each in inner[0].split("|")] if inner else text.split("|")
    return [each for each in asked if not any(re.fullmatch(each, value) for value in listed)]


@pytest.mark.parametrize("exprs", [of_rules, of_dashboards, of_runbooks, of_staged_faults])
def test_each_metric_label_and_value_that_is_asked_for_is_in_the_reference(exprs: Callable[[], list[str]]):
    asked = exprs()
    assert asked
    assert {each for expr in asked for each in unknown(expr)} == set()


@pytest.mark.parametrize(
    ("expr", "wrong"),
    [
        ("max(relay_worker_contact_age)", "relay_worker_contact_age"),
        ("relay_worker_contact_age_seconds_bucket", "relay_worker_contact_age_seconds_bucket"),
        ('relay_worker_reads_total{reason="throttled"}', "relay_worker_reads_total: reason"),
        ('relay_worker_reads_total{outcome=~"throttled|gone"}', "relay_worker_reads_total: outcome=gone"),
        ('relay_edge_answer_age_seconds_bucket{le="7.0"}', "relay_edge_answer_age_seconds_bucket: le=7.0"),
        (
            'rpc_server_call_duration_seconds_count{error_type=~"ERROR_REASON_(BUG|GONE)"}',
            "rpc_server_call_duration_seconds_count: error_type=ERROR_REASON_GONE",
        ),
    ],
)
def test_an_expression_that_asks_for_what_no_role_exports_is_found(expr: str, wrong: str):
    assert list(unknown(expr)) == [wrong]
