"""Errors on the wire: gRPC code, reason, metadata, and the time to wait before a retry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from presence_api.v1 import error_reason_pb2
from relay.errors import (
    ActionExpected,
    Rejected,
    RelayError,
    Replaced,
    ResumeTokenOfAnotherTenant,
    Retryable,
    SlowWatcher,
    StartExpected,
    StoreUnavailable,
    SuiteKeyRevoked,
    SuiteKeyUnknown,
    TenantRemoved,
    TooManyUsers,
    TooManyWatches,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN: Final = "presence.relay"
DETAILS_KEY: Final = "grpc-status-details-bin"

_Reason = error_reason_pb2.ErrorReason


class Goodbye(RelayError):
    """The edge ends a stream; the suite resumes."""


class ShuttingDown(Goodbye):
    """This process is stopping."""


class Rebalanced(Goodbye):
    """The stream reached its greatest age."""


class Busy(RelayError):
    """Too many calls without a verified suite key are under way."""


class MetadataTooLarge(RelayError):
    """A call's metadata exceeds the limit."""


@dataclass(frozen=True, slots=True)
class _Form:
    code: grpc.StatusCode
    reason: error_reason_pb2.ErrorReason.ValueType
    retry_after: timedelta | None = None


_FORMS: Final[Mapping[type[RelayError], _Form]] = {
    ShuttingDown: _Form(grpc.StatusCode.UNAVAILABLE, _Reason.ERROR_REASON_SHUTDOWN, timedelta(seconds=1)),
    Rebalanced: _Form(grpc.StatusCode.UNAVAILABLE, _Reason.ERROR_REASON_REBALANCE, timedelta(milliseconds=100)),
    StoreUnavailable: _Form(grpc.StatusCode.UNAVAILABLE, _Reason.ERROR_REASON_STORE_UNAVAILABLE, timedelta(seconds=2)),
    SlowWatcher: _Form(grpc.StatusCode.ABORTED, _Reason.ERROR_REASON_SLOW_WATCHER),
    ResumeTokenOfAnotherTenant: _Form(
        grpc.StatusCode.INVALID_ARGUMENT, _Reason.ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT
    ),
    StartExpected: _Form(grpc.StatusCode.INVALID_ARGUMENT, _Reason.ERROR_REASON_START_EXPECTED),
    ActionExpected: _Form(grpc.StatusCode.INVALID_ARGUMENT, _Reason.ERROR_REASON_ACTION_EXPECTED),
    SuiteKeyUnknown: _Form(grpc.StatusCode.UNAUTHENTICATED, _Reason.ERROR_REASON_SUITE_KEY_UNKNOWN),
    SuiteKeyRevoked: _Form(grpc.StatusCode.PERMISSION_DENIED, _Reason.ERROR_REASON_SUITE_KEY_REVOKED),
    TenantRemoved: _Form(grpc.StatusCode.PERMISSION_DENIED, _Reason.ERROR_REASON_TENANT_REMOVED),
    TooManyUsers: _Form(grpc.StatusCode.RESOURCE_EXHAUSTED, _Reason.ERROR_REASON_TOO_MANY_USERS),
    TooManyWatches: _Form(
        grpc.StatusCode.RESOURCE_EXHAUSTED, _Reason.ERROR_REASON_TOO_MANY_WATCHES, timedelta(minutes=1)
    ),
    Replaced: _Form(grpc.StatusCode.ABORTED, _Reason.ERROR_REASON_REPLACED, timedelta(minutes=1)),
    Busy: _Form(grpc.StatusCode.UNAVAILABLE, _Reason.ERROR_REASON_BUSY, timedelta(seconds=1)),
    MetadataTooLarge: _Form(grpc.StatusCode.RESOURCE_EXHAUSTED, _Reason.ERROR_REASON_METADATA_TOO_LARGE),
}
_BUG: Final = _Form(grpc.StatusCode.INTERNAL, _Reason.ERROR_REASON_BUG)


def advice() -> dict[str, tuple[grpc.StatusCode, timedelta | None]]:
    """Return the name of each `ErrorReason` with its gRPC code and the wait that the edge recommends to suites."""
    return {_Reason.Name(form.reason): (form.code, form.retry_after) for form in (*_FORMS.values(), _BUG)}


@dataclass(frozen=True, slots=True)
class WireError:
    """The status with which a call ends."""

    code: grpc.StatusCode
    message: str
    """Text for people who operate the suite; contains nothing internal."""
    reason: str
    """The name of an `ErrorReason`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The trailing metadata that carries reason and metadata."""
        details = [error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)]
        packed = [_packed(detail) for detail in details]
        if self.retry_after is not None:
            delay = duration_pb2.Duration()
            delay.FromTimedelta(self.retry_after)
            packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=packed)
        return ((DETAILS_KEY, status.SerializeToString()),)


def is_expected(error: BaseException) -> bool:
    """Return whether the error has a wire form. Any other error is a bug, to be logged with an incident id."""
    return type(error) in _FORMS


def forget_frames(error: BaseException) -> None:
    """Release the frames of an error's traceback, after it was logged or when it needs no logging.

    The frames refer to the data in work, perhaps a whole message, and one of them refers to the error. Only a late
    garbage collection would break that cycle.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += (one.__cause__, one.__context__)
            one.__traceback__ = one.__cause__ = one.__context__ = None


def wire_error(error: BaseException, incident: str = "") -> WireError:
    """Return the wire form of an error.

    Args:
        error: why the stream ends.
        incident: the id of the log entry, for unexpected errors.
    """
    if not isinstance(error, RelayError) or not is_expected(error):
        message = f"Something went wrong in the relay; its operator can find it in the log (incident {incident})"
        return _ending(_BUG, message, {"incident": incident})
    form = _FORMS[type(error)]
    if isinstance(error, StoreUnavailable):
        # The error's own text is about Redis, which does not concern suites.
        return _ending(form, "The relay cannot open streams at the moment; try again", {}, error.retry_after)
    metadata = error.metadata if isinstance(error, Rejected) else {}
    if isinstance(error, SlowWatcher):
        metadata = {"limit_s": str(error.args[1])} if len(error.args) > 1 else {}
    return _ending(form, str(error.args[0]), metadata, error.retry_after if isinstance(error, Retryable) else None)


def _ending(form: _Form, message: str, metadata: Mapping[str, str], retry_after: timedelta | None = None) -> WireError:
    return WireError(form.code, message, _Reason.Name(form.reason), metadata, retry_after or form.retry_after)


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
