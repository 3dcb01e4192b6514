"""A real Prometheus scrapes all roles at work: every panel of the dashboards has data, and no rule asks for what is not there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.monitoring import rules
from deploy.monitoring.boards import BOARDS
from relay.ops.expiry import Expiring, Expiry
from relay.ops.health import Health, OpsServer, OwnAnswers
from relay.ops.metric import WEB
from relay.ops.supervision import running
from relay.ops.telemetry import Telemetry, TelemetrySettings
from relay.store.server.health import StoreHealth
from tests.e2e.conftest import Edges
from tests.e2e.test_metrics import IN_90_DAYS, ROLES
from tests.e2e.test_push import ADA, BEN, watching
from tests.monitoring.prometheus import Prometheus, Target, scraping
from tests.onboarding.person import Person
from tests.onboarding.site import Site, web_settings
from tests.support.ring import RING
from tests.support.valkey import free_port
from tests.support.waiting import eventually
from tests.worker.conftest import Relay, WebhookTls

pytestmark = pytest.mark.long

_SELECTOR = re.compile(r"\b((?:relay|rpc|http|process|db)_[a-z_]+)(\{[^}]*\{[^}]*\}[^}]*\}|\{[^}]*\})?")


def panels() -> dict[str, str]:
    """Return the expression of each series of each panel -> its expression for a query of now."""
    found = [expr for board in BOARDS for row in board.rows.values() for panel in row for expr in panel.series.values()]
    return {expr: expr.replace("$__rate_interval", "30s").replace("$tenant", ".*") for expr in found}


def asked_by_rules() -> set[str]:
    """Return every metric that a rule asks for, and every bucket of a histogram: without the bucket, the rule would have no result."""
    rule_exprs = [rule["expr"] for group in rules.rules()["groups"] for rule in group["rules"]]
    found = {selector for expr in rule_exprs for selector in _SELECTOR.findall(expr)}
    return {name + (matchers if "le=" in matchers else "") for name, matchers in found}


@asynccontextmanager
async def pages(relay: Relay, edges: Edges) -> AsyncIterator[Person]:
    """The role `web`, and somebody who looks at it."""
    settings = web_settings(free_port(), edges.authority.issue_cert("localhost"))
    async with (
        Site.serving(settings, relay.store, RING, relay.microsoft) as site,
        Person.at(site, edges.ca_pem.decode()) as person,
    ):
        yield person


async def without_data(prometheus: Prometheus) -> list[str]:
    exprs = panels() | {name: name for name in asked_by_rules()}
    return [shown for shown, expr in exprs.items() if not await prometheus.query(expr)]


async def test_every_panel_and_every_rule_asks_for_what_roles_export(
    relay: Relay, edges: Edges, webhook_tls: WebhookTls, tmp_path: Path
):
    expiry = Expiry(lambda: [Expiring("RELAY_EDGE_TLS_CERT", IN_90_DAYS)], Health())
    with Telemetry(TelemetrySettings(roles=ROLES | {WEB})) as telemetry:
        loops = {"store": StoreHealth(relay.store).run, "expiry": expiry.run, **telemetry.loops}
        async with (
            running(loops),
            watching(relay, edges, webhook_tls) as (_, tenant, console),
            pages(relay, edges) as person,
            OpsServer(("127.0.0.1", 0), OwnAnswers(Health(), telemetry.exposition)) as ops,
            scraping([Target(ops.port, "all")], tmp_path) as prometheus,
        ):
            telemetry._instruments.tenants = frozenset({tenant})
            relay.microsoft.act(ADA, "call")
            relay.microsoft.act(BEN, "call")
            await eventually(lambda: console.shows(ADA) == console.shows(BEN) == "Busy")
            async with edges.suite(await edges.key(tenant), ADA) as other:  # a call that ends
                await eventually(lambda: other.shows(ADA) == "Busy")
            await person.fill()  # a step of an onboarding

            lacking: list[str] = []

            async def is_all_there() -> bool:
                lacking[:] = await without_data(prometheus)
                return not lacking

            await eventually(is_all_there, timeout=60, explain=lambda: lacking)
            firing = await prometheus.query('ALERTS{alertstate="firing"}')
            assert [one["metric"]["alertname"] for one in firing] == []
