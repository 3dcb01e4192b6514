"""Whether a Redis server can be trusted with what the relay keeps in it: probes commands and settings, not versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from relay.store import keys
from relay.store.scripting import on

if TYPE_CHECKING:
    from redis.asyncio import Redis

_SETTINGS = ("appendonly", "appendfsync", "maxmemory-policy", "min-replicas-to-write")


async def check(client: Redis, name: str, url: str, *, replicas: int, custody: bool) -> list[str]:
    """The faults of one server, in an operator's words.

    Args:
        client: connected to it.
        name: what the operator calls it.
        url: where it is; its credentials are not repeated.
        replicas: how many replicas must acknowledge a durable write.
        custody: whether grants, suite keys and tenants are kept there.
    """
    where = f"{name} at {_place(url)}"
    try:
        role = (await on(client)("INFO", "replication")).get("role")
    except AuthenticationError:
        return [f"{where}: refuses the user name or password in its URL"]
    except (RedisError, OSError) as error:
        return [f"{where}: cannot be reached ({type(error).__name__}); check the address and that the server runs"]
    if role != "master":
        return [f"{where}: is a replica; give the address of the primary"]
    try:
        return await _faults(client, where, replicas if custody else 0, custody=custody)
    except (RedisError, OSError) as error:
        return [f"{where}: went away during the check ({type(error).__name__})"]


async def _faults(client: Redis, where: str, replicas: int, *, custody: bool) -> list[str]:
    faults = await _partition_faults(client, where)
    try:
        settings = await _settings(client)
    except ResponseError:
        return [*faults, f"{where}: refuses CONFIG GET, so its durability cannot be checked; allow `+config|get`"]
    if settings.get("maxmemory-policy") != "noeviction":
        policy = settings.get("maxmemory-policy")
        faults.append(f"{where}: maxmemory-policy is {policy}, under which data may vanish; set it to noeviction")
    if custody:
        faults += await _durability_faults(client, where, settings, replicas)
    return faults


async def _durability_faults(client: Redis, where: str, settings: dict[str, str], replicas: int) -> list[str]:
    faults = []
    if not await _knows(client, "waitaof"):
        faults.append(f"{where}: does not know WAITAOF; Redis 7.2 or newer, or Valkey, is needed to keep grants")
    if settings.get("appendonly") != "yes":
        faults.append(f"{where}: appendonly is off, so a restart would lose grants and suite keys; set appendonly yes")
    if settings.get("appendfsync") != "always":
        faults.append(
            f"{where}: appendfsync is {settings.get('appendfsync')}, which acknowledges writes before they are on disk; "
            "set appendfsync always, or keep custody on a server of its own"
        )
    if replicas > 0 and settings.get("min-replicas-to-write", "0") == "0":
        faults.append(
            f"{where}: min-replicas-to-write is 0, so a cut-off primary would go on; set min-replicas-to-write 1"
        )
    return faults


async def _partition_faults(client: Redis, where: str) -> list[str]:
    await on(client)("SET", keys.PARTITION_COUNT, keys.PARTITIONS, "NX")
    found = await on(client)("GET", keys.PARTITION_COUNT)
    if found == str(keys.PARTITIONS).encode():
        return []
    shown = found.decode(errors="replace")[:20]
    return [
        f"{where}: holds data in {shown} partitions, this relay uses {keys.PARTITIONS}; it belongs to another release"
    ]


async def _knows(client: Redis, command: str) -> bool:
    # From a script, because redis-py's own parser of COMMAND INFO stumbles over an unknown command.
    reply: Any = await client.eval(
        "local found = redis.pcall('COMMAND', 'INFO', ARGV[1]); return (found.err == nil and found[1]) and 1 or 0",
        0,
        command,
    )
    return bool(reply)


async def _settings(client: Redis) -> dict[str, str]:
    values: dict[str, str] = {}
    for name in _SETTINGS:
        reply: Any = await client.config_get(name)
        values |= {_text(key): _text(value) for key, value in reply.items()}
    return values


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _place(url: str) -> str:
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
