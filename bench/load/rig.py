"""The processes of a whole relay: Valkey, the local cloud, the relay with all roles."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import httpx
import trustme

from bench.load import world
from bench.load.lateness import look, look_idly
from bench.processes import Child, cpu_s, free_port, server, valkey
from relay import app
from relay.graph.push.certificates import make
from relay.settings.load import Settings, load
from relay.settings.roles import Role, needs_of
from relay.store.custody.vault import Vault
from relay.store.sealing.keyring import KeyRing, make_ring
from relay.store.sealing.marks import RingMarks
from relay.store.server.connection import Store, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    from bench.load.lateness import Lateness
    from bench.load.world import Organisation

_START_S: Final = 900.0
"""Time limit for a relay to be ready; long enough with a faster clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running local cloud.

    Attributes:
        url: the address of Entra and Graph.
        ca_pem: the CA to trust for it.
        control: its control surface.
        world: the tenants.
        folder: a temporary folder for related processes.
        pid: its process id.
        hooks: the CA that it trusts for webhooks' certificates.
    """

    url: str
    ca_pem: str
    control: httpx.Client
    world: Sequence[Organisation]
    folder: Path
    pid: int
    hooks: trustme.CA


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A running relay, with its own Valkey.

    Attributes:
        address: where suites connect, with `ca_pem` to trust.
        suite_keys: one for each organisation.
        child: its process, or that of the edge if each role has its own.
        children: name of each process of the relay -> the process.
        redis_url: the URL of its Valkey.
        pids: name of a process -> its id.
    """

    address: str
    ca_pem: bytes
    suite_keys: list[str]
    child: Child
    children: Mapping[str, Child]
    redis_url: str
    pids: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A running relay against a local cloud.

    Attributes:
        address: where suites connect, with `ca_pem` to trust.
        suite_keys: one for each organisation.
        control: the cloud's control surface.
        pids: name of a process -> its id.
    """

    address: str
    ca_pem: bytes
    suite_keys: list[str]
    control: httpx.Client
    relay: Child
    idle: Child
    pids: dict[str, int] = field(default_factory=dict)

    def lateness(self) -> tuple[Lateness, Lateness]:
        """Return the lateness of the relay's event loop and of an idle process's, since the last call."""
        return self.relay.ask("lateness"), self.idle.ask("lateness")

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds of each process so far."""
        spent = cpu_s(self.pids.values())
        return {name: spent[pid] for name, pid in self.pids.items()}


@contextmanager
def at_work(world_of: Sequence[Organisation], *, day: bool = False, **switches: object) -> Iterator[Rig]:
    """Run a cloud and a relay that has admitted all tenants of a world.

    Args:
        world_of: the tenants.
        day: whether people live a working day; otherwise they do nothing.
        switches: switches of the cloud.
    """
    with ExitStack() as stack:
        site = stack.enter_context(cloud(world_of, "--day" if day else "", **switches))
        relay = stack.enter_context(relay_beside(site, watched=True))
        idle = stack.enter_context(Child(look_idly))
        yield Rig(
            address=relay.address, ca_pem=relay.ca_pem, suite_keys=relay.suite_keys, control=site.control,
            relay=relay.child, idle=idle, pids={**relay.pids, "cloud": site.pid},
        )  # fmt: skip


@contextmanager
def cloud(world_of: Sequence[Organisation], *flags: str, **switches: object) -> Iterator[Site]:
    """Run a local cloud while the context lasts.

    Args:
        world_of: its tenants.
        flags: further command-line options.
        switches: switches of the cloud.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        world.write(folder / "world.json", world_of)
        hooks = trustme.CA()
        hooks.cert_pem.write_to_path(folder / "hooks.pem")
        port = free_port()
        options = {
            "port": port, "world": folder / "world.json", "ca-dir": folder / "cloud", "parent-pid": os.getpid(),
            "switches": json.dumps(switches), "ready-file": (ready := folder / "ready"),
            "notification-ca": folder / "hooks.pem",
        }  # fmt: skip
        command = [sys.executable, "-m", "emulator", *(flag for flag in flags if flag)]
        command += [part for option, value in options.items() for part in (f"--{option}", str(value))]
        with server(command, port, folder / "cloud.log", ready) as pid:
            url, ca_pem = f"https://127.0.0.1:{port}", (folder / "cloud" / "ca.pem").read_text()
            context = ssl.create_default_context(cadata=ca_pem)
            with httpx.Client(base_url=f"{url}/_emulator/", verify=context, trust_env=False, timeout=60) as control:
                yield Site(
                    url=url, ca_pem=ca_pem, control=control, world=world_of, folder=folder, pid=pid, hooks=hooks
                )  # fmt: skip


@contextmanager
def relay_beside(
    site: Site,
    *,
    client_id: str = world.CLIENT_ID,
    push: bool = False,
    watched: bool = False,
    apart: bool = False,
    each_role: bool = False,
    groups: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Iterator[Relay]:
    """Run a relay that has admitted all tenants of a cloud.

    Args:
        site: the cloud.
        client_id: the relay's application.
        push: whether it subscribes to change notifications, and runs the webhook that receives them.
        watched: whether its event loop is sampled for its lateness.
        apart: whether presence has a separate server, which need not sync each write.
        each_role: whether edge and worker have a process each.
        groups: further settings, by group.
    """
    folder = site.folder / client_id
    folder.mkdir()
    with ExitStack() as servers:
        url, valkey_pid = servers.enter_context(valkey(folder, durable=not apart))
        vault_url = servers.enter_context(valkey(folder, "custody"))[0] if apart else None
        ring = make_ring("bench", now_s=0)
        tokens = [world.consents(site.control, each, client_id) for each in site.world]
        suite_keys = asyncio.run(_admit(StoreSettings(url=url, vault_url=vault_url), ring, site, tokens, client_id))
        authority = trustme.CA()
        given = _given(url, ring, site, authority, client_id)
        given["vault"] = {**given["vault"], "redis_url": vault_url}
        for name, more in groups.items():
            given[name] = {**given.get(name, {}), **more}
        roles = [Role.EDGE, Role.WORKER]
        if push:
            given["webhook"] = _hook(folder, site.hooks)
            roles.append(Role.WEBHOOK)
        processes = {str(role): [role] for role in reversed(roles)} if each_role else {"relay": roles}
        children = {
            name: servers.enter_context(Child(_relay, given, some, watched)) for name, some in processes.items()
        }
        ports = {name: child.hear(_START_S) for name, child in children.items()}
        edge = str(Role.EDGE) if each_role else "relay"
        yield Relay(
            address=f"localhost:{ports[edge]}", ca_pem=authority.cert_pem.bytes(), suite_keys=suite_keys,
            child=children[edge], children=children, redis_url=url,
            pids={**{name: child.pid for name, child in children.items()}, "valkey": valkey_pid},
        )  # fmt: skip


async def _admit(
    where: StoreSettings, ring: str, site: Site, tokens: Sequence[Mapping[str, str]], client_id: str
) -> list[str]:
    async with Store(where) as store:
        vault, marks = Vault(store, KeyRing.from_json(ring)), RingMarks(KeyRing.from_json(ring))
        pairs = zip(site.world, tokens, strict=True)
        return [await world.admit(store, vault, marks, site.url, each, found, client_id) for each, found in pairs]


def _given(url: str, ring: str, site: Site, authority: trustme.CA, client_id: str) -> dict[str, Mapping[str, Any]]:
    cert = authority.issue_cert("localhost")
    return {
        "redis": {"url": url},
        "vault": {"key_ring": ring},
        "cloud": {
            "name": "custom", "authority_url": site.url, "graph_url": site.url, "ca": site.ca_pem,
            "client_id": client_id, "client_secret": world.SECRET,
        },
        "edge": {"host": "127.0.0.1", "port": 0, "drain_delay": timedelta(0), **_tls(cert)},
        "ops": {"host": "127.0.0.1", "port": 0},
    }  # fmt: skip


def _hook(folder: Path, authority: trustme.CA) -> dict[str, Any]:
    """Return the webhook's settings; the port is chosen here, because the workers need the address before it runs."""
    certificates, port = folder / "certificates", free_port()
    certificates.mkdir()
    (certificates / "bench.pem").write_bytes(make("bench", datetime.now(UTC)))
    return {
        "url": f"https://localhost:{port}", "host": "127.0.0.1", "port": port, "certificates": str(certificates),
        **_tls(authority.issue_cert("localhost")),
    }  # fmt: skip


def _tls(cert: trustme.LeafCert) -> dict[str, str]:
    return {
        "tls_key": cert.private_key_pem.bytes().decode(),
        "tls_cert": "".join(pem.bytes().decode() for pem in cert.cert_chain_pems),
    }


# ---- the relay's process


def _relay(pipe: Connection, given: Mapping[str, Mapping[str, Any]], roles: Sequence[Role], watched: bool) -> None:  # noqa: FBT001
    settings = load(needs_of(roles), given)
    app.until_signalled(lambda stop: _run(pipe, settings, roles, stop, watched=watched))


async def _run(
    pipe: Connection, settings: Settings, roles: Sequence[Role], stop: asyncio.Event, *, watched: bool
) -> None:
    async with asyncio.TaskGroup() as tasks:
        if watched:
            tasks.create_task(look(pipe))
        await app.run(settings, roles, stop, lambda running: pipe.send(running.edge_port))
