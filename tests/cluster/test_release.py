"""A release in a real cluster: installed, tested, updated, rolled back, evicted, killed, uninstalled. Skipped where there is no cluster."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import kr8s
import pytest

from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.server.connection import Store, StoreSettings
from suite.backoff import Backoff
from suite.channel import target
from suite.client import PresenceClient
from suite.events import Connected, Reset
from suite.health import Health, check
from suite.values import Outcome
from tests.chart.engine import CHART, Helm, RenderFailed
from tests.chart.examples import EXAMPLES, Renderings
from tests.chart.kubernetes import is_custom
from tests.cluster.cluster import HOST, Cluster, cluster, reason_to_skip
from tests.support.ring import MARKS
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

if why := reason_to_skip():
    pytest.skip(why, allow_module_level=True)

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]
TENANT = TenantId("aaaaaaaa-0000-4000-8000-00000000c1c1")


@pytest.fixture
async def kubernetes(helm: Helm) -> AsyncIterator[Cluster]:
    async with cluster(helm) as one:
        yield one


@pytest.fixture
def helm():
    with Helm() as engines:
        yield engines


class Suite:
    """A suite that is connected to one pod after another, and what it was told."""

    def __init__(self, kubernetes: Cluster, key: str) -> None:
        self._kubernetes = kubernetes
        self._key = key
        self.events: list[Any] = []

    async def watch(self, pod: dict[str, Any]) -> None:
        """Watch through a pod until the stream ends."""
        async with self._kubernetes.forwarded(pod, 8443) as port:
            client = PresenceClient(
                f"127.0.0.1:{port}",
                self._key,
                ca_pem=self._kubernetes.authority.cert_pem.bytes(),
                server_name=HOST,
                proxy="",
                users=["nobody@contoso.example"],
                progress_interval=timedelta(seconds=5),
                backoff=Backoff(lambda _, high: min(high, 0.5)),
            )
            async with client:
                async for event in client.events():
                    self.events.append(event)


async def suite_key(kubernetes: Cluster) -> str:
    from datetime import UTC, datetime

    async with Store(StoreSettings(url=kubernetes.redis_url)) as store:
        await Tenants(store).put(Tenant(tenant_id=TENANT, state=TenantState.ACTIVE, created=datetime.now(UTC)))
        return (await SuiteKeys(store, MARKS).issue(TENANT, "cluster")).text


async def test_every_example_is_accepted_by_the_server(kubernetes: Cluster, helm: Helm):
    resources = {
        each["kind"]: each["name"]
        for group in ("api/v1", "apis/apps/v1", "apis/batch/v1", "apis/policy/v1", "apis/autoscaling/v2",
                      "apis/networking.k8s.io/v1", "apis/rbac.authorization.k8s.io/v1")
        for each in (await kubernetes.ask("GET", f"/{group}"))["resources"]
        if "/" not in each["name"]
    }  # fmt: skip
    refused = []
    for name in EXAMPLES:
        for document in Renderings(helm)(name).documents:
            if is_custom(document):
                continue
            document["metadata"]["namespace"] = kubernetes.namespace
            path = kubernetes.path(document["apiVersion"], resources[document["kind"]])
            try:
                await kubernetes.ask("POST", path, document, dryRun="All", fieldValidation="Strict")
            except kr8s.ServerError as error:
                refused.append(f"{name}: {document['kind']}/{document['metadata']['name']}: {error}")
    assert refused == []


async def test_a_release_lives(kubernetes: Cluster):
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values())
    for role in ("edge", "worker", "web"):
        await kubernetes.ready(role, 2)

    # It serves, and `helm test` says so.
    [edge, _] = await kubernetes.pods("edge")
    async with kubernetes.forwarded(edge, 8443) as port:
        asked = target(
            f"127.0.0.1:{port}", ca_pem=kubernetes.authority.cert_pem.bytes(), server_name=HOST, proxy="", environ={}
        )
        assert await check(asked) == (Health.SERVING, "")
    address = f"{edge['status']['podIP']}:8443"
    tested = kubernetes.values(test={"ca": {"existingSecret": "edge-tls", "key": "tls.crt"}, "address": address})
    await asyncio.to_thread(kubernetes.release, "upgrade", values=tested)
    await asyncio.to_thread(kubernetes.release, "test", timeout="3m", logs=True)

    # A suite is connected while everything is replaced: it resumes, and is never reset.
    suite = Suite(kubernetes, await suite_key(kubernetes))
    watching = asyncio.create_task(suite.watch(edge))
    await eventually(lambda: any(isinstance(event, Connected) for event in suite.events))
    changed = kubernetes.values(pod={"podAnnotations": {"update": "1"}})
    await asyncio.to_thread(kubernetes.release, "upgrade", values=changed)
    watching.cancel()
    for role in ("edge", "worker", "web"):
        await kubernetes.ready(role, 2)
    [new, _] = await kubernetes.pods("edge")
    assert new["metadata"]["name"] != edge["metadata"]["name"]
    again = asyncio.create_task(suite.watch(new))
    await eventually(lambda: sum(isinstance(event, Connected) for event in suite.events) >= 2)
    again.cancel()
    assert not any(isinstance(event, Reset) and not event.kept for event in suite.events)
    assert suite.events[0].outcome in (Outcome.SNAPSHOT, Outcome.RESUMED)

    await asyncio.to_thread(kubernetes.release, "rollback", revision=2, wait=True, timeout="5m")
    for role in ("edge", "worker", "web"):
        await kubernetes.ready(role, 2)


async def test_a_budget_lets_one_pod_of_two_be_evicted_at_a_time(kubernetes: Cluster):
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values())
    await kubernetes.ready("edge", 2)
    answers = []
    for pod in await kubernetes.pods("edge"):
        name = pod["metadata"]["name"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": kubernetes.namespace},
        }
        try:
            await kubernetes.ask("POST", kubernetes.path("v1", "pods", f"{name}/eviction"), body)
            answers.append("evicted")
        except kr8s.ServerError as error:
            answers.append("refused" if "disruption budget" in str(error) else str(error))
    assert answers == ["evicted", "refused"]
    await kubernetes.ready("edge", 2)


@pytest.mark.parametrize("role", ["edge", "worker", "web"])
async def test_a_killed_pod_is_replaced(kubernetes: Cluster, role: str):
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values())
    await kubernetes.ready(role, 2)
    [pod, _] = await kubernetes.pods(role)
    path = kubernetes.path("v1", "pods", pod["metadata"]["name"])
    await kubernetes.ask("DELETE", path, gracePeriodSeconds="0")
    await kubernetes.ready(role, 2)


async def test_an_uninstall_leaves_what_users_own(kubernetes: Cluster):
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values())
    await asyncio.to_thread(kubernetes.release, "uninstall", wait=True, timeout="3m")
    for group, kind in (("apps/v1", "deployments"), ("v1", "services"), ("policy/v1", "poddisruptionbudgets")):
        assert (await kubernetes.ask("GET", kubernetes.path(group, kind)))["items"] == []
    left = {
        each["metadata"]["name"] for each in (await kubernetes.ask("GET", kubernetes.path("v1", "secrets")))["items"]
    }
    assert left >= {"redis", "key-ring", "entra", "edge-tls"}


async def test_a_secret_that_lacks_a_key_is_named_by_the_pod(kubernetes: Cluster):
    values = kubernetes.values(keyRing={"existingSecret": "entra"})
    with pytest.raises(RenderFailed):
        await asyncio.to_thread(
            kubernetes.helm.call, "helm_install", namespace=kubernetes.namespace, release_name="relay", chart=str(CHART),
            values=values, wait=True, timeout="20s",
        )  # fmt: skip

    async def said() -> bool:
        events = (await kubernetes.ask("GET", kubernetes.path("v1", "events")))["items"]
        return any("references non-existent secret key: key-ring.json" in each.get("message", "") for each in events)

    await eventually(said, 120)
