"""Bodies of several parts (RFC 2046, RFC 2387). The module `email` is not used, because it changes the bytes of parts."""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from suite.sip.errors import BadDocument, MalformedMessage
from suite.sip.headers import Headers, parameters
from suite.sip.message import END_OF_HEADERS, parse_fields

_MOST_PARTS: Final = 2000
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a body."""

    content_id: str
    """Without angle brackets; "" without one."""
    content_type: str
    """With its parameters."""
    body: bytes


def read_multipart(content_type: str, body: bytes) -> tuple[str, list[Part]]:
    """Return the Content-ID of the root ("" for the first part), and all parts. The last delimiter may be missing.

    Raises:
        BadDocument: there is no boundary, no part, or too many.
    """
    kind, said = parameters(content_type)
    boundary = said.get("boundary", "")
    if not kind.lower().startswith("multipart/") or not _BOUNDARY.fullmatch(boundary):
        raise BadDocument("The body has no boundary between parts.")
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    parts: list[Part] = []
    start: int | None = None
    at = 0
    while (found := delimiter.search(body, at)) is not None:
        if start is not None:
            parts.append(_part(body[start : found.start()]))
        start = None if found[1] else found.end()
        if found[1]:
            break
        # The end of this delimiter's line may begin the next delimiter: an empty part.
        at = (
            found.end() - 2
            if body[found.end() - 2 : found.end()] == b"\r\n"
            else max(found.start() + 1, found.end() - 1)
        )
        if len(parts) > _MOST_PARTS:
            raise BadDocument("The body has too many parts.")
    if start is not None:
        parts.append(_part(body[start:]))
    if not parts:
        raise BadDocument("The body has no parts.")
    return said.get("start", "").strip("<> "), parts


def _part(data: bytes) -> Part:
    end = END_OF_HEADERS.search(data)
    if data[:1] in (b"\r", b"\n"):
        head, body = b"", re.sub(rb"\A\r?\n", b"", data)
    elif end is None:
        head, body = data.rstrip(b"\r\n"), b""
    else:
        head, body = data[: end.start()], data[end.end() :]
    try:
        headers = parse_fields(head) if head else Headers()
    except MalformedMessage:
        raise BadDocument("The headers of a part are not valid.") from None
    return Part(
        content_id=(headers.first("content-id") or "").strip("<> "),
        content_type=headers.first("content-type") or "text/plain",
        body=_decoded((headers.first("content-transfer-encoding") or "").lower(), body),
    )


def _decoded(encoding: str, body: bytes) -> bytes:
    try:
        if encoding == "base64":
            return binascii.a2b_base64(body)
        return binascii.a2b_qp(body) if encoding == "quoted-printable" else body
    except binascii.Error:
        raise BadDocument("A part is not in its Content-Transfer-Encoding.") from None


def write_related(root: Part, others: Sequence[Part]) -> tuple[str, bytes]:
    """Return the Content-Type line and the body of multipart/related."""
    boundary = secrets.token_hex(12)
    pieces: list[bytes] = []
    for part in (root, *others):
        fields = (
            f"Content-Transfer-Encoding: binary\r\nContent-ID: <{part.content_id}>\r\nContent-Type: {part.content_type}"
        )
        pieces.append(f"--{boundary}\r\n{fields}\r\n\r\n".encode() + part.body + b"\r\n")
    kind = parameters(root.content_type)[0]
    line = f'multipart/related;type="{kind}";start="<{root.content_id}>";boundary="{boundary}"'
    return line, b"".join(pieces) + f"--{boundary}--\r\n".encode()
