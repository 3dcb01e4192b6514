"""A namespace of a real cluster, with a release of the chart in it."""

from __future__ import annotations

import base64
import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trustme

from relay.graph.push.certificates import make
from relay.store.sealing.signing import Purpose, public_set
from tests.chart.engine import CHART, Helm
from tests.support.ring import RING, RING_JSON
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST: Final = "relay.example.com"
RELEASE: Final = "relay"
BASE: Final = f"{RELEASE}-teams-presence-relay"
ROLES: Final = ("edge", "worker", "webhook", "web")
PATIENCE_S: Final = 180.0


@dataclass
class Cluster:
    """One namespace.

    Attributes:
        api: the API server.
        helm: Helm's engine.
        namespace: the namespace's name.
        image: repository and tag of the image.
        redis_url: the Redis that pods reach.
        authority: signs the edge's certificate.
    """

    api: Any
    helm: Helm
    namespace: str
    image: tuple[str, str]
    redis_url: str
    authority: trustme.CA = field(default_factory=trustme.CA)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, **params: str) -> Any:
        """Ask the API server; return its JSON.

        Raises:
            kr8s.ServerError: it refuses.
        """
        base, _, url = path.strip("/").partition("/")
        async with self.api.call_api(method, version="", base=f"/{base}", url=url, json=body, params=params) as reply:
            return reply.json()

    def path(self, group: str, kind: str, name: str = "") -> str:
        """Return the path of objects of the namespace: `path("apps/v1", "deployments")`."""
        base = "apis" if "/" in group else "api"
        return f"/{base}/{group}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    async def secret(self, name: str, **data: str) -> None:
        """Make a Secret; `_` in a key stands for a point."""
        encoded = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in data.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
        await self.ask("POST", self.path("v1", "secrets"), body)

    async def prepare(self) -> None:
        """Make the namespace, and the Secrets that the chart mounts."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        await self.ask("POST", "/api/v1/namespaces", body)
        await eventually(self._has_account, PATIENCE_S)
        leaf = self.authority.issue_cert(HOST)
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems).decode()
        await self.secret("redis", url=self.redis_url)
        await self.secret("entra", secret="secret-of-nobody")
        await self.secret("edge-tls", tls_crt=chain, tls_key=leaf.private_key_pem.bytes().decode())
        await self.secret("encryption", test_pem=make("test", datetime.now(UTC)).decode())
        ring = {"key-ring.json": RING_JSON, "key-ring.json.pub": public_set(RING, Purpose.SUITE_KEY)}
        await self.secret("key-ring", **ring)

    async def _has_account(self) -> bool:
        """Return whether Kubernetes has made the namespace's own service account, without which it takes no pod."""
        found = await self.ask("GET", self.path("v1", "serviceaccounts"))
        return any(each["metadata"]["name"] == "default" for each in found["items"])

    async def end(self) -> None:
        """Delete the namespace with all that is in it."""
        await self.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def values(self, **changes: Any) -> dict[str, Any]:
        """Return the values of a release of all roles."""
        return {
            "image": {"repository": self.image[0], "tag": self.image[1], "architectures": []},
            "config": {"redis": {"plaintext": True}},
            "redis": {"existingSecret": "redis"},
            "keyRing": {"existingSecret": "key-ring"},
            "entra": {
                "clientId": "00000000-0000-0000-0000-000000000000",
                "credential": {"existingSecret": "entra", "clientSecretKey": "secret"},
            },
            "edge": {"host": HOST, "service": {"type": "ClusterIP"}, "tls": {"existingSecret": "edge-tls"}},
            "web": {"host": "pages.example.com"},
            "webhook": {"host": "hook.example.com", "encryption": {"existingSecret": "encryption"}},
            "networkPolicy": {"enabled": False},
            "test": {"ca": {"existingSecret": "edge-tls", "key": "tls.crt"}},
            **changes,
        }

    def release(self, action: str, **arguments: Any) -> str:
        """Do something with the release: install, upgrade, rollback, test, uninstall."""
        given = {"namespace": self.namespace, "release_name": RELEASE, **arguments}
        if action in ("install", "upgrade"):
            given |= {"chart": str(CHART), "wait": True, "timeout": "5m"}
        return self.helm.call(f"helm_{action}", **given)

    async def pods(self, role: str) -> list[dict[str, Any]]:
        """Return the pods of a role that are not on their way out."""
        found = await self.ask(
            "GET",
            self.path("v1", "pods"),
            labelSelector=f"app.kubernetes.io/component={role},app.kubernetes.io/instance={RELEASE}",
        )
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    async def ready(self, role: str, count: int) -> None:
        """Wait until so many pods of a role are ready, and no other is there."""

        async def is_so() -> bool:
            pods = await self.pods(role)
            return len(pods) == count and all(map(is_ready, pods))

        await eventually(is_so, PATIENCE_S)

    async def evictable(self, role: str) -> None:
        """Wait until the budget of a role knows its pods, and lets one go."""

        async def is_so() -> bool:
            budget = await self.ask("GET", self.path("policy/v1", "poddisruptionbudgets", f"{BASE}-{role}"))
            return budget.get("status", {}).get("disruptionsAllowed", 0) == 1

        await eventually(is_so, PATIENCE_S)

    @asynccontextmanager
    async def ready_edge(self) -> AsyncIterator[int]:
        """Yield a port that leads to one of the edges that are ready, the newest, so that a suite moves early."""
        ready = [pod for pod in await self.pods("edge") if is_ready(pod)]
        if not ready:
            raise ConnectionRefusedError("no edge is ready")
        newest = max(ready, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        async with self.forwarded(newest, 8443) as port:
            yield port

    @asynccontextmanager
    async def forwarded(self, pod: dict[str, Any], port: int) -> AsyncIterator[int]:
        """Yield a port of this machine that leads to a pod's, through the API server."""
        from kr8s.asyncio.objects import Pod

        target = await Pod.get(pod["metadata"]["name"], namespace=self.namespace, api=self.api)
        async with target.portforward(port, local_port="auto") as local:
            yield local


def is_ready(pod: dict[str, Any]) -> bool:
    """Return whether a pod is ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@asynccontextmanager
async def cluster(helm: Helm) -> AsyncIterator[Cluster]:
    """Yield a namespace of the cluster that `KUBECONFIG` names, and delete it at the end."""
    repository, _, tag = os.environ["RELAY_TEST_IMAGE"].rpartition(":")
    import kr8s

    api = await kr8s.asyncio.api(kubeconfig=os.environ["KUBECONFIG"])
    one = Cluster(
        api, helm, f"relay-test-{secrets.token_hex(4)}", (repository, tag), os.environ["RELAY_TEST_REDIS_URL"]
    )
    try:
        await one.prepare()
        yield one
    finally:
        await one.end()


def reason_to_skip() -> str:
    """Return why there is nothing to test here, in a line; empty when there is."""
    kubeconfig = os.environ.get("KUBECONFIG", "")
    if not kubeconfig or not Path(kubeconfig).exists():
        return "no cluster: set KUBECONFIG to the file of one, see tests/cluster/__init__.py"
    missing = [name for name in ("RELAY_TEST_IMAGE", "RELAY_TEST_REDIS_URL") if not os.environ.get(name)]
    return f"set {' and '.join(missing)}, see tests/cluster/__init__.py" if missing else ""
