"""Runs `presence-relay dev`: servers, certificates, a tenant with consent, all roles, and prints the next command."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from relay import app
from relay.consent.by_hand import take_in
from relay.core.consent.grants import GrantState
from relay.core.consent.tenant import TenantState
from relay.core.presence import TenantId
from relay.dev import children
from relay.dev.browser import sign_in_and_consent
from relay.dev.docs import docs_link
from relay.dev.folder import DevTrouble, Folder
from relay.errors import ConsentRequired, Rejected
from relay.graph.auth.consent import Consent
from relay.graph.client import GraphClient
from relay.http.paths import CALLBACK, CONSOLE
from relay.settings.load import load, overridden, ports
from relay.settings.roles import Role, needs_of
from relay.store.custody.marking import Marking
from relay.store.custody.suite_keys import SuiteKeys
from relay.store.custody.tenants import Tenants
from relay.store.custody.vault import Vault
from relay.store.sealing.marks import RingMarks
from relay.worker.cloud import Cloud

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Mapping

    from relay.settings.load import Settings
    from relay.store.sealing.keyring import KeyRing
    from relay.store.server.connection import Store

ROLES: Final = tuple(Role)
REDIRECT_PORT: Final = 8400
REDIRECT_URI: Final = f"http://localhost:{REDIRECT_PORT}{CALLBACK}"
SPEED: Final = 30.0
"""Simulated seconds per second: half an hour a minute, so that each idle state lasts longer than a poll interval."""

_CONNECTIONS: Final = 100  # of suites; they need few descriptors
_GOODBYE: Final = timedelta(seconds=1)
"""Drain time: short, because suites cannot move to another edge here, and Ctrl-C should be quick."""
_SHOWN: Final = ("ada", "ben", "chloe", "david", "emma", "farid")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """The options of the command line.

    Attributes:
        state: the folder with the files kept between runs.
        microsoft: the operator's own app registration (fields of `CloudConfig`); None uses the local cloud.
        log_level: the lowest level that is logged.
    """

    state: Path
    microsoft: Mapping[str, Any] | None = None
    log_level: str = "warning"


async def dev(options: DevOptions, stop: asyncio.Event, say: Callable[[str], None]) -> None:
    """Run a relay on this machine until `stop` is set.

    Raises:
        DevTrouble: the relay cannot run here; the text states the reason.
        SettingsInvalid: settings are wrong.
        PreflightFailed: see `app.run`.
    """
    folder = Folder(options.state)
    with folder.locked() as lock:
        await _Session(options, folder, lock, stop, say).run()


class _Session:
    """One run of `presence-relay dev`."""

    def __init__(
        self, options: DevOptions, folder: Folder, lock: int, stop: asyncio.Event, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._folder = folder
        self._lock = lock
        self._stop = stop
        self._say = say
        self._ports = folder.ports(ports())
        self._trouble = ""

    async def run(self) -> None:
        folder, ports = self._folder, self._ports
        folder.certificate()
        settings = self._settings()
        async with AsyncExitStack() as stack:
            watchers = await stack.enter_async_context(_Watchers())
            server = await stack.enter_async_context(children.valkey(folder, self._lock))
            watchers.add(self._watch(server, "Valkey", "valkey.log"))
            if self._options.microsoft is None:
                cloud = children.local_cloud(folder, ports["cloud"], self._lock, (REDIRECT_URI, self._callback), SPEED)
                process = await stack.enter_async_context(cloud)
                watchers.add(self._watch(process, "The local Microsoft cloud", "cloud.log"))
            self._write_environment(settings)
            lines = await self._prepare(settings)
            roles = [role for role in ROLES if role is not Role.WEBHOOK or settings.webhook.url is not None]
            await app.run(settings, roles, self._stop, lambda running: self._say(self._greeting(running, lines)))
        if self._trouble:
            raise DevTrouble(self._trouble)

    def _settings(self) -> Settings:
        given = {group: dict(fields) for group, fields in self._given().items()}
        if names := [name for name in overridden(given) if not name.endswith("_PORT")]:
            self._say(f"Set, but not used by this command, which has values of its own: {', '.join(names)}.\n")
        given["log"] = {"format": "text", "level": self._options.log_level}
        return load(needs_of(ROLES), given)

    def _given(self) -> Mapping[str, Mapping[str, Any]]:
        folder, ports = self._folder, self._ports
        chain, key = folder.certificate()
        # The real cloud cannot reach a machine behind a router: set RELAY_WEBHOOK_… to an address that it can reach.
        webhook = self._local_webhook() if self._options.microsoft is None else {}
        return {
            "redis": {"url": folder.redis_url},
            "vault": {"key_ring": folder.key_ring()},
            "cloud": self._local_cloud() if self._options.microsoft is None else self._options.microsoft,
            "edge": {
                "host": "127.0.0.1",
                "port": ports["edge"],
                "tls_cert": chain.read_text(),
                "tls_key": key.read_text(),
                "drain_delay": _GOODBYE,
                "connections": _CONNECTIONS,
            },
            "web": {
                "host": "127.0.0.1",
                "port": ports["web"],
                "public_url": self._pages,
                "suite_address": f"127.0.0.1:{ports['edge']}",
                "suite_ca_file": _shell(folder.ca_file),
                "tls_cert": chain.read_text(),
                "tls_key": key.read_text(),
                "sign_up": "open",  # no operator approves tenants here
            },
            "webhook": webhook,
            "console": {
                "host": "127.0.0.1",
                "port": ports["console"],
                "url": self._console,
                "tls_cert": chain.read_text(),
                "tls_key": key.read_text(),
                "token": folder.console_token(),
            },
            "ops": {"host": "127.0.0.1", "port": ports["ops"]},
        }

    def _local_webhook(self) -> Mapping[str, Any]:
        chain, key = self._folder.certificate()
        return {
            "url": f"https://127.0.0.1:{self._ports['webhook']}",
            "certificates": str(self._folder.notification_certificates()),
            "host": "127.0.0.1",
            "port": self._ports["webhook"],
            "tls_cert": chain.read_text(),
            "tls_key": key.read_text(),
        }

    @property
    def _pages(self) -> str:
        # Not the loopback address: with a name, browsers separate cookies from other ports' and send a proper Host.
        return f"https://localhost:{self._ports['web']}"

    @property
    def _console(self) -> str:
        return f"https://localhost:{self._ports['console']}"

    @property
    def _callback(self) -> str:
        return f"{self._pages}/onboarding/callback"

    def _local_cloud(self) -> Mapping[str, Any]:
        from emulator.demo import CLIENT_ID, SECRET

        url = f"https://127.0.0.1:{self._ports['cloud']}"
        return {
            "name": "custom",
            "authority_url": url,
            "graph_url": url,
            "ca": self._folder.ca_file.read_text(),
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
        }

    async def _prepare(self, settings: Settings) -> list[str]:
        """Provide a tenant and a suite key; return the lines to print about them."""
        async with app.reached(settings.store_settings(), self._stop) as store:
            if store is None:
                return []
            if self._options.microsoft is None:
                tenant_id = await _demonstration_tenant(store, settings)
                await self._suite_key(store, tenant_id, settings.key_ring())
                return self._watch_lines()
            return [*await _unmarked_lines(store, settings.key_ring()), *await self._microsoft_lines(store)]

    async def _suite_key(self, store: Store, tenant_id: TenantId, ring: KeyRing) -> None:
        """Return the key of the last run, or a new one."""
        keys = SuiteKeys(store, RingMarks(ring))
        try:
            if (await keys.verify(self._folder.read_key())).tenant_id == tenant_id:
                return
        except Rejected:
            pass
        issued = await keys.issue(tenant_id, "presence-relay dev")
        self._folder.write(self._folder.key_file.name, issued.text.encode() + b"\n")

    def _watch_lines(self) -> list[str]:
        names = " ".join(f"{name}@contoso.example" for name in _SHOWN)
        return ["Watch some colleagues, in another shell:", "", f"  {self._suite_command(names)}"]

    async def _microsoft_lines(self, store: Store) -> list[str]:
        lines = [
            f"Register the redirect URI {REDIRECT_URI} (type Web) in the app registration.",
            "Onboard a tenant, in another shell. The command prints its suite key:",
            "",
            f"  . {_shell(self._folder.path / 'relay.env')}; {_command('presence-relay')} tenants onboard",
        ]
        if any(tenant.state is TenantState.ACTIVE for tenant in await Tenants(store).list()):
            lines += ["", "Then save the key in a file that only you can read, and watch:"]
        else:
            lines += ["", "Then, with that key in a file that only you can read:"]
        return [*lines, "", f"  {self._suite_command('COLLEAGUE@YOUR-ORGANISATION', 'KEY-FILE')}"]

    def _suite_command(self, names: str, key_file: str = "") -> str:
        key_file = key_file or _shell(self._folder.key_file)
        address = f"127.0.0.1:{self._ports['edge']}"
        files = f"--ca-file {_shell(self._folder.ca_file)} --key-file {key_file}"
        return f"{_command('presence-suite')} watch {names} --address {address} {files}"

    def _greeting(self, running: app.Running, lines: list[str]) -> str:
        local = f"https://127.0.0.1:{self._ports['cloud']} (a local cloud, where people live a fast working day)"
        return "\n".join(
            [
                "The presence relay is running.",
                "",
                f"  suites       127.0.0.1:{running.edge_port}, gRPC over TLS",
                f"  Microsoft    {local if self._options.microsoft is None else 'the real cloud'}",
                f"  changes      {self._source_of_changes(running)}",
                f"  onboarding   {self._pages}/onboarding{self._onboarding_hint()}",
                f"  tenant page  {self._pages}/onboarding/tenant (sign in with an account that consented)",
                f"  console      {self._console}{CONSOLE}#token={self._folder.console_token()} (for the operator)",
                f"  docs         {docs_link()}",
                f"  health       http://127.0.0.1:{running.ops_port}/readyz, metrics at /metrics",
                f"  data         {_shell(self._folder.path)}",
                "",
                *lines,
                "",
                "Press Ctrl-C to stop.",
            ]
        )

    def _source_of_changes(self, running: app.Running) -> str:
        if running.webhook_port is None:
            return "polling; notifications need RELAY_WEBHOOK_URL, an address that Microsoft can reach"
        return f"notifications to 127.0.0.1:{running.webhook_port}, and polling"

    def _onboarding_hint(self) -> str:
        if self._options.microsoft is None:
            return " (onboard Fabrikam: the sign-in page lists its accounts)"
        return f" (register {self._callback}, type Web)"

    def _write_environment(self, settings: Settings) -> None:
        """Write the settings for operators' commands against this relay, as a file for the shell."""
        folder = self._folder.path.resolve()
        values: dict[str, object] = {
            "RELAY_REDIS_URL": self._folder.redis_url,
            "RELAY_VAULT_KEY_RING_FILE": folder / "key-ring.json",
            "RELAY_CLOUD": settings.cloud.name,
            "RELAY_CLOUD_CLIENT_ID": settings.cloud.client_id,
            "RELAY_CLOUD_AUTHORITY_URL": settings.cloud.authority_url,
            "RELAY_CLOUD_GRAPH_URL": settings.cloud.graph_url,
            "RELAY_CLOUD_CA_FILE": folder / "ca.pem" if settings.cloud.ca is not None else None,
            "RELAY_EDGE_TLS_CERT_FILE": folder / "server.pem",
            "RELAY_EDGE_TLS_KEY_FILE": folder / "server.key",
            "RELAY_WEBHOOK_URL": settings.webhook.url,
            "RELAY_WEBHOOK_CERTIFICATES": settings.webhook.certificates
            and Path(settings.webhook.certificates).resolve(),
            "RELAY_LOG_FORMAT": "text",
        }
        credential = settings.cloud.client_secret or settings.cloud.private_key
        assert credential is not None
        is_secret = settings.cloud.client_secret is not None
        self._folder.write("credential", credential.get_secret_value().encode())
        values["RELAY_CLOUD_CLIENT_SECRET_FILE" if is_secret else "RELAY_CLOUD_PRIVATE_KEY_FILE"] = (
            folder / "credential"
        )
        if settings.cloud.certificate is not None:
            self._folder.write("credential.pem", settings.cloud.certificate.encode())
            values["RELAY_CLOUD_CERTIFICATE_FILE"] = folder / "credential.pem"
        lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in values.items() if value is not None]
        self._folder.write("relay.env", "".join(lines).encode())

    async def _watch(self, process: Process, name: str, log: str) -> None:
        """Stop everything when a server that the relay needs has ended."""
        await process.wait()
        if not self._stop.is_set():
            self._trouble = f"{name} has ended unexpectedly; see {_shell(self._folder.path / log)}."
            self._stop.set()


class _Watchers:
    """Tasks that last as long as the context."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work, name="dev-child"))

    async def __aenter__(self) -> _Watchers:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _unmarked_lines(store: Store, ring: KeyRing) -> list[str]:
    """Return the advice about suite keys of a release before marks."""
    faults = (await Marking(store, RingMarks(ring)).census()).faults()
    return [*faults, "Suites with them are refused until you run: presence-relay suite-keys mark", ""] if faults else []


async def _demonstration_tenant(store: Store, settings: Settings) -> TenantId:
    """Provide the demonstration tenant with a working grant: that of the last run, or a new one."""
    from emulator.demo import demo
    from emulator.generate import PASSWORD

    contoso = next(iter(demo().tenants.values()))
    tenant_id = TenantId(contoso.tenant_id)
    vault = Vault(store, settings.key_ring())
    graph = settings.graph_settings()
    if await _is_at_work(store, vault, settings, tenant_id):
        return tenant_id
    async with GraphClient(graph) as client, Consent(client) as consent:
        flow = await consent.begin(REDIRECT_URI)
        account = f"presence-relay@{contoso.domain}"
        answer = await sign_in_and_consent(
            flow.authorize_url, REDIRECT_URI, username=account, password=PASSWORD, ca_pem=graph.ca_pem or ""
        )
        new = await consent.complete(flow.kept, answer)
        return (await take_in(store, settings.key_ring(), client, new)).tenant_id


async def _is_at_work(store: Store, vault: Vault, settings: Settings, tenant_id: TenantId) -> bool:
    """Return True if an earlier run admitted the tenant and one of its grants still works."""
    tenant = await Tenants(store).load(tenant_id)
    if tenant is None or tenant.state is not TenantState.ACTIVE:
        return False
    async with Cloud(settings.graph_settings(), vault) as cloud:
        for grant in await vault.list(tenant_id):
            if grant.state is GrantState.DEAD or grant.sealed_shut:
                continue
            try:
                await cloud.tokens.refresh(grant.token_grant)
            except ConsentRequired:
                continue
            return True
    return False


def _command(name: str) -> str:
    """Return the shell words that run one of our commands from here."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found is not None and Path(found).resolve() == beside.resolve():
        return name
    return _shell(beside) if beside.exists() else name


def _shell(path: Path) -> str:
    """Return a path quoted for the shell."""
    near = Path(os.path.relpath(path.absolute()))
    return shlex.quote(str(path.absolute() if near.parts[:1] == ("..",) else near))
