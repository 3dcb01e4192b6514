"""A release in a real cluster: installed, tested, updated, rolled back, evicted, killed, uninstalled. Skipped where there is no cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from relay.store.server.connection import Store, StoreSettings
from suite.channel import target
from suite.health import Health, check
from tests.chart.engine import CHART, Helm, RenderFailed
from tests.chart.examples import EXAMPLES, Renderings
from tests.chart.kubernetes import is_custom
from tests.cluster.cluster import HOST, PATIENCE_S, ROLES, Cluster, cluster, reason_to_skip
from tests.cluster.suite import Door, WatchingSuite
from tests.edge.worker import TENANT, PlayedWorker
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

if why := reason_to_skip():
    pytest.skip(why, allow_module_level=True)

import kr8s  # a second to import, and of use in a cluster only

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]


@pytest.fixture
async def kubernetes(helm: Helm) -> AsyncIterator[Cluster]:
    async with cluster(helm) as one:
        yield one


@pytest.fixture
def helm():
    with Helm() as engines:
        yield engines


async def asked(kubernetes: Cluster, edge: dict[str, Any]) -> tuple[Health, str]:
    """Return what an edge says of its health, through the API server."""
    async with kubernetes.forwarded(edge, 8443) as port:
        return await check(
            target(
                f"127.0.0.1:{port}",
                ca_pem=kubernetes.authority.cert_pem.bytes(),
                server_name=HOST,
                proxy="",
                environ={},
            )
        )


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
            if document["kind"] == "Pod":  # the one kind whose class of priority must exist
                document["spec"].pop("priorityClassName", None)
            path = kubernetes.path(document["apiVersion"], resources[document["kind"]])
            try:
                await kubernetes.ask("POST", path, document, dryRun="All", fieldValidation="Strict")
            except kr8s.ServerError as error:
                refused.append(f"{name}: {document['kind']}/{document['metadata']['name']}: {error}")
    assert refused == []


async def test_a_release_of_all_roles_serves_and_passes_helms_test(kubernetes: Cluster):
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values())
    for role in ROLES:
        await kubernetes.ready(role, 2)
    [edge, _] = await kubernetes.pods("edge")
    assert await asked(kubernetes, edge) == (Health.SERVING, "")
    # The pod of the test reaches an edge by its address: there need be neither DNS nor routing of Services.
    address = f"{edge['status']['podIP']}:8443"
    tested = kubernetes.values(test={"ca": {"existingSecret": "edge-tls", "key": "tls.crt"}, "address": address})
    await asyncio.to_thread(kubernetes.release, "upgrade", values=tested)
    await asyncio.to_thread(kubernetes.release, "test", timeout="3m")


async def test_a_suite_misses_nothing_while_edges_are_updated_and_rolled_back(kubernetes: Cluster):
    away: dict[str, Any] = {role: {"enabled": False} for role in ("worker", "webhook", "web")}
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values(**away))
    await kubernetes.ready("edge", 2)
    before = {pod["metadata"]["name"] for pod in await kubernetes.pods("edge")}
    async with Store(StoreSettings(url=kubernetes.redis_url)) as store:
        worker = PlayedWorker(store, TENANT)
        await worker.own()
        key = (await worker.enrol()).text
        suite = WatchingSuite(worker, users=100)
        trusted = kubernetes.authority.cert_pem.bytes()
        async with Door(kubernetes.ready_edge) as door, suite.watching(door.port, key, trusted, HOST):
            await eventually(suite.is_up_to_date)
            changed = kubernetes.values(**away, pod={"podAnnotations": {"update": "1"}})
            await asyncio.to_thread(kubernetes.release, "upgrade", values=changed)
            await kubernetes.ready("edge", 2)
            after = {pod["metadata"]["name"] for pod in await kubernetes.pods("edge")}
            await asyncio.to_thread(kubernetes.release, "rollback", revision=1, wait=True, timeout="5m")
            await kubernetes.ready("edge", 2)
            await eventually(lambda: len(suite.outcomes) > 2, PATIENCE_S)
    assert not before & after
    assert suite.faults == []


async def test_a_budget_lets_one_pod_of_two_be_evicted_at_a_time(kubernetes: Cluster):
    await asyncio.to_thread(kubernetes.release, "install", values=kubernetes.values())
    await kubernetes.ready("edge", 2)
    await kubernetes.evictable("edge")
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


@pytest.mark.parametrize("role", ROLES)
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
