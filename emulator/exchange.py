"""The types of a request and its answer, for all surfaces; the parts of a `$batch` have the same types."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from emulator.hosts import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulator.hosts import CloudName

JSON = b"application/json; charset=utf-8"
HTML = b"text/html; charset=utf-8"


@dataclass(slots=True, kw_only=True)
class Request:
    """One HTTP request. Handlers fill in `tenant_id`, `app_id`, `reason` and `ids` for the journal.

    `path` is percent-decoded; header names are lower case. `base` is the beginning of links to the same host, `host` the
    Microsoft host name that the request was sent to, empty for a loopback address. `cloud` is that host's, or the
    tenant's if the host serves several clouds.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    base: str = ""
    host: str = ""
    cloud: CloudName = "global"
    tenant_id: str = ""
    app_id: str = ""
    reason: str = ""
    ids: Sequence[str] = ()
    utc: float = field(default_factory=time.time)
    """The time of receipt by the cloud's clock, in seconds since 1970."""

    @property
    def authority(self) -> str:
        """Return the beginning of token issuers: the cloud's Entra, or the address of this emulator."""
        return f"https://{CLOUDS[self.cloud].logins[0]}" if self.host else self.base

    def header(self, name: bytes) -> str:
        """Return a header's value, empty if absent."""
        return self.headers.get(name, b"").decode("latin-1")

    def queries(self) -> dict[str, str]:
        """Return the query's parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query.decode("latin-1"), keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """Return the body's form fields; of a repeated field the last."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def cookie(self, name: str) -> str:
        """Return a cookie's value, empty if absent."""
        for part in self.header(b"cookie").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return unquote(value)
        return ""


@dataclass(slots=True)
class Answer:
    """One HTTP answer; `content-length` is added by the server. `reset` aborts the connection instead."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    reset: bool = False


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return an answer whose body is `value` as JSON."""
    return Answer(status, msgspec.json.encode(value))


def html_answer(text: str, status: int = 200) -> Answer:
    """Return an HTML page that must not be stored or framed, like a sign-in page."""
    guards = [(b"cache-control", b"no-store"), (b"x-frame-options", b"DENY"), (b"referrer-policy", b"no-referrer")]
    return Answer(status, text.encode(), HTML, guards)


def redirect(location: str) -> Answer:
    """Return a redirect."""
    return Answer(
        302, b"", HTML, [(b"location", location.encode("latin-1", "replace")), (b"cache-control", b"no-store")]
    )
