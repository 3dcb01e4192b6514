"""What redis-py's exceptions mean to the relay."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from redis.exceptions import (
    ClusterDownError,
    ConnectionError,  # noqa: A004
    InvalidResponse,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004
    TryAgainError,
)

from relay.errors import Bug, HistoryLost, LeaseLost, NotPermitted, StoreUnavailable
from relay.store.forbidden import refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNAVAILABLE: Final = (ConnectionError, TimeoutError, ReadOnlyError, ClusterDownError, TryAgainError, InvalidResponse)
# Answers of a server that is alive but cannot serve now. redis-py turns some of them into the types above, not all, and
# none of them when they come out of a script.
_UNAVAILABLE_CODES: Final = frozenset(
    {
        "READONLY",
        "UNBLOCKED",
        "LOADING",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "NOREPLICAS",
        "MISCONF",
        "OOM",
        "BUSY",
    }
)
_NO_PERMISSION: Final = "NOPERM"
_SCRIPT_NO_PERMISSION: Final = "ACL failure in script"
_LEASE_LOST: Final = "LEASELOST"
_HISTORY_LOST: Final = "HISTORYLOST"


@contextmanager
def translated(what: str = "command", about: Sequence[object] = (), user: str = "") -> Iterator[None]:
    """Raise the relay's errors for redis-py's. Their texts carry the code only: a reply may quote arguments.

    Args:
        what: runs.
        about: the keys or the whole command; of what Redis does not permit the kinds of keys are told.
        user: the Redis user; empty: the server's default one.

    Also raises the cancellation that redis-py lost: before Python 3.12 `asyncio.wait_for`, which it sends through, swallows
    one that arrives in the moment in which its inner task is done (python/cpython#86296), and a loop that is to end
    would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        with _translated(what, about, user):
            yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


@contextmanager
def _translated(what: str, about: Sequence[object], user: str) -> Iterator[None]:
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailable(f"The store does not answer ({type(error).__name__})") from error
    except NoPermissionError as error:
        raise NotPermitted(refused(what, about, user, str(error))) from None
    except ResponseError as error:
        code = code_of(error)
        if code == _NO_PERMISSION or _SCRIPT_NO_PERMISSION in str(error):  # redis-py knows it from commands alone
            raise NotPermitted(refused(what, about, user, str(error))) from None
        if code == _LEASE_LOST:
            raise LeaseLost("The partition has another owner now") from None
        if code == _HISTORY_LOST:
            raise HistoryLost("The partition has another history now") from None
        if code in _UNAVAILABLE_CODES:
            raise StoreUnavailable(f"The store cannot serve now ({code})") from error
        raise Bug(f"The store refused {what} ({code})") from error
    except RedisError as error:
        raise Bug(f"The store refused {what} ({type(error).__name__})") from error
    except OSError as error:
        raise StoreUnavailable(f"The store cannot be reached ({type(error).__name__})") from error


def code_of(error: Exception) -> str:
    """The first word of a server's error: `WRONGTYPE`, `ERR`."""
    return (str(error).split(maxsplit=1) or [""])[0].lstrip("-").rstrip(":")
