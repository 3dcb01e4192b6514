"""The preflight: checks commands and settings of a Redis server, to decide whether it can be trusted with the relay's data."""

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
    """Return the faults of one server, in an operator's words.

    Args:
        node: the server.
        where: what the operator calls it, with its address.
        key: which it must take a write to; None for a node of a cluster that has no partition.
        replicas: how many replicas must acknowledge a durable write.
        custody: whether grants, suite keys and tenants are kept there.

    Raises:
        StoreUnavailable: nobody can tell at present, because it does not answer, is a replica or takes no writes.
    """
    try:
        async with node.asked("the preflight", [key] if key is not None else []):
            role = (await on(node.client)("INFO", "replication")).get("role")
            if role != "master":
                raise NotPrimary("is a replica")  # noqa: TRY301  whom it leads to may change while one waits
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
        # As it should be: who may read the settings may read passwords among them. The operator's user may.
        settings = await _shown_settings(client)
    if settings.get("maxmemory-policy") != "noeviction":
        policy = settings.get("maxmemory-policy")
        faults.append(f"{where}: maxmemory-policy is {policy}, under which data may vanish; set it to noeviction")
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
            "set appendfsync always, or keep custody on a server of its own"
        )
    if replicas > 0 and settings.get("min-replicas-to-write", "0") == "0":
        faults.append(
            f"{where}: min-replicas-to-write is 0, so a cut-off primary would go on; set min-replicas-to-write 1"
        )
    return faults


async def first_written(execute: Execute, key: bytes, value: bytes) -> bytes | None:
    """Return what a key holds, and write `value` if it holds nothing; None when it holds nothing and this user may not write it."""
    found: bytes | None = await execute("GET", key)
    if found is None:
        is_written = False
        # Who may not write it leaves it to a worker.
        with suppress(NoPermissionError):
            is_written = bool(await execute("SET", key, value, "NX"))
        found = value if is_written else await execute("GET", key)
    return found


async def partition_faults(execute: Execute, where: str) -> list[str]:
    """Return the fault of servers that have data in another number of partitions, if that is so."""
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
    """Return the settings as far as INFO shows them: not `appendfsync`."""
    info = await on(client)("INFO", "replication", "persistence", "memory")
    return {
        "appendonly": "yes" if info.get("aof_enabled") == 1 else "no",
        "maxmemory-policy": str(info.get("maxmemory_policy")),
        "min-replicas-to-write": "1" if "min_slaves_good_slaves" in info else "0",
    }


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
