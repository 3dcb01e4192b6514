"""Responses to requests, and the Via of a request as it arrived (RFC 3261 18.2.1, RFC 3581)."""

from __future__ import annotations

from suite.sip.errors import MalformedMessage, SipRefusal
from suite.sip.headers import Headers
from suite.sip.message import SipRequest, SipResponse
from suite.sip.uris import first_via, parse_name_addr

_COPIED = ("via", "from", "to", "call-id", "cseq")


def reply(
    request: SipRequest, status: int, reason: str, *fields: tuple[str, str], body: bytes = b"", to_tag: str = ""
) -> SipResponse:
    """Return a response. Via, From, To, Call-ID and CSeq are copied byte by byte; a To without a tag gets `to_tag`.

    A response below 300 copies Record-Route too, which becomes the peer's route set.
    """
    copied = (*_COPIED, "record-route") if status < 300 else _COPIED
    kept = [each for each in request.headers if each[0] in copied]
    if to_tag and not _tagged(request):
        kept = [(name, f"{value};tag={to_tag}" if name == "to" else value) for name, value in kept]
    return SipResponse(status=status, reason=reason, headers=Headers(tuple(kept)).plus(*fields), body=body)


def _tagged(request: SipRequest) -> bool:
    try:
        return bool(parse_name_addr(request.headers.first("to") or "").tag)
    except MalformedMessage:
        return False


def stamped(request: SipRequest, host: str, port: int) -> SipRequest:
    """Return a request with its source address in the first Via: `received`, and `rport` if the Via has it.

    Raises:
        MalformedMessage: its first Via is not valid.
    """
    via = first_via(request.headers)
    line, first = request.headers.lines("via")[0], request.headers.first_value("via")
    stamp = f";received={host}" if via.host != host or "rport" in via.parameters else ""
    marked = first
    if "rport" in via.parameters:
        stamp += f";rport={port}"
        marked = ";".join(part for part in first.split(";") if part.partition("=")[0].strip().lower() != "rport")
    rest = line[len(first) :] if line.startswith(first) else ""
    return request.with_headers(request.headers.with_first("via", f"{marked}{stamp}{rest}"))


def delta_s(text: str | None) -> float | None:
    """Return the seconds of Expires, Min-Expires or Retry-After, without comment and parameters.

    None if it is absent or not valid.
    """
    word = (text or "").partition(";")[0].partition("(")[0].strip()
    return min(float(word), 2.0**31) if word.isascii() and word.isdigit() and len(word) < 12 else None


def refusal_of(response: SipResponse) -> SipRefusal:
    """Return the error for a response of 300 or more."""
    least = delta_s(response.headers.first("min-expires"))
    return SipRefusal(
        response.status,
        response.reason,
        retry_after_s=delta_s(response.headers.first("retry-after")),
        min_expires=None if least is None else int(least),
    )
