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
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import trustme

from bench.load import world
from bench.load.lateness import look, look_idly
from bench.processes import Child, cpu_s, free_port, server, valkey
from relay import app, config
from relay.config import Role
from relay.store.connection import Store, StoreSettings
from relay.store.keyring import KeyRing, make_ring
from relay.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    from bench.load.lateness import Lateness
    from bench.load.world import Organisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A relay at work.

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
        """Of the relay's event loop and of an idle process's, since the last call."""
        return self.relay.ask("lateness"), self.idle.ask("lateness")

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each process so far."""
        spent = cpu_s(self.pids.values())
        return {name: spent[pid] for name, pid in self.pids.items()}


@contextmanager
def at_work(world_of: Sequence[Organisation], *, day: bool = False, **switches: object) -> Iterator[Rig]:
    """A relay that has taken in all tenants of a world.

    Args:
        world_of: the tenants.
        day: whether people live a working day; else nobody does anything.
        switches: of the cloud.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        url, valkey_pid = stack.enter_context(valkey(folder))
        cloud, cloud_pid, cloud_ca = stack.enter_context(_cloud(folder, world_of, day=day, switches=switches))
        context = ssl.create_default_context(cadata=cloud_ca)
        control = httpx.Client(base_url=f"{cloud}/_emulator/", verify=context, trust_env=False, timeout=30)
        stack.enter_context(control)
        ring = make_ring("bench", now_s=0)
        tokens = [world.grant(control, each) for each in world_of]
        suite_keys = asyncio.run(_admit(url, ring, cloud, world_of, tokens))
        authority = trustme.CA()
        relay = stack.enter_context(Child(_relay, _given(url, ring, cloud, cloud_ca, authority)))
        port = relay.hear()
        idle = stack.enter_context(Child(look_idly))
        yield Rig(
            address=f"localhost:{port}", ca_pem=authority.cert_pem.bytes(), suite_keys=suite_keys, control=control,
            relay=relay, idle=idle, pids={"relay": relay.pid, "valkey": valkey_pid, "cloud": cloud_pid},
        )  # fmt: skip


@contextmanager
def _cloud(
    folder: Path, world_of: Sequence[Organisation], *, day: bool, switches: Mapping[str, object]
) -> Iterator[tuple[str, int, str]]:
    world.write(folder / "world.json", world_of)
    port = free_port()
    options = {
        "port": port, "world": folder / "world.json", "ca-dir": folder / "cloud", "parent-pid": os.getpid(),
        "switches": json.dumps(switches), "ready-file": (ready := folder / "ready"),
    }  # fmt: skip
    command = [sys.executable, "-m", "emulator", *(["--day"] if day else [])]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with server(command, port, folder / "cloud.log", ready) as pid:
        yield f"https://127.0.0.1:{port}", pid, (folder / "cloud" / "ca.pem").read_text()


async def _admit(url: str, ring: str, cloud: str, world_of: Sequence[Organisation], tokens: Sequence[str]) -> list[str]:
    async with Store(StoreSettings(url=url)) as store:
        vault = Vault(store, KeyRing.from_json(ring))
        pairs = zip(world_of, tokens, strict=True)
        return [await world.admit(store, vault, cloud, each, token) for each, token in pairs]


def _given(url: str, ring: str, cloud: str, cloud_ca: str, authority: trustme.CA) -> dict[str, dict[str, Any]]:
    cert = authority.issue_cert("localhost")
    return {
        "redis": {"url": url},
        "vault": {"key_ring": ring},
        "cloud": {
            "name": "custom", "authority_url": cloud, "graph_url": cloud, "ca": cloud_ca, "client_id": world.CLIENT_ID,
            "client_secret": world.SECRET,
        },
        "edge": {
            "host": "127.0.0.1", "port": 0, "drain_delay": timedelta(0), "tls_key": cert.private_key_pem.bytes().decode(),
            "tls_cert": "".join(pem.bytes().decode() for pem in cert.cert_chain_pems),
        },
        "ops": {"host": "127.0.0.1", "port": 0},
    }  # fmt: skip


# ---- the relay's process


def _relay(pipe: Connection, given: Mapping[str, Mapping[str, Any]]) -> None:
    settings = config.load(config.needs_of([Role.EDGE, Role.WORKER]), given)
    app.until_signalled(lambda stop: _run(pipe, settings, stop))


async def _run(pipe: Connection, settings: config.Settings, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look(pipe))
        await app.run(settings, [Role.EDGE, Role.WORKER], stop, lambda running: pipe.send(running.edge_port))
