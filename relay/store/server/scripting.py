"""Lua scripts: read from the package once, run by their hash.

Each file is in the folder of the module that runs it, in a package of `relay.store`. Its name is unique in
`relay.store`. A file begins with a header, which ends at the first empty line. The header describes the script, lists
the parts that it uses, and names each key and each argument:

    -- Extend a lease. Returns 0 when it is lost.
    -- uses: lease
    local lease = KEYS[1]
    local lease_value = ARGV[1]
    local first_pair = 2  -- ARGV[2...]: (name, value) pairs

A part (`_lease.lua`) is inserted after the header of each script that uses it. If it uses keys or arguments, it begins
with `-- needs: lease, lease_value` and uses these names. The Python call uses the names too (see `Script`), not
positions.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoScriptError

from relay.errors import Bug

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from redis.asyncio import Redis

    Execute = Callable[..., Awaitable[Any]]

Arg = bytes | str | int | float
"""The types that redis-py can encode."""

_COMMANDS: Final = re.compile(r"redis\.p?call\(\s*'([A-Z]+)'")
_USES: Final = re.compile(r"^-- uses: ([a-z_, ]+)$", re.MULTILINE)
_NEEDS: Final = re.compile(r"\A-- needs: ([a-z_, ]+)$", re.MULTILINE)
_ONE: Final = re.compile(r"^local ([a-z_]+) = (KEYS|ARGV)\[(\d+)\]", re.MULTILINE)
_REST: Final = re.compile(r"^local first_[a-z_]+ = (\d+)  -- (KEYS|ARGV)\[\1\.\.\.\]: ", re.MULTILINE)


@cache
def files() -> Mapping[str, Traversable]:
    """Return every script file of the store, by its name."""
    packages = [each for each in resources.files("relay.store").iterdir() if each.is_dir()]
    return {
        file.name.removesuffix(".lua"): file
        for package in packages
        for file in package.iterdir()
        if file.name.endswith(".lua")
    }


def _read(name: str) -> str:
    return files()[name].read_text(encoding="utf-8")


def on(client: Redis) -> Execute:
    """Return the function that runs commands on `client`. (redis-py leaves it untyped.)"""
    return client.execute_command


@dataclass(frozen=True, slots=True)
class Header:
    """The keys and arguments of a script, by name and in order."""

    keys: tuple[str, ...]
    args: tuple[str, ...]
    more_keys: bool
    """True if more keys follow those with names."""
    more_args: bool
    uses: tuple[str, ...]
    """The parts, without their underscore."""


def _header(name: str, text: str) -> Header:
    """Read a header. Raises Bug unless it numbers keys and arguments from 1, each once."""
    names: dict[str, list[str]] = {"KEYS": [], "ARGV": []}
    for match in _ONE.finditer(text):
        local, kind, number = match.groups()
        names[kind].append(local)
        if int(number) != len(names[kind]):
            raise Bug(f"{name}.lua: {kind}[{number}] is not in its place")
    rest = {kind: int(number) for number, kind in _REST.findall(text)}
    for kind, number in rest.items():
        if number != len(names[kind]) + 1:
            raise Bug(f"{name}.lua: {kind}[{number}...] is not in its place")
    keys, args = tuple(names["KEYS"]), tuple(names["ARGV"])
    if len({*keys, *args}) != len(keys) + len(args):
        raise Bug(f"{name}.lua: a name is used twice")
    return Header(keys, args, "KEYS" in rest, "ARGV" in rest, _split(_USES.search(text)))


def _split(found: re.Match[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in found[1].split(",")) if found is not None else ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a script: its keys and arguments, in the script's order."""

    script: Script
    keys: Sequence[bytes]
    args: Sequence[Arg]

    @property
    def command(self) -> tuple[Any, ...]:
        """The command that runs the call on a server that knows the script."""
        return (self.script.command, self.script.sha, len(self.keys), *self.keys, *self.args)

    async def run(self, execute: Execute) -> Any:
        """Run the call with `execute`. If the server does not know the script (a new server), load it first."""
        try:
            return await execute(*self.command)
        except NoScriptError:
            # Not EVAL: Redis users may run only the relay's scripts, by their hashes.
            await execute("SCRIPT", "LOAD", self.script.source)
            return await execute(*self.command)


class Script:
    """One script with the parts it uses. Calling it with keys and arguments by name returns an unsent `Call`.

    renew = Script("lease_renew")
    await store.run(renew(lease=keys.lease(7), lease_value=b"...", ttl_ms=15_000))
    """

    __slots__ = ("command", "commands", "header", "name", "sha", "source")

    def __init__(self, name: str, *, reads_only: bool = False, text: str | None = None) -> None:
        """Read a script.

        Args:
            name: name of its file.
            reads_only: whether it only reads. The server enforces that, and the user needs no right to write its keys.
            text: the script, if it has no file.
        """
        self.name = name
        self.command = "EVALSHA_RO" if reads_only else "EVALSHA"
        head, _, body = (_read(name) if text is None else text).partition("\n\n")
        self.header = _header(name, head)
        parts = [_read(f"_{part}") for part in self.header.uses]
        known = {*self.header.keys, *self.header.args}
        if missing := {need for part in parts for need in _split(_NEEDS.search(part))} - known:
            raise Bug(f"{name}.lua: its parts need {sorted(missing)}")
        self.source = "\n".join([head, *parts, body]).encode()
        self.commands = frozenset(_COMMANDS.findall(self.source.decode()))
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()

    def __call__(self, *more: Arg, more_keys: Sequence[bytes] = (), **values: Any) -> Call:
        """Return a call of this script.

        Args:
            more: arguments after those with names.
            more_keys: keys after those with names.
            values: every key and argument that the header names.

        Raises:
            Bug: the names are not exactly those of the header.
        """
        header = self.header
        try:
            keys = [values[name] for name in header.keys]
            args = [values[name] for name in header.args]
        except KeyError as error:
            raise Bug(f"{self.name}.lua needs {error.args[0]}") from None
        if (
            len(values) != len(keys) + len(args)
            or (more and not header.more_args)
            or (more_keys and not header.more_keys)
        ):
            raise Bug(f"{self.name}.lua is given more than it names: {sorted(values)}")
        return Call(self, [*keys, *more_keys], [*args, *more])
