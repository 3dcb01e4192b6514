"""The ends of streams: a gRPC code, and the protocol's reason, which decides the console's reaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc

from suite.error_details import encode_error_details
from suite.explain import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(eq=False)
class StreamRefused(Exception):
    """The end of a stream. The message is for users of the console.

    Attributes:
        reason: the name of an `ErrorReason`.
        retry_after: the wait that the console should make; None for none.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """Return the trailing metadata with the reason."""
        status = encode_error_details(
            self.code.value[0], self.message, self.reason, DOMAIN, self.metadata, self.retry_after
        )
        return (("grpc-status-details-bin", status),)


_Code = grpc.StatusCode


def shutting_down() -> StreamRefused:
    """Return the end of a stream because the agent stops."""
    return StreamRefused(
        _Code.UNAVAILABLE, "ERROR_REASON_SHUTDOWN", "The agent is stopping.", retry_after=timedelta(seconds=1)
    )


def begins_anew() -> StreamRefused:
    """Return the end of a stream because the answers of another relay follow."""
    return StreamRefused(
        _Code.UNAVAILABLE,
        "ERROR_REASON_REBALANCE",
        "The agent's settings changed. Open another stream.",
        retry_after=timedelta(milliseconds=100),
    )


def slow(limit_s: float) -> StreamRefused:
    """Return the end of a stream whose console does not read."""
    message = f"One write was blocked for {limit_s:g} s."
    return StreamRefused(_Code.ABORTED, "ERROR_REASON_SLOW_WATCHER", message, {"limit_s": f"{limit_s:g}"})


def start_expected(message: str) -> StreamRefused:
    """Return the end of a stream that did not begin with a start."""
    return StreamRefused(_Code.INVALID_ARGUMENT, "ERROR_REASON_START_EXPECTED", message)


def action_expected(message: str) -> StreamRefused:
    """Return the end of a stream with a request that is not a change."""
    return StreamRefused(_Code.INVALID_ARGUMENT, "ERROR_REASON_ACTION_EXPECTED", message)


def key_unknown() -> StreamRefused:
    """Return the end of a call without the agent's token."""
    message = "This is not the agent's token. It is in the file that Agent.TokenFile names."
    return StreamRefused(_Code.UNAUTHENTICATED, "ERROR_REASON_SUITE_KEY_UNKNOWN", message)


def busy() -> StreamRefused:
    """Return the end of a call from an address with too many wrong tokens."""
    message = "Too many wrong tokens came from this address."
    return StreamRefused(_Code.UNAVAILABLE, "ERROR_REASON_BUSY", message, retry_after=timedelta(minutes=1))


def too_many_users(limit: int, per: str) -> StreamRefused:
    """Return the end of a stream with too many users. `per` is `message`, `stream` or `tenant`."""
    message = f"The limit is {limit:,} users a {per}."
    return StreamRefused(
        _Code.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_USERS", message, {"limit": str(limit), "per": per}
    )


def too_many_streams(limit: int) -> StreamRefused:
    """Return the end of a call because the limit of open streams is reached."""
    return StreamRefused(
        _Code.RESOURCE_EXHAUSTED,
        "ERROR_REASON_TOO_MANY_WATCHES",
        f"{limit:,} streams are open. Agent.Consoles allows no more.",
        {"limit": str(limit), "per": "tenant_at_edge"},
        timedelta(minutes=1),
    )


def replaced() -> StreamRefused:
    """Return the end of a stream because a newer one of the same program replaced it."""
    message = "A newer stream of the same program replaced this one."
    return StreamRefused(_Code.ABORTED, "ERROR_REASON_REPLACED", message, retry_after=timedelta(minutes=1))


def bug() -> StreamRefused:
    """Return the end of a stream because of a bug in the agent."""
    return StreamRefused(_Code.INTERNAL, "ERROR_REASON_BUG", "The agent has a bug; its log has the details.")
