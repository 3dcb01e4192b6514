"""The relay's processes as in production, one role each, and what stands around them; any of them can be killed.

Redis ◄── edge, worker-1, worker-2, webhook (`presence-relay serve ROLE`) ──► the local cloud (`python -m emulator`)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import trustme

from emulator.demo import CLIENT_ID, SECRET
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.errors import RelayError
from relay.graph.push.certificates import make
from relay.graph.settings import GraphSettings
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.presence.subscriptions import Subscriptions
from relay.store.server.connection import Store, StoreSettings
from tests.chaos.servers import RedisServers, StandaloneServer
from tests.graph.consents import consent
from tests.support.otlp import Collector, collecting
from tests.support.outputs import KNOWN, said, said_by
from tests.support.ring import MARKS, RING, RING_JSON
from tests.support.valkey import UNTIL_PARENT_DIES, free_port

_START_S = 150.0
"""Seven processes at once, on a machine that does other work."""
OTLP: Final = "RELAY_TELEMETRY_OTLP_ENDPOINT"
TRACED: Final = "0.2"
"""Share of the work that is traced, to have its spans searched."""
ROLES = {"edge": "edge", "worker-1": "worker", "worker-2": "worker", "webhook": "webhook"}
"""Process -> the role it runs, of a relay as small as one that outlives a worker can be."""


class Process:
    """One process that can be started again; what it says goes to a file, and `environment` has its settings."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self.environment = dict(environment)
        self.log = log
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        command = [sys.executable, "-S", "-c", UNTIL_PARENT_DIES, str(os.getpid()), *self._command]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                command, env={**kept, **self.environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def twin(self, log: Path, **changes: str) -> Process:
        """Return another process with the same command and environment but for these variables; an empty one is left out."""
        environment = {name: value for name, value in {**self.environment, **changes}.items() if value}
        return Process(self._command, environment, log)

    def kill(self) -> None:
        """Kill -9."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, when it runs."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(number)

    def terminate(self, within_s: float = 60.0) -> int:
        """SIGTERM, and wait for its end; returns the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        assert self._popen is not None
        self._popen.terminate()
        code = self._popen.wait(within_s)
        self._popen = None
        return code

    def died(self) -> str:
        """Why it is not running although nobody killed it; empty when all is well."""
        if self._popen is None or self._popen.poll() is None:
            return ""
        return f"{self.log.name} ended with {self._popen.returncode}: {self.log.read_text(errors='replace')[-2000:]}"


@dataclass
class CloudAddress:
    """What a browser and the Graph adapter need of a cloud that runs elsewhere."""

    url: str
    ca_pem: bytes


@dataclass
class Relay:
    """A whole relay.

    Attributes:
        control: the local cloud's control surface.
        address: where suites connect, `ca_pem` to trust.
        hook: the webhook's port.
        store: where the relay keeps everything.
        servers: the Redis that it is in.
        ops: process -> the port of its health and metrics.
        collector: that the processes send their spans to; None where the settings name another.
        keys: suite keys that were issued.
    """

    folder: Path
    cloud: CloudAddress
    control: httpx.AsyncClient
    store: Store
    vault: Vault
    address: str
    ca_pem: bytes
    processes: dict[str, Process]
    hook: int
    servers: RedisServers
    ops: dict[str, int] = field(default_factory=dict)
    collector: Collector | None = None
    keys: list[str] = field(default_factory=list)

    async def is_ready(self, name: str) -> bool:
        with suppress(httpx.HTTPError):
            # A client of its own for each question would read the system's authorities each time.
            return (await self.control.get(f"http://127.0.0.1:{self.ops[name]}/readyz", timeout=2)).status_code == 200
        return False

    async def ready(self, *names: str) -> None:
        """Wait until these processes, all when none is named, are ready."""
        deadline = time.monotonic() + _START_S
        for name in names or self.ops:
            while not await self.is_ready(name):
                if time.monotonic() > deadline or self.processes[name].died():
                    raise AssertionError(self.processes[name].died() or f"{name} did not become ready")
                await asyncio.sleep(0.05)

    async def ask(self, method: str, path: str, /, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """Ask the local cloud's control surface."""
        answer = await self.control.request(method, path, json=body, params=query)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def onboard(self, who: str) -> TenantId:
        """Consent, and keep what came of it."""
        new = await consent(self.cloud, graph_settings(self.cloud), who)  # type: ignore[arg-type]
        now = datetime.now(UTC)
        tenants = Tenants(self.store)
        if await tenants.load(new.tenant_id) is None:
            await tenants.put(Tenant(tenant_id=new.tenant_id, state=TenantState.ACTIVE, created=now))
        account = UserId(new.account_id)
        await self.vault.save(
            Grant(
                tenant_id=new.tenant_id, account_id=account, upn=new.upn, token_cache=new.token_cache, created=now
            ),
            NEW,
        )  # fmt: skip
        return new.tenant_id

    async def secrets(self) -> dict[str, str]:
        """Return what no process may say: secrets of the settings, suite keys, client states, and the refresh token of each grant."""
        found = {**KNOWN, **{f"suite key {number}": key.split("_", 2)[2] for number, key in enumerate(self.keys, 1)}}
        for pem in (self.folder / "key.pem", self.folder / "certificates" / "first.pem"):
            body = pem.read_text().partition("PRIVATE KEY-----")[2].split()
            found[f"the key in {pem.name}"] = body[1] if len(body) > 1 else ""
        with suppress(RelayError):  # a run may end without its Redis; what is known of it then is in the list already
            for tenant in await Tenants(self.store).list():
                for grant in await self.vault.list(tenant.tenant_id):
                    tokens = json.loads(grant.token_cache or "{}").get("RefreshToken", {})
                    found |= {f"a token of {grant.upn}": each["secret"] for each in tokens.values()}
                for route in await Subscriptions(self.store).of(tenant.tenant_id):
                    found[f"the client state of {route.subscription_id}"] = route.client_state
        return found

    async def leaks(self, **more: str) -> list[tuple[str, str]]:
        """Return who said a secret or a presence, and what: a process in its log, or any of them in a span.

        Args:
            more: words for something else that nobody may say -> that.
        """
        known = {**await self.secrets(), **more}
        found = [
            (name, told)
            for name, process in self.processes.items()
            if name != "cloud"
            for told in said(process.log.read_text(errors="replace"), known)
        ]
        spans = self.collector.spans if self.collector is not None else []
        return found + [("a span", told) for told in said_by(spans, known)]

    async def suite_key(self, tenant: TenantId) -> str:
        self.keys.append((await SuiteKeys(self.store, MARKS).issue(tenant, "console")).text)
        return self.keys[-1]


def graph_settings(cloud: CloudAddress) -> GraphSettings:
    return GraphSettings(
        client_id=CLIENT_ID,
        client_secret=SECRET,
        authority_url=cloud.url,
        graph_url=cloud.url,
        ca_pem=cloud.ca_pem.decode(),
    )


@asynccontextmanager
async def at_work(
    folder: Path,
    *,
    speed: float,
    switches: Mapping[str, Any],
    settings: Mapping[str, str],
    roles: Mapping[str, str] = ROLES,
    cloud_port: int = 0,
    servers: RedisServers | None = None,
    own: Mapping[str, Mapping[str, str]] | None = None,
    weakened: Mapping[str, str] | None = None,
    world: Path | None = None,
) -> AsyncIterator[Relay]:
    """A relay with nobody in it yet. When it ends, its logs and spans are searched for secrets and presence.

    Args:
        folder: an empty one.
        speed: of the local cloud's world.
        switches: of the local cloud.
        settings: `RELAY_…` variables of every role, beside the addresses, keys and certificates given here.
        roles: process -> the role, or `all`, that it runs.
        cloud_port: of the local cloud; 0: any.
        servers: the Redis that it is in, which must be started; None: a server of its own.
        own: process -> settings that it alone has, and other variables.
        weakened: process -> the rule of `tests.chaos.weakened` that it breaks.
        world: the file of the local cloud's world; None: the demo.
    """
    async with AsyncExitStack() as stack:
        redis = servers or await stack.enter_async_context(StandaloneServer(folder))
        ca_pem = _certificates(folder)
        ports = {"cloud": cloud_port or free_port(), "edge": free_port(), "hook": free_port()}
        collector = stack.enter_context(collecting()) if OTLP not in settings else None
        given = {
            **({OTLP: collector.url, "RELAY_TELEMETRY_TRACE_SHARE": TRACED} if collector is not None else {}),
            "RELAY_REDIS_URL": redis.url,
            "RELAY_VAULT_REPLICAS": str(redis.replicas),
            **_settings(folder, ports),
            **settings,
        }
        ops = {name: free_port() for name in roles}
        processes = {"cloud": Process(_cloud(folder, ports["cloud"], speed, switches, world), {}, folder / "cloud.log")}
        for name, role in roles.items():
            environment = {**given, "RELAY_OPS_PORT": str(ops[name]), **(own or {}).get(name, {})}
            command = _command(role, (weakened or {}).get(name, ""))
            processes[name] = Process(command, environment, folder / f"{name}.log")
        for process in processes.values():
            stack.callback(process.kill)
        await _started(processes, folder / "cloud.ready")
        cloud = CloudAddress(f"https://127.0.0.1:{ports['cloud']}", (folder / "cloud" / "ca.pem").read_bytes())
        context = ssl.create_default_context(cadata=cloud.ca_pem.decode())
        control = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"{cloud.url}/_emulator/", verify=context, trust_env=False, timeout=20)
        )
        store = await stack.enter_async_context(Store(StoreSettings(url=redis.url, replicas=redis.replicas)))
        relay = Relay(
            folder, cloud, control, store, Vault(store, RING), f"127.0.0.1:{given['RELAY_EDGE_PORT']}", ca_pem, processes,
            int(given["RELAY_WEBHOOK_PORT"]), redis, ops, collector,
        )  # fmt: skip
        await relay.ready()
        yield relay
        assert await relay.leaks() == []


def _certificates(folder: Path) -> bytes:
    """Write what edge and webhook need, and return the authority that suites and Graph trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "certificates").mkdir()
    (folder / "certificates" / "first.pem").write_bytes(make("first", datetime.now(UTC)))
    return authority.cert_pem.bytes()


def _settings(folder: Path, ports: Mapping[str, int]) -> dict[str, str]:
    cloud_url = f"https://127.0.0.1:{ports['cloud']}"
    return {
        "RELAY_VAULT_KEY_RING": RING_JSON,
        "RELAY_CLOUD": "custom",
        "RELAY_CLOUD_AUTHORITY_URL": cloud_url,
        "RELAY_CLOUD_GRAPH_URL": cloud_url,
        "RELAY_CLOUD_CA_FILE": str(folder / "cloud" / "ca.pem"),
        "RELAY_CLOUD_CLIENT_ID": CLIENT_ID,
        "RELAY_CLOUD_CLIENT_SECRET": SECRET,
        "RELAY_EDGE_HOST": "127.0.0.1",
        "RELAY_EDGE_PORT": str(ports["edge"]),
        "RELAY_EDGE_TLS_CERT_FILE": str(folder / "chain.pem"),
        "RELAY_EDGE_TLS_KEY_FILE": str(folder / "key.pem"),
        "RELAY_EDGE_DRAIN_DELAY": "0s",
        "RELAY_WEBHOOK_URL": f"https://127.0.0.1:{ports['hook']}",
        "RELAY_WEBHOOK_HOST": "127.0.0.1",
        "RELAY_WEBHOOK_PORT": str(ports["hook"]),
        "RELAY_WEBHOOK_TLS_CERT_FILE": str(folder / "chain.pem"),
        "RELAY_WEBHOOK_TLS_KEY_FILE": str(folder / "key.pem"),
        "RELAY_WEBHOOK_CERTIFICATES": str(folder / "certificates"),
        "RELAY_OPS_HOST": "127.0.0.1",
    }


def _cloud(folder: Path, port: int, speed: float, switches: Mapping[str, Any], world: Path | None) -> list[str]:
    options = {
        "port": port, "ca-dir": folder / "cloud", "notification-ca": folder / "ca.pem", "speed": speed,
        "switches": json.dumps(dict(switches)), "ready-file": folder / "cloud.ready", "world": world or "demo",
    }  # fmt: skip
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "emulator", *arguments]


def _command(role: str, rule: str) -> list[str]:
    if rule:
        return [sys.executable, "-m", "tests.chaos.weakened", rule, "serve", role]
    return [str(Path(sys.executable).parent / "presence-relay"), "serve", role]


async def _started(processes: Mapping[str, Process], cloud_is_ready: Path) -> None:
    processes["cloud"].start()
    while not cloud_is_ready.exists():  # noqa: ASYNC240  a look at a file of this machine
        if trouble := processes["cloud"].died():
            raise AssertionError(trouble)
        await asyncio.sleep(0.02)
    for name, process in processes.items():
        if name != "cloud":
            process.start()
