"""SIP messages: read from bytes, written as bytes, cut out of a stream.

Tolerated, because peers do it: compact names, folded lines, bare line feeds, blanks before the colon, header text that is not
UTF-8 (it is echoed byte by byte). Refused: what is over a limit, control characters, and a request without what an answer needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from suite.sip.errors import MalformedMessage
from suite.sip.headers import Headers, full_name

END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n")
_LINE_END: Final = re.compile(r"\r?\n")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_REQUEST_LINE: Final = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]{1,32}) (\S+) (?i:SIP)/2\.0")
_STATUS_LINE: Final = re.compile(r"(?i:SIP)/2\.0 ([1-6]\d\d)(?: (.*))?")
_CSEQ: Final = re.compile(r"([0-9]{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]{1,32})")
_NEEDED: Final = ("via", "from", "to", "call-id", "cseq")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimits:
    """Bounds of a message."""

    head_bytes: int = 32 * 1024
    line_bytes: int = 8 * 1024
    fields: int = 128
    body_bytes: int = 1024 * 1024
    """A list of 1,000 users is about 900 kB."""


LIMITS: Final = MessageLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class SipRequest:
    """A request."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return it as it is sent, with its Content-Length."""
        return _written(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)

    def with_headers(self, headers: Headers) -> SipRequest:
        """Return it with other headers."""
        return SipRequest(method=self.method, uri=self.uri, headers=headers, body=self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipResponse:
    """A response."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return it as it is sent, with its Content-Length."""
        return _written(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)


SipMessage = SipRequest | SipResponse


class UnreadableBody(MalformedMessage):
    """A message whose headers can be read, and whose body cannot. `request` is for the answer; None: it is a response."""

    def __init__(self, text: str, status: int, message: SipMessage) -> None:
        super().__init__(text, status)
        self.request = message if isinstance(message, SipRequest) else None


def _written(first: str, headers: Headers, body: bytes) -> bytes:
    lines = [first, *headers.written(), f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def cseq(headers: Headers) -> tuple[int, str]:
    """Return number and method of CSeq; `parse` has checked them."""
    found = _CSEQ.fullmatch(headers.first("cseq") or "")
    if found is None or int(found[1]) >= 2**31:
        raise MalformedMessage("CSeq is not valid.")
    return int(found[1]), found[2]


def parse_datagram(data: bytes, limits: MessageLimits = LIMITS) -> SipMessage:
    """Read a message that is a whole datagram. Bytes beyond Content-Length are left out.

    Raises:
        MalformedMessage: it is none, or the body is shorter than Content-Length says.
    """
    head = END_OF_HEADERS.search(data)
    if head is None:
        raise MalformedMessage("The headers do not end.")
    message = parse_head(data[: head.start()], limits)
    body = data[head.end() :]
    length = content_length(message)
    if length is not None and len(body) < length:
        raise UnreadableBody("The body is shorter than Content-Length says.", 400, message)
    body = body if length is None else body[:length]
    if len(body) > limits.body_bytes:
        raise UnreadableBody("The body is too long.", 413, message)
    return with_body(message, body)


def with_body(message: SipMessage, body: bytes) -> SipMessage:
    """Return a message with this body; Content-Length, which only frames it, is taken off."""
    headers = Headers(tuple(each for each in message.headers if each[0] != "content-length"))
    if isinstance(message, SipRequest):
        return SipRequest(method=message.method, uri=message.uri, headers=headers, body=body)
    return SipResponse(status=message.status, reason=message.reason, headers=headers, body=body)


def parse_head(data: bytes, limits: MessageLimits = LIMITS) -> SipMessage:
    """Read the first line and the headers, without the blank line at their end."""
    first, fields = _lines(data, limits)
    return _begun(first.strip(), Headers(tuple(_field(line) for line in fields)))


def parse_fields(data: bytes, limits: MessageLimits = LIMITS) -> Headers:
    """Read header fields without a first line, as parts of a multipart body have them.

    Raises:
        MalformedMessage: they are none, or over a limit.
    """
    first, fields = _lines(data, limits)
    return Headers(tuple(_field(line) for line in (first, *fields)))


def _lines(data: bytes, limits: MessageLimits) -> tuple[str, list[str]]:
    if len(data) > limits.head_bytes:
        raise MalformedMessage("The headers are too long.", status=513)
    text = _FOLD.sub(" ", data.decode("utf-8", "surrogateescape"))
    lines = _LINE_END.split(text)
    if len(lines) > limits.fields + 1:
        raise MalformedMessage("There are too many headers.", status=513)
    if any(len(line) > limits.line_bytes for line in lines):
        raise MalformedMessage("A line is too long.", status=513)
    if _FORBIDDEN.search(text.replace("\r\n", "\n")):
        raise MalformedMessage("There is a control character.")
    return lines[0], lines[1:]


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name = name.strip()
    if not colon or not _TOKEN.fullmatch(name):
        raise MalformedMessage("A header line has no name.")
    return full_name(name), value.strip()


def _begun(line: str, headers: Headers) -> SipMessage:
    if status := _STATUS_LINE.fullmatch(line):
        message: SipMessage = SipResponse(status=int(status[1]), reason=(status[2] or "").strip(), headers=headers)
    elif request := _REQUEST_LINE.fullmatch(line):
        message = SipRequest(method=request[1], uri=request[2], headers=headers)
    else:
        raise MalformedMessage("The first line is not one of SIP.")
    lacking = [name for name in _NEEDED if not headers.first(name)]
    if lacking:
        raise MalformedMessage(f"{lacking[0].title()} is missing.")
    _, method = cseq(headers)
    if isinstance(message, SipRequest) and method != message.method:
        raise MalformedMessage("CSeq names another method.")
    return message


def content_length(message: SipMessage) -> int | None:
    """Return Content-Length; None without one.

    Raises:
        MalformedMessage: it is no number, or there are two different ones.
    """
    said = set(message.headers.lines("content-length"))
    if not said:
        return None
    if len(said) > 1 or not re.fullmatch(r"[0-9]{1,10}", next(iter(said))):
        raise UnreadableBody("Content-Length is not a number.", 400, message)
    return int(said.pop())


@dataclass(slots=True)
class StreamParser:
    """Cuts messages out of a stream, such as TCP. It holds at most one head and one body beyond what is fed.

    After an error the stream cannot be read on: close the connection.
    """

    limits: MessageLimits = LIMITS
    pings: int = 0
    """Double CRLF seen before messages: the other side wants a CRLF back (RFC 5626)."""
    pongs: int = 0
    """Single CRLF seen before messages."""
    _buffer: bytearray = field(default_factory=bytearray)
    _head: SipMessage | None = None
    _length: int = 0
    _searched: int = 0

    @property
    def in_the_middle(self) -> bool:
        """Return whether a part of a message waits for the rest."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> list[SipMessage]:
        """Take what was received, and return the messages that it completes.

        Raises:
            MalformedMessage: the stream cannot be read on.
        """
        self._buffer += data
        found: list[SipMessage] = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> SipMessage | None:
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        message, self._head = with_body(self._head, body), None
        return message

    def _read_head(self) -> bool:
        self._skip_keep_alives()
        end = END_OF_HEADERS.search(self._buffer, max(0, self._searched - 3))
        if end is None:
            self._searched = len(self._buffer)
            if len(self._buffer) > self.limits.head_bytes:
                raise MalformedMessage("The headers are too long.", status=513)
            return False
        self._searched = 0
        head = parse_head(bytes(self._buffer[: end.start()]), self.limits)
        length = content_length(head)
        if length is None:
            raise UnreadableBody("Content-Length is missing.", 400, head)
        if length > self.limits.body_bytes:
            raise UnreadableBody("The body is too long.", 413, head)
        del self._buffer[: end.end()]
        self._head, self._length = head, length
        return True

    def _skip_keep_alives(self) -> None:
        while bytes(self._buffer[:1]) in (b"\r", b"\n"):
            if self._buffer[:4] == b"\r\n\r\n":
                self.pings += 1
                del self._buffer[:4]
            elif bytes(self._buffer[:4]) in (b"\r\n\r", b"\r"):
                return  # more may come
            elif self._buffer[:2] == b"\r\n":
                self.pongs += 1
                del self._buffer[:2]
            else:
                del self._buffer[:1]
            self._searched = 0
