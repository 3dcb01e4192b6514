"""The metrics that edge, worker and webhook export while they work, beside the reference."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from relay.ops.expiry import Expiring, Expiry
from relay.ops.health import Health
from relay.ops.metric import EDGE, WEB, WEBHOOK, WORKER, Metric, MetricKind
from relay.ops.supervision import running
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.store.server.health import StoreHealth
from tests.e2e.conftest import Edges
from tests.e2e.test_push import ADA, BEN, watching
from tests.references.metrics import described
from tests.support.waiting import eventually
from tests.worker.conftest import Relay, WebhookTls

pytestmark = pytest.mark.long

ROLES = frozenset({EDGE, WEBHOOK, WORKER})
_TYPES = {MetricKind.COUNTER: "counter", MetricKind.HISTOGRAM: "histogram"}
IN_90_DAYS = datetime.now(UTC) + timedelta(days=90)
_OF_PROMETHEUS = frozenset({"target_info"})


def families(telemetry: Telemetry) -> dict[str, Family]:
    """Name in Prometheus -> what is exported under it."""
    found = {family.name: family for family in text_string_to_metric_families(telemetry.exposition().decode())}
    return {f"{name}_total" if one.type == "counter" else name: one for name, one in found.items()}


def differences(family: Family, metric: Metric) -> Iterator[str]:
    """What is exported and not described."""
    if family.type != _TYPES.get(metric.kind, "gauge"):
        yield f"{metric.name} is a {family.type}"
    for sample in family.samples:
        for label, value in sample.labels.items():
            values = metric.prometheus_labels.get(label, () if label != "le" else "any")
            if value and isinstance(values, tuple) and value not in values:
                yield f"{metric.name}: {label}={value}"


async def test_what_roles_export_is_what_the_reference_lists(relay: Relay, edges: Edges, webhook_tls: WebhookTls):
    expiry = Expiry(lambda: [Expiring("RELAY_EDGE_TLS_CERT", IN_90_DAYS)], Health())
    with Telemetry(TelemetrySettings(roles=ROLES)) as telemetry:
        loops = {"store": StoreHealth(relay.store).run, "expiry": expiry.run, **telemetry.loops}
        async with running(loops), watching(relay, edges, webhook_tls) as (_, tenant, console):
            telemetry._instruments.tenants = frozenset({tenant})
            relay.microsoft.act(ADA, "call")
            relay.microsoft.act(BEN, "call")
            await eventually(lambda: console.shows(ADA) == console.shows(BEN) == "Busy")
            async with edges.suite(await edges.key(tenant), ADA) as other:  # a call that ends
                await eventually(lambda: other.shows(ADA) == "Busy")
            of_web_alone = {one.name for one in described().values() if one.roles == (WEB,)}
            expected = {one.prometheus_name: one for one in described().values() if one.name not in of_web_alone}
            await eventually(
                lambda: expected.keys() <= families(telemetry).keys() - _OF_PROMETHEUS,
                explain=lambda: expected.keys() - families(telemetry).keys(),
            )
            exported = families(telemetry)
    by_name = {one.prometheus_name: one for one in described().values()}
    assert exported.keys() - by_name.keys() - _OF_PROMETHEUS == set()
    assert [
        each for name, one in by_name.items() if name in exported for each in differences(exported[name], one)
    ] == []


async def test_metrics_answer_how_old_presence_is_and_who_works(relay: Relay, edges: Edges, webhook_tls: WebhookTls):
    with Telemetry(TelemetrySettings(roles=ROLES)) as telemetry:
        async with watching(relay, edges, webhook_tls) as (_, tenant, console):
            telemetry._instruments.tenants = frozenset({tenant})
            relay.microsoft.act(ADA, "call")
            await eventually(lambda: console.shows(ADA) == "Busy")

            def value(name: str, **labels: str) -> float | None:
                found = families(telemetry)[name].samples if name in families(telemetry) else []
                return next((one.value for one in found if labels.items() <= one.labels.items()), None)

            def missing() -> list[str]:
                """Return what is not exported yet: each value is written when its task next runs."""
                values = {
                    "a change that was announced": bool(
                        value("relay_edge_answer_age_seconds", source="notification", le="+Inf")
                    ),
                    "covered users": value("relay_worker_users", users="pushed") == 2,
                    "streams": value("relay_edge_streams") == 1,
                    "streams of the tenant": value("relay_tenant_streams", tenant_id=tenant) == 1,
                    "users of the tenant": value("relay_tenant_users", tenant_id=tenant) == 2,
                    "contact of the tenant": value("relay_tenant_contact_age_seconds", tenant_id=tenant) is not None,
                    "tenants of the edge": value("relay_edge_tenants", status="none") == 1,
                    "tenants of the worker": value("relay_worker_tenants", state="active") == 1,
                    "grants": value("relay_worker_grants", state="healthy") == 1,
                    "subscriptions": value("relay_worker_subscriptions", condition="healthy") == 1,
                    "reads": bool(
                        value("relay_graph_requests_total", operation="read_presences", **{"class": "answered"})
                    ),
                    "tokens": bool(value("relay_entra_tokens_total", outcome="given")),
                    "durable writes": bool(value("relay_store_durable_writes_total", outcome="confirmed")),
                }
                return [what for what, is_there in values.items() if not is_there]

            await eventually(lambda: not missing(), explain=missing)
            for age_s in (value("relay_tenant_contact_age_seconds"), value("relay_worker_contact_age_seconds")):
                assert age_s is not None
                assert 0 <= age_s < 3600
