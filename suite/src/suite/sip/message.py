"""SIP messages: parsing, writing, and framing in a stream.

Accepted, because peers send it: compact names, folded lines, bare line feeds, blanks before the colon, header text that is not
UTF-8 (it is echoed byte by byte). Refused: messages above a limit, control characters, and messages without the fields of a response.
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
    """Limits of a message."""

    head_bytes: int = 32 * 1024
    line_bytes: int = 8 * 1024
    fields: int = 128
    body_bytes: int = 1024 * 1024
    """A list of 1,000 users is about 900 kB."""


LIMITS: Final = MessageLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class SipRequest:
    """A SIP request."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the message as it is sent, with Content-Length."""
        return _written(f"{self.method} {self.uri} SIP/2.0", self.headers, self.body)

    def with_headers(self, headers: Headers) -> SipRequest:
        """Return the request with other headers."""
        return SipRequest(method=self.method, uri=self.uri, headers=headers, body=self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipResponse:
    """A SIP response."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the message as it is sent, with Content-Length."""
        return _written(f"SIP/2.0 {self.status} {self.reason}", self.headers, self.body)


SipMessage = SipRequest | SipResponse


class UnreadableBody(MalformedMessage):
    """A message whose headers can be parsed and whose body cannot. `request` is the request to answer, None for a response."""

    def __init__(self, text: str, status: int, message: SipMessage) -> None:
        super().__init__(text, status)
        self.request = message if isinstance(message, SipRequest) else None


def _written(first: str, headers: Headers, body: bytes) -> bytes:
    lines = [first, *headers.written(), f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def cseq(headers: Headers) -> tuple[int, str]:
    """Return number and method of CSeq.

    Raises:
        MalformedMessage: it is not valid; never for a parsed message.
    """
    found = _CSEQ.fullmatch(headers.first("cseq") or "")
    if found is None or int(found[1]) >= 2**31:
        raise MalformedMessage("CSeq is not valid.")
    return int(found[1]), found[2]


def parse_datagram(data: bytes, limits: MessageLimits = LIMITS) -> SipMessage:
    """Parse a message that is a whole datagram. Bytes beyond Content-Length are ignored.

    Raises:
        MalformedMessage: it is not a message, or its body is shorter than Content-Length says.
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
    """Return a message with this body, and without Content-Length, which `to_bytes` adds."""
    headers = Headers(tuple(each for each in message.headers if each[0] != "content-length"))
    if isinstance(message, SipRequest):
        return SipRequest(method=message.method, uri=message.uri, headers=headers, body=body)
    return SipResponse(status=message.status, reason=message.reason, headers=headers, body=body)


def parse_head(data: bytes, limits: MessageLimits = LIMITS) -> SipMessage:
    """Parse the first line and the headers, without the blank line at their end."""
    first, fields = _lines(data, limits)
    return _begun(first.strip(), Headers(tuple(_field(line) for line in fields)))


def parse_fields(data: bytes, limits: MessageLimits = LIMITS) -> Headers:
    """Parse header fields without a first line, as in the parts of a multipart body.

    Raises:
        MalformedMessage: they are not valid, or exceed a limit.
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
        raise MalformedMessage("The first line is not a SIP request or status line.")
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
        MalformedMessage: it is not a number, or there are two different ones.
    """
    said = set(message.headers.lines("content-length"))
    if not said:
        return None
    if len(said) > 1 or not re.fullmatch(r"[0-9]{1,10}", next(iter(said))):
        raise UnreadableBody("Content-Length is not a number.", 400, message)
    return int(said.pop())


@dataclass(slots=True)
class StreamParser:
    """Splits a stream, such as TCP, into messages. It buffers at most one head and one body beyond the data fed last.

    After an error the stream cannot be parsed further: close the connection.
    """

    limits: MessageLimits = LIMITS
    pings: int = 0
    """Double CRLF seen before messages: the peer expects a CRLF back (RFC 5626)."""
    pongs: int = 0
    """Single CRLF seen before messages."""
    _buffer: bytearray = field(default_factory=bytearray)
    _head: SipMessage | None = None
    _length: int = 0
    _searched: int = 0

    @property
    def in_the_middle(self) -> bool:
        """Return whether an incomplete message is buffered."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> list[SipMessage]:
        """Take received data, and return the messages that it completes.

        Raises:
            MalformedMessage: the stream cannot be parsed further.
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
