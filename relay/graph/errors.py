"""Translates failed responses of Microsoft into relay errors, which never contain response text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from relay.core.consent.microsoft_error import MicrosoftError, parse_error
from relay.core.consent.refusals import Refusal, RefusalClass
from relay.core.pausing import LONGEST_ASKED_S
from relay.errors import (
    AccessDenied,
    ConsentRequired,
    CredentialRejected,
    RelayError,
    RequestRefused,
    SourceThrottled,
    SourceUnreachable,
    marked,
)

UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)
"""The errors of decoding untrusted JSON: invalid or of another shape, not UTF-8, a number too long, nested too deep."""

_MOST_ASKED: Final = timedelta(seconds=LONGEST_ASKED_S)


class GrantRefused(ConsentRequired):
    """A grant does not work until a person in the tenant acts.

    Attributes:
        refusal: the refusal of Entra or Graph, for the grant's health.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence, code=refusal.code)
        self.refusal = refusal


def translate(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> RelayError:
    """Return the error for an answer of Graph.

    Args:
        status: the HTTP status; a status of success here means one redirect too many or a bug, and counts as unreachable.
        body: Graph's error object, or any other value.
        headers: the headers of the answer, or of one part of a batch, in any letter case.
    """
    marks = _said(body, headers or {})
    return marked(_translated(status, error_code(body), retry_after(headers or {}), marks), marks)


def _translated(status: int, code: str, wait: timedelta | None, marks: MicrosoftError) -> RelayError:
    said = f"Graph answered {status} {code}".rstrip()
    if status in (429, 509) or (status == 503 and wait is not None):
        return SourceThrottled(said, retry_after=wait)
    if status == 401:
        return GrantRefused(
            Refusal(
                RefusalClass.CONSENT_REQUIRED, _ACCESS_REFUSED, code, heals=True, passes=True, by_graph=True, said=marks
            )
        )  # fmt: skip
    if status == 403:
        denied = Refusal(RefusalClass.DENIED, _DENIED, code, heals=True, by_graph=True, said=marks)
        return AccessDenied(said, refusal=denied)
    if 400 <= status < 500 and status not in (408, 425):
        return RequestRefused(said)
    return SourceUnreachable(said, retry_after=wait)


def from_refusal(refusal: Refusal, wait: timedelta | None = None) -> RelayError:
    """Return the error for a refusal of Entra."""
    return marked(_of_refusal(refusal, wait), refusal.said)


def _of_refusal(refusal: Refusal, wait: timedelta | None) -> RelayError:
    if refusal.kind is RefusalClass.CONSENT_REQUIRED:
        return GrantRefused(refusal)
    number = f", AADSTS{refusal.said.number}" if refusal.said.number else ""
    said = f"{refusal.sentence} ({refusal.code}{number})"
    if refusal.kind is RefusalClass.OURS:
        return CredentialRejected(said, refusal=refusal)
    if refusal.kind is RefusalClass.TEMPORARY:
        return SourceThrottled(said, retry_after=wait, refusal=refusal)
    return SourceUnreachable(said, retry_after=wait, refusal=refusal)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """Return the pause in a `Retry-After`, which has seconds or a date (RFC 9110); None without a usable value.

    A date is compared with the answer's own `Date`, because clocks differ, or with `now` if it has none.
    """
    text = _header(headers, "retry-after")
    if _SECONDS.fullmatch(text):
        return min(timedelta(seconds=float(text)), _MOST_ASKED)
    until = _date(text)
    if until is None:
        return None
    since = date_of(headers) or now or datetime.now(UTC)
    return min(max(until - since, timedelta()), _MOST_ASKED)


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Return the time of the answer by the server's own clock (`Date`); None without one."""
    return _date(_header(headers, "date"))


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "").strip()


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # for a year of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def error_code(body: bytes) -> str:
    """Graph's short name for an error (`error.code`), empty when the body has none. Never its message: that can name users."""
    try:
        return _name(_ERROR.decode(body).error.code or "")
    except UNREADABLE:
        return ""


def marks_of(headers: Mapping[str, str]) -> MicrosoftError:
    """Return Microsoft's ids of a request and its time, from the headers of the answer."""
    at = date_of(headers)
    return parse_error(
        trace_id=_header(headers, "request-id") or _header(headers, "x-ms-request-id"),
        correlation_id=_header(headers, "client-request-id"),
        time=at.strftime("%Y-%m-%d %H:%M:%SZ") if at is not None else "",
    )


def _said(body: bytes, headers: Mapping[str, str]) -> MicrosoftError:
    """Return Graph's ids of the request. Its message is left out, because it can name users."""
    told = marks_of(headers)
    try:
        inner = _ERROR.decode(body).error.inner
    except UNREADABLE:
        return told
    if inner is None:
        return told
    return parse_error(
        trace_id=inner.request_id or told.trace_id,
        correlation_id=inner.client_request_id or told.correlation_id,
        time=inner.date or told.time,
    )


class _Inner(msgspec.Struct):
    request_id: str | None = msgspec.field(name="request-id", default=None)
    client_request_id: str | None = msgspec.field(name="client-request-id", default=None)
    date: str | None = None


class _Error(msgspec.Struct):
    code: str | None = None
    inner: _Inner | None = msgspec.field(name="innerError", default=None)


class _ErrorBody(msgspec.Struct):
    error: _Error


_ERROR: Final = msgspec.json.Decoder(_ErrorBody)
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_ACCESS_REFUSED: Final = (
    "Microsoft Graph refuses this account's access, although the sign-in still works. If this continues, consent again."
)

_DENIED: Final = "Microsoft Graph does not let this account read presence."


def _name(code: str) -> str:
    return code if re.fullmatch(r"[\w.:-]{1,100}", code, re.ASCII) else ""
