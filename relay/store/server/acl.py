"""Redis users: for each role an ACL with exactly the rights that it needs, from the key layout and its scripts.

    keys        as in `layout.FAMILIES`
    commands    those of the role's scripts, and those that it runs outside scripts
    scripts     by their hashes, so a stolen password runs no other scripts. `SCRIPT LOAD` compiles and does not run
    channels    none

A release with other scripts or keys has other rules, so load the rules again with each update. `MULTI` and `DISCARD`
are allowed, `EXEC` is not: the server checks the rights for a queued command even if the command is discarded, so
`user_rights` can find a user's rights without using them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from relay.store.server.layout import FAMILIES, Client, Side
from relay.store.server.scripting import Script

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_ALWAYS: Final = (
    "PING GET SET INFO|replication WAITAOF SCRIPT|LOAD CLIENT|SETINFO ACL|WHOAMI MULTI DISCARD CLUSTER|SLOTS ASKING"
)
"""Health checks, the check for writes, the preflight, the check of rights, and the slots of a cluster. (redis-py sends
`CLIENT SETINFO` when it connects.)"""
_STREAM: Final = "XREAD CLIENT|ID CLIENT|UNBLOCK CLIENT|TRACKING"
"""Blocking reads, see `blocking.StreamReader` and `tracking.TrackingConnection`."""
READING_SCRIPTS: Final = frozenset({"snapshot", "backup_tenant"})


@dataclass(frozen=True, slots=True)
class Runs:
    """The scripts and commands that a role runs on one side."""

    scripts: str = ""
    commands: str = ""


_WATCHING: Final = "interest_add interest_remove interest_stage interest_replace"
_KEYS: Final = "suite_key_revoke suite_key_keep suite_key_expire suite_key_rename audit_append"
_RIGHTS: Final = "manager_add manager_remove managers_settle request_put request_refuse"
_CUSTODY: Final = f"tenant_put tenant_settings tenant_state tenant_remove grant_save grant_remove admit sign_up_take notice_write {_RIGHTS} {_KEYS}"
_CUSTODY_COMMANDS: Final = (
    "HGETALL HGET HMGET SMEMBERS SADD HSET HDEL PEXPIRE DEL UNLINK GETDEL EXISTS XREVRANGE XLEN HKEYS HVALS "
    "ZADD ZREM ZREMRANGEBYSCORE ZRANGEBYSCORE ZCARD ZPOPMIN"
)

RUNS: Final[Mapping[Client, Mapping[Side, Runs]]] = {
    Client.EDGE: {
        Side.PRESENCE: Runs(f"snapshot {_WATCHING} suites_connected", f"TIME SCARD PEXPIRE RPUSH {_STREAM}"),
        Side.VAULT: Runs("suite_key_touch audit_append", "HGETALL HGET HMGET SMEMBERS DEL"),
    },
    Client.WORKER: {
        Side.PRESENCE: Runs(
            "worker_beat lease_acquire lease_renew lease_fence lease_release handover_put cursor_save epoch_renew accept name contact drop forget trim "
            "subscription_put subscription_drop push_status enforced explain_reply interest_edges inbox_append",
            f"TIME HGET HGETALL HMGET HSCAN SMEMBERS SCARD SSCAN SMISMEMBER {_STREAM}",
        ),
        Side.VAULT: Runs("grant_save grant_touch tenant_state notice_done", "HGETALL HGET HMGET SMEMBERS SREM DEL"),
    },
    Client.WEBHOOK: {
        Side.PRESENCE: Runs("inbox_append", "HGET HMGET SMEMBERS"),
        Side.VAULT: Runs(),
    },
    Client.WEB: {
        Side.PRESENCE: Runs(
            f"snapshot {_WATCHING} interest_edges inbox_append ended explain_ask",
            f"TIME HGET HGETALL HMGET HSCAN SMEMBERS SCARD SSCAN SMISMEMBER PEXPIRE LPOP {_STREAM}",
        ),
        Side.VAULT: Runs(f"{_CUSTODY} flow_replace", _CUSTODY_COMMANDS),
    },
    Client.OPERATOR: {
        Side.PRESENCE: Runs(
            f"snapshot {_WATCHING} interest_edges interest_count inbox_append ended explain_ask",
            f"TIME TYPE HGET HGETALL HMGET HSCAN SMEMBERS SCARD SSCAN SMISMEMBER LPOP CONFIG|GET {_STREAM}",
        ),
        Side.VAULT: Runs(
            f"{_CUSTODY} suite_key_mark backup_tenant reseal restore_audit restore_tenant restore_suite_key restore_finish restore_away restore_acts",
            f"{_CUSTODY_COMMANDS} SCAN XRANGE SREM XADD XTRIM CONFIG|GET",
        ),
    },
    Client.CONSOLE: {
        # The console reads everything that the operator's commands show, and changes only what its pages offer.
        Side.PRESENCE: Runs(
            "snapshot interest_edges interest_count inbox_append explain_ask",
            "TIME HGET HGETALL HMGET SMISMEMBER LPOP",
        ),
        Side.VAULT: Runs(
            "tenant_state tenant_settings notice_write managers_settle flow_replace",
            "HGETALL HGET HMGET HVALS HKEYS SMEMBERS EXISTS PEXPIRE DEL UNLINK GETDEL XREVRANGE XLEN XADD XTRIM "
            "ZADD ZREM ZREMRANGEBYSCORE ZCARD ZPOPMIN",
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rights of one user on one server."""

    patterns: tuple[tuple[str, str], ...]
    """(right, pattern): `R`, `W` or `RW`."""
    commands: frozenset[str]
    """In lower case, as `ACL SETUSER` takes them after a plus sign."""
    families: Mapping[str, str] = field(repr=False)
    """Family -> `r`, `w` or `rw`."""

    def words(self) -> list[str]:
        """Return the rights in the syntax of `ACL SETUSER`."""
        keys = [f"~{pattern}" if right == "RW" else f"%{right}~{pattern}" for right, pattern in self.patterns]
        return [*keys, "-@all", *(f"+{command}" for command in sorted(self.commands))]


def rules(clients: Collection[Client], sides: Collection[Side] = (Side.PRESENCE, Side.VAULT)) -> Rules:
    """Return the rights that these roles need on the server that has these sides.

    Args:
        clients: the roles; several if one process runs them all.
        sides: only one if the vault is on a separate server.
    """
    families: dict[str, str] = {}
    for name, family in FAMILIES.items():
        rights = {right for client in clients for right in family.rights.get(client, "")}
        if rights and any(family.side.includes(side) for side in sides):
            families[name] = "".join(sorted(rights))
    patterns = tuple((right.upper(), FAMILIES[name].pattern) for name, right in families.items())
    commands = {word for client in clients for side in sides for word in _commands(RUNS[client][side])}
    return Rules(patterns, frozenset(commands), families)


def _commands(runs: Runs) -> Iterator[str]:
    for word in f"{_ALWAYS} {runs.commands}".split():
        yield word.lower()
    for name in runs.scripts.split():
        script = Script(name, reads_only=name in READING_SCRIPTS)
        yield f"{script.command.lower()}|{script.sha}"
        yield from (command.lower() for command in script.commands - {"INFO"})


def set_user(name: str, rules: Rules, password_hash: str | None) -> str:
    """Return the command that creates or changes a user. Without a hash, an existing password is kept."""
    password = ["resetpass", f"#{password_hash}"] if password_hash else []
    return " ".join(
        ["ACL SETUSER", name, "on", *password, "resetkeys", "resetchannels", "clearselectors", *rules.words()]
    )


def add_to_user(name: str, rules: Rules) -> str:
    """Return the command that adds these rights and removes none, for two releases that run side by side."""
    words = [word for word in rules.words() if word != "-@all"]
    return " ".join(["ACL SETUSER", name, *words])


def aclfile_line(name: str, rules: Rules, password_hash: str | None) -> str:
    """Return a user as a line of an `aclfile`. Without a hash, the line has a placeholder that no server loads."""
    return " ".join(["user", name, "on", f"#{password_hash or 'SHA256-OF-PASSWORD'}", "resetchannels", *rules.words()])


def hashed(password: str) -> str:
    """Return the hash of a password for an ACL. It is not salted, so use it for long random passwords only."""
    return hashlib.sha256(password.encode()).hexdigest()


def table() -> str:
    """Return the table of rights in Markdown."""
    lines = [f"| keys | server | {' | '.join(Client)} |", "| --- | --- |" + " --- |" * len(Client)]
    for family in FAMILIES.values():
        rights = " | ".join(family.rights.get(client, "") for client in Client)
        lines.append(f"| `{family.pattern}` | {family.side} | {rights} |")
    return "\n".join(lines) + "\n"
