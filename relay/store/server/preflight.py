"""The preflight: checks whether the commands and settings of a Redis server are safe for the relay's data."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, ResponseError

from relay.errors import NotPermitted, NotPrimary, StoreUnavailable
from relay.store.server import keys
from relay.store.server.scripting import on

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from relay.store.server.node import Node
    from relay.store.server.scripting import Execute

_SETTINGS = ("appendonly", "appendfsync", "maxmemory-policy", "min-replicas-to-write")


async def check(node: Node, where: str, key: bytes | None, *, replicas: int, custody: bool) -> list[str]:
    """Return the faults of one server, as text for operators.

    Args:
        node: the server.
        where: the operator's name for it, with its address.
        key: the key of a test write; None for a cluster node without a partition.
        replicas: number of replicas that must acknowledge a durable write.
        custody: whether the server stores grants, suite keys and tenants.

    Raises:
        StoreUnavailable: the server does not answer, is a replica or accepts no writes.
    """
    try:
        async with node.asked("the preflight", [key] if key is not None else []):
            role = (await on(node.client)("INFO", "replication")).get("role")
            if role != "master":
                raise NotPrimary("is a replica")  # noqa: TRY301
            if key is not None:
                await on(node.client)("SET", key, 1, "NX")
            return await _faults(node.client, where, replicas if custody else 0, custody=custody)
    except NotPrimary:
        raise NotPrimary(
            f"{where}: is a replica; unless a failover is under way, give the address of the primary"
        ) from None
    except NotPermitted as refusal:
        return [f"{where}: {refusal}"]
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{where}: {error}") from error


async def _faults(client: Redis, where: str, replicas: int, *, custody: bool) -> list[str]:
    faults = []
    try:
        settings = await _settings(client)
    except NoPermissionError:
        # Normal: the right to read settings includes passwords, so only the operator's user has it.
        settings = await _shown_settings(client)
    if settings.get("maxmemory-policy") != "noeviction":
        policy = settings.get("maxmemory-policy")
        faults.append(f"{where}: maxmemory-policy is {policy}, which lets Redis delete data; set it to noeviction")
    if custody:
        faults += await _durability_faults(client, where, settings, replicas)
    return faults


async def _durability_faults(client: Redis, where: str, settings: dict[str, str], replicas: int) -> list[str]:
    faults = []
    if not await _knows_waitaof(client):
        faults.append(f"{where}: does not know WAITAOF; Redis 7.2 or newer, or Valkey, is needed to keep grants")
    if settings.get("appendonly") != "yes":
        faults.append(f"{where}: appendonly is off, so a restart would lose grants and suite keys; set appendonly yes")
    if settings.get("appendfsync", "always") != "always":
        faults.append(
            f"{where}: appendfsync is {settings.get('appendfsync')}, which acknowledges writes before they are on disk; "
            "set appendfsync always, or keep custody on a separate server"
        )
    if replicas > 0 and settings.get("min-replicas-to-write", "0") == "0":
        faults.append(
            f"{where}: min-replicas-to-write is 0, so a cut-off primary takes writes; set min-replicas-to-write 1"
        )
    return faults


async def first_written(execute: Execute, key: bytes, value: bytes) -> bytes | None:
    """Return the value of a key, after writing `value` if it has none; None if this user may not write it."""
    found: bytes | None = await execute("GET", key)
    if found is None:
        is_written = False
        # A role without the right leaves the write to a worker.
        with suppress(NoPermissionError):
            is_written = bool(await execute("SET", key, value, "NX"))
        found = value if is_written else await execute("GET", key)
    return found


async def partition_faults(execute: Execute, where: str) -> list[str]:
    """Return a fault if the servers hold data in a different number of partitions."""
    found = await first_written(execute, keys.PARTITION_COUNT, str(keys.PARTITIONS).encode())
    if found in (None, str(keys.PARTITIONS).encode()):
        return []
    shown = found.decode(errors="replace")[:20]
    return [
        f"{where}: holds data in {shown} partitions, this relay uses {keys.PARTITIONS}; it belongs to another release"
    ]


async def _knows_waitaof(client: Redis) -> bool:
    try:
        await on(client)("WAITAOF", 0, 0, 0)
    except NoPermissionError:
        raise
    except ResponseError:
        return False
    return True


async def _settings(client: Redis) -> dict[str, str]:
    pipe = client.pipeline(transaction=False)
    for name in _SETTINGS:
        pipe.config_get(name)
    replies: list[Any] = await pipe.execute()
    return {_text(key): _text(value) for reply in replies for key, value in reply.items()}


async def _shown_settings(client: Redis) -> dict[str, str]:
    """Return the settings that INFO shows: all except `appendfsync`."""
    info = await on(client)("INFO", "replication", "persistence", "memory")
    return {
        "appendonly": "yes" if info.get("aof_enabled") == 1 else "no",
        "maxmemory-policy": str(info.get("maxmemory_policy")),
        "min-replicas-to-write": "1" if "min_slaves_good_slaves" in info else "0",
    }


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
