"""Translation of Redis' errors into the relay's: one table of the server's error codes, and broken connections.

    PASSING     the server is up and cannot serve now       StoreUnavailable: tried again
    REPLICA     it is not the primary, or no longer         NotPrimary: tried again, on new connections
    OPERATOR    its settings refuse the relay               NotPermitted: logged for the operator, and tried again
    (none)      anything else                               Bug: the unit of work fails

A broken connection or an invalid reply means that the store is unavailable: StoreUnavailable. Exceptions of redis-py
are identified by class and code (redis-py 8 removes the code from some texts, and adds a pipeline's command). Their
texts are removed, because they may quote arguments and appear in tracebacks.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from relay.errors import Bug, HistoryLost, LeaseLost, NotPermitted, NotPrimary, StoreUnavailable
from relay.store.server.forbidden import log_refusal, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from relay.errors import RelayError


class ErrorKind(Enum):
    """The meaning of an error code; see the module."""

    PASSING = auto()
    REPLICA = auto()
    OPERATOR = auto()


_P, _R, _O = ErrorKind.PASSING, ErrorKind.REPLICA, ErrorKind.OPERATOR

CODES: Final[Mapping[str, tuple[ErrorKind, str]]] = {
    "LOADING": (_P, "is loading its data"),
    "BUSY": (_P, "is busy with a script"),
    "UNKILLABLE": (_P, "is busy with a script that it cannot end"),
    "NOSCRIPT": (_P, "lost a script right after it was loaded: another server has taken its place"),
    "OOM": (_P, "has no memory left for writes: raise its maxmemory, or find out what fills it"),
    "NOREPLICAS": (_P, "refuses writes because too few replicas are in step (min-replicas-to-write)"),
    "MISCONF": (_P, "refuses writes because it cannot save to disk: its own log says why"),
    "TRYAGAIN": (_P, "is moving data between nodes"),
    "CLUSTERDOWN": (_P, "is a cluster that is down"),
    "READONLY": (_R, "is a replica, which takes no writes"),
    "MASTERDOWN": (_R, "is a replica that has lost its primary"),
    "UNBLOCKED": (_R, "has become a replica"),
    "REDIRECT": (_R, "hands over to another server and becomes a replica"),
    "NOAUTH": (_O, "requires a password, and the relay's Redis URL has none"),
    "WRONGPASS": (_O, "refuses the user name or password in the relay's Redis URL"),
    "DENIED": (_O, "is in protected mode: give it a password"),
    "MOVED": (_O, "is a node of a Redis Cluster; give it as redis+cluster://"),
    "ASK": (_O, "is a node of a Redis Cluster; give it as redis+cluster://"),
}
"""Code -> its kind, and the rest of the sentence "The store ...". From the `shared` replies in Valkey's server.c and
from https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors. For NOPERM see `forbidden`."""

_NO_PERMISSION: Final = "NOPERM"
_SCRIPT_NO_PERMISSION: Final = "ACL failure in script"  # inside a text
_NO_CONNECTION_LEFT: Final = "max number of clients reached"  # a text without a code
_CLASSES: Final[tuple[tuple[type[RedisError], str], ...]] = (
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (TryAgainError, "TRYAGAIN"),
    (BusyLoadingError, "LOADING"),
    (NoScriptError, "NOSCRIPT"),
    (NoPermissionError, "NOPERM"),
    (AuthenticationError, "WRONGPASS"),
    (AuthorizationError, "WRONGPASS"),
)
"""Exception classes without a code, because redis-py removes it from their text; subclasses first."""
_ANSWERS: Final[Mapping[str, Callable[[], RelayError]]] = {
    "LEASELOST": lambda: LeaseLost("The partition has another owner now"),
    "HISTORYLOST": lambda: HistoryLost("The partition has another history now"),
}
"""The errors that the relay's own scripts return."""
_SHORT: Final = (
    ("No such master", "does not know the service"),
    ("cluster support disabled", "is not a node of a cluster"),
    ("unknown command", "is not a sentinel"),
)
_CODE: Final = re.compile(r"-?([A-Z][A-Z0-9_]{1,40})(?=[ :]|$)")


class Redirected(StoreUnavailable):
    """Another node of the cluster has the key, permanently (MOVED) or while its slot moves (ASK); nothing was executed.

    Attributes:
        host: host of that node; empty for the host that refused the command.
        port: port of that node.
    """

    def __init__(self, error: AskError) -> None:
        super().__init__(f"The store has the key on another node ({error.status_code})")
        self.host: str = error.host or ""
        self.port: int = error.port
        self.code = "MOVED" if isinstance(error, MovedError) else "ASK"


@contextmanager
def translated(
    what: str = "command", about: Sequence[object] = (), user: str = "", *, in_cluster: bool = False
) -> Iterator[None]:
    """Return a context that raises the relay's errors for those of a command.

    Args:
        what: the name of the command or script.
        about: the keys or the whole command; the text about a refused command shows only the kinds of keys.
        user: the Redis user; empty for the server's default user.
        in_cluster: whether the relay knows the server as a node of a cluster.

    It also raises a cancellation that redis-py lost. Before Python 3.12 `asyncio.wait_for`, which redis-py uses to
    send, discards a cancellation at the moment when its inner task is done (python/cpython#86296), and a cancelled loop
    would run forever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except (RedisError, OSError) as error:
        if in_cluster and isinstance(error, AskError):
            raise Redirected(error) from None
        raise _meaning_of(error, what, about, user) from error
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


def _meaning_of(error: RedisError | OSError, what: str, about: Sequence[object], user: str) -> RelayError:
    """Return the relay's error for an error of redis-py or of the connection; see `translated`."""
    said, code = str(error), code_of(error)
    if isinstance(error, RedisError):
        _hush(error, code)
    if isinstance(error, ResponseError) and (code == _NO_PERMISSION or _SCRIPT_NO_PERMISSION in said):
        return NotPermitted(refused(what, about, user, said))
    if code in _ANSWERS:
        return _ANSWERS[code]()
    kind, words = CODES.get(code, (None, ""))
    match kind:
        case ErrorKind.PASSING:
            return _coded(StoreUnavailable(f"The store {words} ({code})"), code)
        case ErrorKind.REPLICA:
            return _coded(NotPrimary(f"The store {words} ({code})"), code)
        case ErrorKind.OPERATOR:
            text = f"The store {words} ({code})"
            log_refusal(user, text)
            return NotPermitted(text)
    if _NO_CONNECTION_LEFT in said:
        return StoreUnavailable(
            "The store has no connection left (maxclients): raise maxclients, or find the clients that use so many"
        )
    return _without_code(error, what, code)


def _coded(error: StoreUnavailable, code: str) -> StoreUnavailable:
    error.code = code
    return error


def _without_code(error: RedisError | OSError, what: str, code: str) -> RelayError:
    name = type(error).__name__
    if isinstance(error, ConnectionError | TimeoutError | InvalidResponse):
        return StoreUnavailable(f"The store does not answer ({name})")
    if isinstance(error, RedisError):
        return Bug(f"The store refused {what} ({code or name})")
    return StoreUnavailable(f"The store cannot be reached ({name})")


def code_of(error: Exception) -> str:
    """Return the server's error code, such as `WRONGTYPE`; empty if the error is not from a server."""
    code = getattr(error, "status_code", None)
    if code in (None, "ERR"):  # ERR is ambiguous: old servers use it for a wrong password
        code = next((known for kind, known in _CLASSES if isinstance(error, kind)), code)
    if code is None and isinstance(error, ResponseError) and (found := _CODE.match(str(error))) is not None:
        code = found[1]
    return code or ""


def in_short(error: Exception) -> str:
    """Return why a sentinel or a node did not answer a status query, as a sentence without its subject."""
    code, said = code_of(error), str(error)
    for known, words in _SHORT:
        if known in said:
            return words
    if code == _NO_PERMISSION:
        return "does not permit this command to the user: give it what `presence-relay redis-acl ROLE` prints"
    if code in CODES:
        return CODES[code][1]
    return "refuses the query" if isinstance(error, ResponseError) else "does not answer"


def _hush(error: RedisError, code: str) -> None:
    """Reduce an error to its code, because it appears as the cause of the relay's error."""
    error.args = (code,) if code else ()
    if hasattr(error, "message"):
        error.message = code
