"""One presence's trace, from Graph to the write to a suite, as a collector gets it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from relay.ops.metric import EDGE, WEBHOOK, WORKER
from relay.ops.telemetry import Telemetry, TelemetrySettings
from tests.e2e.conftest import Console, Edges, running
from tests.e2e.test_push import ADA, BEN, watching
from tests.references.spans import differences
from tests.support.otlp import CollectedSpan, Collector, collecting
from tests.support.waiting import eventually
from tests.worker.conftest import Relay, WebhookTls

pytestmark = pytest.mark.long

ROLES = frozenset({EDGE, WEBHOOK, WORKER})
READ = "POST /v1.0/communications/getPresencesByUserId"
FROM_POLL = {"relay.worker.read", READ, "relay.worker.accept", "redis accept", "relay.edge.deliver", "relay.edge.write"}
FROM_WEBHOOK = {
    "POST /notifications/{route_id}",
    "relay.webhook.verify",
    "relay.webhook.pass_on",
    "redis inbox_append",
    "relay.worker.take_in",
    "relay.worker.accept",
    "redis accept",
    "relay.edge.deliver",
    "relay.edge.write",
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


def traced(collector: Collector, share: float = 1.0, tenants: frozenset[str] = frozenset()) -> Telemetry:
    return Telemetry(TelemetrySettings(otlp_endpoint=collector.url, trace_share=share, roles=ROLES, tenants=tenants))


def trace_with(collector: Collector, names: set[str]) -> list[CollectedSpan]:
    """The spans of the first trace that has all of these; empty when there is none."""
    for write in collector.named("relay.edge.write"):
        spans = collector.trace_of(write)
        if names <= {span.name for span in spans}:
            return spans
    return []


async def changed(collector: Collector, relay: Relay, console: Console, names: set[str]) -> list[CollectedSpan]:
    """Change presences until the trace of one has spans of these names."""
    actions = [("call", "Busy"), ("hang_up", "Available")] * 20

    async def has_trace() -> list[CollectedSpan]:
        action, raw = actions.pop()
        relay.microsoft.act(ADA, action)
        await eventually(lambda: console.shows(ADA) == raw)
        return trace_with(collector, names)

    actions.reverse()
    return await eventually(has_trace, explain=lambda: {span.name for span in collector.spans})


def chain(spans: list[CollectedSpan], last: str) -> list[str]:
    """The names from the root to a span of this name."""
    by_id = {span.span_id: span for span in spans}
    span: CollectedSpan | None = next(span for span in spans if span.name == last)
    found = []
    while span is not None:
        found.append(span.name)
        span = by_id.get(span.parent_id)
    return found[::-1]


async def test_a_polled_change_is_one_trace_from_graph_to_the_write(relay: Relay, edges: Edges, collector: Collector):
    with traced(collector):
        async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA, BEN) as console:
            await eventually(lambda: console.shows(ADA) == "Available")
            spans = await changed(collector, relay, console, FROM_POLL)
    assert chain(spans, "relay.edge.write") == [
        "relay.worker.read", "relay.worker.accept", "relay.edge.deliver", "relay.edge.write",
    ]  # fmt: skip
    assert chain(spans, READ) == ["relay.worker.read", READ]
    assert chain(spans, "redis accept") == ["relay.worker.read", "relay.worker.accept", "redis accept"]
    call = next(span for span in spans if span.name == READ)
    assert call.attributes["relay.microsoft.request_id"]
    assert call.attributes["http.response.status_code"] == 200
    # The way that the stream was opened is linked, and has a trace of its own.
    write = next(span for span in spans if span.name == "relay.edge.write")
    [opened] = collector.named("relay.edge.open")
    assert write.links == [(opened.trace_id, opened.span_id)]
    assert opened.trace_id != write.trace_id


async def test_an_announced_change_is_one_trace_from_the_notification_to_the_write(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, collector: Collector
):
    relay.microsoft.set_switches(notification_sequence_numbers=True)
    with traced(collector):
        async with watching(relay, edges, webhook_tls) as (_, _, console):
            spans = await changed(collector, relay, console, FROM_WEBHOOK)
    assert chain(spans, "relay.edge.write") == [
        "POST /notifications/{route_id}", "relay.webhook.pass_on", "relay.worker.take_in", "relay.worker.accept",
        "relay.edge.deliver", "relay.edge.write",
    ]  # fmt: skip


async def test_a_read_that_a_notification_caused_goes_on_with_its_trace(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, collector: Collector
):
    relay.microsoft.set_switches(notification_sequence_numbers=False)
    with traced(collector):
        async with watching(relay, edges, webhook_tls) as (_, _, console):
            spans = await changed(collector, relay, console, {"relay.worker.take_in", *FROM_POLL})
    assert chain(spans, "relay.edge.write") == [
        "POST /notifications/{route_id}", "relay.webhook.pass_on", "relay.worker.take_in", "relay.worker.read",
        "relay.worker.accept", "relay.edge.deliver", "relay.edge.write",
    ]  # fmt: skip


async def test_spans_are_those_that_the_page_describes_and_name_only_tenants_that_the_settings_name(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, collector: Collector
):
    async with watching(relay, edges, webhook_tls, reconcile_interval=timedelta(milliseconds=200)) as (
        _,
        tenant,
        console,
    ):
        with traced(collector):
            await changed(collector, relay, console, FROM_POLL)
        unnamed = list(collector.spans)
        assert not [span for span in unnamed if "relay.tenant_id" in span.attributes]
        collector.spans.clear()  # what is looked for next is a trace of later, and not one of these
        with traced(collector, tenants=frozenset({tenant})):
            await changed(collector, relay, console, FROM_POLL)

            async def names_its_tenant() -> bool:
                for action, raw in (("hang_up", "Available"), ("call", "Busy")):
                    relay.microsoft.act(ADA, action)
                    await eventually(lambda raw=raw: console.shows(ADA) == raw)
                named = {span.name for span in collector.spans if span.attributes.get("relay.tenant_id") == tenant}
                return named >= {"relay.worker.read", "relay.edge.deliver"}

            await eventually(names_its_tenant)  # a change may be told by a notification, and is then not read
    assert [each for span in [*unnamed, *collector.spans] for each in differences(span)] == []


async def test_what_is_not_sampled_makes_no_span_and_carries_nothing(relay: Relay, edges: Edges, collector: Collector):
    with traced(collector, share=1e-12):
        async with running(relay, edges) as tenant, edges.suite(await edges.key(tenant), ADA) as console:
            await eventually(lambda: console.shows(ADA) == "Available")
            relay.microsoft.act(ADA, "call")
            await eventually(lambda: console.shows(ADA) == "Busy")
    assert collector.spans == []
