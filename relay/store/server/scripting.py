"""Lua scripts: read from the package once, run by their hash.

Each file is beside the module that runs it, in a package of `relay.store`, and its name is used once among all of them. A file may
begin with `-- uses: lease, append`: those files (`_lease.lua`, `_append.lua`) are put before it.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from redis.asyncio import Redis

    Execute = Callable[..., Awaitable[Any]]

Arg = bytes | str | int | float
"""What redis-py can encode."""

_COMMANDS = re.compile(r"redis\.p?call\('([A-Z]+)'")
_USES = re.compile(r"-- uses: ([a-z_, ]+)\n")


@cache
def files() -> Mapping[str, Traversable]:
    """Every script file of the store, by its name."""
    packages = [each for each in resources.files("relay.store").iterdir() if each.is_dir()]
    return {
        file.name.removesuffix(".lua"): file
        for package in packages
        for file in package.iterdir()
        if file.name.endswith(".lua")
    }


def _text(name: str) -> str:
    return files()[name].read_text(encoding="utf-8")


def on(client: Redis) -> Execute:
    """What runs commands on `client`. (redis-py leaves it untyped.)"""
    return client.execute_command


class Script:
    """One script with what it uses. Nothing is sent to the server before it is first run."""

    __slots__ = ("command", "commands", "name", "sha", "source")

    def __init__(self, name: str, *, reads_only: bool = False) -> None:
        """Read a script.

        Args:
            name: of its file.
            reads_only: it writes nothing, which the server then holds it to; who runs it needs no right to write its keys.
        """
        self.name = name
        self.command = "EVALSHA_RO" if reads_only else "EVALSHA"
        text = _text(name)
        uses = _USES.match(text)
        shared = [_text(f"_{part.strip()}") for part in uses[1].split(",")] if uses else []
        self.source = "\n".join([*shared, text]).encode()
        self.commands = frozenset(_COMMANDS.findall(self.source.decode()))
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()

    async def run(self, execute: Execute, keys: Sequence[bytes], args: Sequence[Arg]) -> Any:
        """Run through `execute`; a server that does not know the script (a new one, or after a failover) is given it."""
        try:
            return await execute(self.command, self.sha, len(keys), *keys, *args)
        except NoScriptError:
            # Not EVAL: Redis users may run the relay's scripts by their hashes, and no text of their own.
            await execute("SCRIPT", "LOAD", self.source)
            return await execute(self.command, self.sha, len(keys), *keys, *args)
