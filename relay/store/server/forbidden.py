"""Refusals by Redis' ACL as text for operators. Each is logged at most once a minute."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import structlog

from relay.store.server.layout import Client, family_of

if TYPE_CHECKING:
    from collections.abc import Sequence

log = structlog.get_logger(__name__)

_REFUSED_COMMAND: Final = re.compile(r"permissions? to run the '([a-z|_-]{1,40})")
_SAY_EVERY_S: Final = 60.0
_MOST_KINDS: Final = 200
"""Different refusals to remember: more than a release has scripts and commands."""
_PREFIX: Final = "relay-"

_said: dict[str, float] = {}


def refused(what: str, about: Sequence[object], user: str, said: str) -> str:
    """Return a refusal by the ACL as text, and log it, because most callers only try again later.

    Args:
        what: the name of the command or script.
        about: the keys or the whole command.
        user: the Redis user; empty for the default user.
        said: the server's text. Only the name of the command is taken from it: it may quote keys.
    """
    words = _words(what, about, user, said)
    log_refusal(user, words)
    return words


def log_refusal(user: str, words: str) -> None:
    """Log a refusal, unless it was logged within the last minute."""
    now = time.monotonic()
    if now - _said.get(words, -_SAY_EVERY_S) >= _SAY_EVERY_S and (words in _said or len(_said) < _MOST_KINDS):
        _said[words] = now
        log.error("redis_permission_denied", user=user or "default", hint=words)


def _words(what: str, about: Sequence[object], user: str, said: str) -> str:
    command = _REFUSED_COMMAND.search(said)
    names = [one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in about]
    families = sorted({family for name in names if (family := family_of(name))})
    which = f"the command {command[1]}" if command is not None else f"keys of {', '.join(families) or 'another kind'}"
    return (
        f"The Redis user {user or 'default'} may not use {which}, which {what} needs; "
        f"give it what `presence-relay redis-acl {_role(user)}` prints for this release"
    )


def _role(user: str) -> str:
    """Return the role in a user's name; `ROLE` if the name has none."""
    role = user.removeprefix(_PREFIX)
    return role if role in list(Client) else "ROLE"
