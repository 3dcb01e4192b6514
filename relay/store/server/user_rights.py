"""The rights of a Redis user, read from the server without using them.

The server checks a command against the user's ACL when it queues it in a transaction. The transaction is then
discarded. (`ACL DRYRUN` would do the same, but a user who may call it may also change users.) Refusals appear in the
server's `ACL LOG`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, ResponseError

from relay.store.server import acl
from relay.store.server.layout import FAMILIES, Side
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from redis.asyncio.connection import AbstractConnection

    from relay.store.server.layout import Client

_WIDE: Final[tuple[tuple[str, ...], ...]] = (
    ("FLUSHALL",),
    ("CONFIG", "GET", "appendonly"),
    ("CONFIG", "SET", "appendonly", "yes"),
    ("ACL", "LIST"),
    ("KEYS", "nothing"),
    ("EVAL", "return 1", "0"),
    ("MONITOR",),
    ("REPLICAOF", "NO", "ONE"),
)
"""Commands with an effect beyond keys. (None of them is executed: see above.)"""
_QUESTIONS: Final[tuple[tuple[str, ...], ...]] = (("CLUSTER", "SLOTS"), ("ASKING",), ("CLIENT", "TRACKING", "ON"))
"""Commands without a key that a cluster needs, and that users of earlier releases may lack."""
_WRITES: Final = (("SET", 1), ("HSET", 2), ("SADD", 1), ("RPUSH", 1), ("DEL", 0), ("UNLINK", 0), ("PEXPIRE", 1))
"""(command, values after the key): each set of rights that can write has one of them."""


@dataclass(frozen=True, slots=True)
class RightsDifference:
    """The difference between a user's rights and the rights that a role needs; empty if there is none."""

    more: tuple[str, ...]
    less: tuple[str, ...]
    remedy: str = ""
    """The command that adds the missing rights; empty if none are missing."""


async def compare_rights(
    connection: AbstractConnection, user: str, clients: Collection[Client], sides: Collection[Side]
) -> RightsDifference | None:
    """Compare the rights of a connection's user with those that these roles need; None if it may not run MULTI."""
    needed = acl.rules(clients, sides)
    if isinstance(await _sent(connection, "MULTI"), NoPermissionError):
        return None
    try:
        found = await _compared(connection, clients, sides, needed)
        return replace(found, remedy=acl.add_to_user(user, needed)) if found.less else found
    finally:
        await _sent(connection, "DISCARD")


async def _compared(
    connection: AbstractConnection, clients: Collection[Client], sides: Collection[Side], needed: acl.Rules
) -> RightsDifference:
    more, less = [], []
    for wide in _WIDE:
        name = "|".join(wide[:2]).lower() if wide[0] in ("CONFIG", "ACL") else wide[0].lower()
        if name not in needed.commands and await _may(connection, *wide):
            more.append(f"run {name.replace('|', ' ').upper()}")
    for name, family in FAMILIES.items():
        if not any(family.side.includes(side) for side in sides):
            continue
        key, needs = _sample(family.pattern), needed.families.get(name, "")
        reads = await _may(connection, "GET", key)
        writes = False
        for command, values in _WRITES:
            writes = writes or await _may(connection, command, key, *("x",) * values)
        for word, has, right in (("read", reads, "r"), ("write", writes, "w")):
            if has and right not in needs:
                more.append(f"{word} {name}")
            # Every set has GET. Write rights of scripts cannot be tried here.
            if right == "r" and "r" in needs and not has:
                less.append(f"{word} {name}")
    return RightsDifference(tuple(more), (*less, *[one async for one in _missing(connection, clients, sides, needed)]))


async def _missing(
    connection: AbstractConnection, clients: Collection[Client], sides: Collection[Side], needed: acl.Rules
) -> AsyncIterator[str]:
    """Yield the scripts, and the commands without a key, that the user may not run."""
    for question in _QUESTIONS:
        if "|".join(question[:2]).lower() in needed.commands and not await _may(connection, *question):
            yield f"run {' '.join(question[:2])}"
    for script in sorted(_scripts(clients, sides)):
        found = Script(script, reads_only=script in acl.READING_SCRIPTS)
        if not await _may(connection, found.command, found.sha, "0"):
            yield f"run the script {script} of this release"


def _scripts(clients: Collection[Client], sides: Collection[Side]) -> set[str]:
    return {name for client in clients for side in sides for name in acl.RUNS[client][side].scripts.split()}


def _sample(pattern: str) -> str:
    """Return an unused key of a family."""
    return pattern.replace("p??", "p00").replace("?", "0").replace("*", "nothing")


async def _may(connection: AbstractConnection, *command: str) -> bool:
    return not isinstance(await _sent(connection, *command), NoPermissionError)


async def _sent(connection: AbstractConnection, *command: str) -> Any:
    await connection.send_command(*command)
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def describe(found: RightsDifference | None, where: str, roles: Sequence[str]) -> list[tuple[bool, str]]:
    """Return for each finding whether the rights are correct, and a description for operators."""
    which = f"{where}, as {' and '.join(roles)}"
    advice = f"`presence-relay redis-acl {' '.join(roles)}` prints what it needs"
    if found is None:
        return [
            (
                True,
                f"{which}: the rights of the Redis user cannot be determined, because it may not run MULTI and DISCARD",
            )
        ]
    lines = []
    if found.less:
        lines.append(
            (
                False,
                f"{which}: the Redis user may not {', '.join(found.less)}; {advice}, or run at once: {found.remedy}",
            )
        )
    if found.more:
        lines.append((False, f"{which}: the Redis user may do more than it needs: {', '.join(found.more)}; {advice}"))
    return lines or [(True, f"{which}: the Redis user may do what it needs and no more")]
