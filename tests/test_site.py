"""The documentation: each page has its place, what it lists is what the code has, and each command in it exists."""

from __future__ import annotations

import re
from collections import Counter

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from deploy.site import assemble
from tests.references import log_events, metrics


def test_every_event_that_is_logged_is_explained_and_no_other():
    explained = Counter(event for events in log_events.catalogue().values() for event in events)
    logged = Counter(log_events.logged().keys())
    assert (logged - explained, explained - logged) == ({}, {}), "relay/ops/log_events.toml"


def test_every_metric_has_a_question_that_it_answers_and_no_other_has():
    explained = Counter(name for names in metrics.catalogue().values() for name in names)
    made = Counter(metrics.made().keys())
    assert (made - explained, explained - made) == ({}, {}), "relay/ops/metrics.toml"


def test_metrics_are_listed_under_the_names_that_prometheus_reads():
    registry = CollectorRegistry()
    meter = MeterProvider([PrometheusMetricReader(registry=registry)], shutdown_on_exit=False).get_meter("test")
    for name, metric in metrics.made().items():
        if metric.kind == "counter":
            meter.create_counter(name, unit=metric.unit).add(1)
        elif metric.kind == "histogram":
            meter.create_histogram(name, unit=metric.unit).record(1)
        else:
            meter.create_gauge(name, unit=metric.unit).set(1)
    exported = set(re.findall(r"^(\w+?)(?:_bucket|_count|_sum)?\{", generate_latest(registry).decode(), re.MULTILINE))
    assert {metric.in_prometheus(name) for name, metric in metrics.made().items()} <= exported


def test_links_of_a_page_lead_to_the_places_that_pages_have_in_the_site():
    site = assemble.site()
    architecture = site["develop/architecture.md"]
    assert isinstance(architecture, str)
    assert "](one-presence.md)" in architecture
    assert "](../" not in architecture.replace("](../operate/", "").replace("](../suites", "").replace(
        "](../files/", ""
    )
    assert {"index.md", "operate/security.md", "reference/settings.md"} <= site.keys()
