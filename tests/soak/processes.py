"""The relay's processes as in production, one role each, and what stands around them; any of them can be killed.

Valkey ◄── edge, worker-1, worker-2, webhook (`presence-relay serve ROLE`) ──► the local cloud (`python -m emulator`)
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
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import trustme

from emulator.demo import CLIENT_ID, SECRET
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId, UserId
from relay.graph.push.certificates import make
from relay.graph.settings import GraphSettings
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenant, Tenants
from relay.store.custody.vault import NEW, Grant, Vault
from relay.store.sealing.keyring import KeyRing
from relay.store.server.connection import Store, StoreSettings
from tests.graph.consents import consent
from tests.support.ring import MARKS, RING_JSON
from tests.support.valkey import UNTIL_PARENT_DIES, ValkeyServer, free_port

_START_S = 60.0
ROLES = {"edge": "edge", "worker-1": "worker", "worker-2": "worker", "webhook": "webhook"}
"""Process -> the role it runs."""


class Process:
    """One process that can be started again; what it says goes to a file."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = dict(environment)
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
                command, env={**kept, **self._environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

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

    def terminate(self) -> int:
        """SIGTERM, and wait for its end; returns the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end within a minute.
        """
        assert self._popen is not None
        self._popen.terminate()
        code = self._popen.wait(60)
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
        valkey: its server.
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
    valkey: ValkeyServer
    ops: dict[str, int] = field(default_factory=dict)

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

    async def suite_key(self, tenant: TenantId) -> str:
        return (await SuiteKeys(self.store, MARKS).issue(tenant, "console")).text


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
    redis_port: int = 0,
    own: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Relay]:
    """A relay with nobody in it yet.

    Args:
        folder: an empty one.
        speed: of the local cloud's world.
        switches: of the local cloud.
        settings: `RELAY_…` variables of every role, beside the addresses, keys and certificates given here.
        roles: process -> the role, or `all`, that it runs.
        cloud_port: of the local cloud; 0: any.
        redis_port: of Valkey; 0: any.
        own: process -> settings that it alone has.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "certificates").mkdir()
    (folder / "certificates" / "first.pem").write_bytes(make("first", datetime.now(UTC)))
    ring = RING_JSON
    cloud_port, edge_port, hook_port = cloud_port or free_port(), free_port(), free_port()
    processes: dict[str, Process] = {}
    (folder / "valkey").mkdir()
    with ValkeyServer(folder / "valkey", redis_port or None) as valkey:
        given = {
            "RELAY_REDIS_URL": valkey.url,
            "RELAY_VAULT_KEY_RING": ring,
            "RELAY_CLOUD": "custom",
            "RELAY_CLOUD_AUTHORITY_URL": f"https://127.0.0.1:{cloud_port}",
            "RELAY_CLOUD_GRAPH_URL": f"https://127.0.0.1:{cloud_port}",
            "RELAY_CLOUD_CA_FILE": str(folder / "cloud" / "ca.pem"),
            "RELAY_CLOUD_CLIENT_ID": CLIENT_ID,
            "RELAY_CLOUD_CLIENT_SECRET": SECRET,
            "RELAY_EDGE_HOST": "127.0.0.1",
            "RELAY_EDGE_PORT": str(edge_port),
            "RELAY_EDGE_TLS_CERT_FILE": str(folder / "chain.pem"),
            "RELAY_EDGE_TLS_KEY_FILE": str(folder / "key.pem"),
            "RELAY_EDGE_DRAIN_DELAY": "0s",
            "RELAY_WEBHOOK_URL": f"https://127.0.0.1:{hook_port}",
            "RELAY_WEBHOOK_HOST": "127.0.0.1",
            "RELAY_WEBHOOK_PORT": str(hook_port),
            "RELAY_WEBHOOK_TLS_CERT_FILE": str(folder / "chain.pem"),
            "RELAY_WEBHOOK_TLS_KEY_FILE": str(folder / "key.pem"),
            "RELAY_WEBHOOK_CERTIFICATES": str(folder / "certificates"),
            "RELAY_OPS_HOST": "127.0.0.1",
            **settings,
        }
        options = {
            "port": cloud_port, "ca-dir": folder / "cloud", "notification-ca": folder / "ca.pem", "speed": speed,
            "switches": json.dumps(dict(switches)), "ready-file": folder / "cloud.ready",
        }  # fmt: skip
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        processes["cloud"] = Process([sys.executable, "-m", "emulator", *arguments], {}, folder / "cloud.log")
        ops = {name: free_port() for name in roles}
        for name, role in roles.items():
            command = [str(Path(sys.executable).parent / "presence-relay"), "serve", role]
            environment = {**given, "RELAY_OPS_PORT": str(ops[name]), **(own or {}).get(name, {})}
            processes[name] = Process(command, environment, folder / f"{name}.log")
        try:
            processes["cloud"].start()
            while not (folder / "cloud.ready").exists():
                if trouble := processes["cloud"].died():
                    raise AssertionError(trouble)
                await asyncio.sleep(0.02)
            for name in roles:
                processes[name].start()
            cloud = CloudAddress(given["RELAY_CLOUD_AUTHORITY_URL"], (folder / "cloud" / "ca.pem").read_bytes())
            context = ssl.create_default_context(cadata=cloud.ca_pem.decode())
            async with (
                httpx.AsyncClient(
                    base_url=f"https://127.0.0.1:{cloud_port}/_emulator/", verify=context, trust_env=False, timeout=20
                ) as control,
                Store(StoreSettings(url=valkey.url)) as store,
            ):
                relay = Relay(
                    folder, cloud, control, store, Vault(store, KeyRing.from_json(ring)), f"127.0.0.1:{edge_port}",
                    authority.cert_pem.bytes(), processes, hook_port, valkey,
                    ops,
                )  # fmt: skip
                await relay.ready()
                yield relay
        finally:
            for process in processes.values():
                process.kill()
