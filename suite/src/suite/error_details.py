"""Parse and encode the details of a gRPC error: `google.rpc.Status` with `ErrorInfo` and `RetryInfo`.

The messages have not changed for years. Their generated code is in a separate distribution, which a suite would need only for
these three. The field numbers are those of `google/rpc/status.proto` and `google/rpc/error_details.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from suite.values import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

_TYPES: Final = "type.googleapis.com/google.rpc."
_STATUS_CODE, _STATUS_MESSAGE, _STATUS_DETAILS = 1, 2, 3
_ERROR_INFO_REASON, _ERROR_INFO_DOMAIN, _ERROR_INFO_METADATA = 1, 2, 3
_MAP_KEY, _MAP_VALUE = 1, 2
_RETRY_INFO_DELAY: Final = 1


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """The details of one error. A field that the server did not send is empty or None."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_delay: timedelta | None = None


def parse_error_details(status: bytes, domain: str) -> ErrorDetails:
    """Parse the trailer `grpc-status-details-bin`. Returns empty details when it cannot be decoded.

    Args:
        status: the encoded `google.rpc.Status`.
        domain: the domain of the `ErrorInfo` to read; any other is ignored.
    """
    try:
        details = [AnyMessage.FromString(value) for number, value in _fields(status) if number == _STATUS_DETAILS]
        reason, metadata, delay = "", {}, None
        for detail in details:
            match detail.type_url.rpartition("/")[2]:
                case "google.rpc.ErrorInfo" if _text(detail.value, _ERROR_INFO_DOMAIN) == domain:
                    reason = _text(detail.value, _ERROR_INFO_REASON)
                    entries = [value for number, value in _fields(detail.value) if number == _ERROR_INFO_METADATA]
                    metadata = {_text(entry, _MAP_KEY): _text(entry, _MAP_VALUE) for entry in entries}
                case "google.rpc.RetryInfo":
                    delays = [value for number, value in _fields(detail.value) if number == _RETRY_INFO_DELAY]
                    delay = span(Duration.FromString(delays[-1])) if delays else None
    except (DecodeError, UnicodeDecodeError, TypeError):  # TypeError: a number where bytes belong
        return ErrorDetails()
    return ErrorDetails(reason, metadata, delay)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of an encoded message. `Empty` has no fields, so it keeps them all as unknown ones."""
    fields = UnknownFieldSet(Empty.FromString(message))
    return ((fields[index].field_number, fields[index].data) for index in range(len(fields)))


def _text(message: bytes, wanted: int) -> str:
    values = [value for number, value in _fields(message) if number == wanted]
    return bytes(values[-1]).decode() if values else ""


def encode_error_details(
    code: int,
    message: str,
    reason: str,
    domain: str,
    metadata: Mapping[str, str],
    retry_after: timedelta | None,
) -> bytes:
    """Return the trailer `grpc-status-details-bin` with these details."""
    entries = b"".join(
        _field(_ERROR_INFO_METADATA, _field(_MAP_KEY, key.encode()) + _field(_MAP_VALUE, value.encode()))
        for key, value in metadata.items()
    )
    info = _field(_ERROR_INFO_REASON, reason.encode()) + _field(_ERROR_INFO_DOMAIN, domain.encode()) + entries
    details = [AnyMessage(type_url=f"{_TYPES}ErrorInfo", value=info)]
    if retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(retry_after)
        retry = _field(_RETRY_INFO_DELAY, delay.SerializeToString())
        details.append(AnyMessage(type_url=f"{_TYPES}RetryInfo", value=retry))
    status = bytes([_STATUS_CODE << 3, code]) + _field(_STATUS_MESSAGE, message.encode())
    return status + b"".join(_field(_STATUS_DETAILS, detail.SerializeToString()) for detail in details)


def _field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field. Its number must be below 16, so that the tag is one byte."""
    length = bytearray()
    left = len(content)
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return bytes([number << 3 | 2]) + bytes(length) + content
