"""Sends requests to Graph slowly, and keeps no personal data of the answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from relay.errors import SourceThrottled
from relay.graph.client import GraphClient, TokenSource
from relay.graph.errors import UNREADABLE, error_code, translate

PER_SECOND: Final = 5.0
"""Requests a second: a hundredth of the slowest documented limit for a small tenant (3,500 units in 10 s), a tenth of the
presence limit (1,500 in 30 s)."""

_SCHEMA_WORD = re.compile(r"[A-Za-z][A-Za-z_]{0,60}")


class Unanswered(Exception):
    """A question that Graph did not answer; the text states the reason, without personal data."""


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """One answer of Graph's to a question.

    Attributes:
        status: the HTTP status.
        code: Graph's short name for a refusal; empty when there is none.
        body: the decoded JSON; None when it is not JSON. It contains personal data, which must not be written or shown.
        headers: of the answer, names in lower case.
    """

    status: int
    code: str
    body: Any = field(repr=False)
    headers: dict[str, str] = field(repr=False)

    @property
    def label(self) -> str:
        """The status and code, which contain no personal data: `400 BadRequest`."""
        return f"{self.status} {self.code}".rstrip()

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The objects in `value`, as in Graph's lists."""
        value = self.body.get("value") if isinstance(self.body, dict) else None
        return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []

    @property
    def next_link(self) -> str:
        """The URL of the next page; empty on the last one."""
        link = self.body.get("@odata.nextLink") if isinstance(self.body, dict) else None
        return link if isinstance(link, str) else ""

    def expect(self, *statuses: int) -> GraphAnswer:
        """Return this answer if its status is one of these.

        Raises:
            Unanswered: it has another status.
        """
        if self.status not in statuses:
            raise Unanswered(f"Graph answered {self.label}")
        return self


class Asker:
    """Sends one request after the other, at a limited rate, with one tenant's consent.

    Attributes:
        answers: status (with Graph's code) -> number of answers.
    """

    def __init__(self, client: GraphClient, token: TokenSource, per_second: float = PER_SECOND) -> None:
        self._client = client
        self._token = token
        self._pause_s = 1 / per_second
        self._last = 0.0
        self.answers: Counter[str] = Counter()

    async def get(self, path: str) -> GraphAnswer:
        """Send a GET to Graph and return its answer.

        Raises:
            SourceThrottled: Graph asks to wait.
            Unanswered: the request failed.
            SourceUnreachable, ConsentRequired, CredentialRejected: as `GraphClient` says.
        """
        return self._unless_throttled(await self._ask("GET", path, None))

    async def post(self, path: str, body: object) -> GraphAnswer:
        """Send a POST to Graph and return its answer; raises what `get` raises."""
        return self._unless_throttled(await self._ask("POST", path, msgspec.json.encode(body)))

    async def post_whatever_comes(self, path: str, body: object) -> GraphAnswer:
        """Send a POST and return the answer, also if it is throttled."""
        return await self._ask("POST", path, msgspec.json.encode(body))

    async def _ask(self, method: str, path: str, content: bytes | None) -> GraphAnswer:
        await asyncio.sleep(max(0.0, self._last + self._pause_s - time.monotonic()))
        self._last = time.monotonic()
        status, body, headers = await self._client.ask(method, path, self._token, content)
        said = GraphAnswer(
            status, _code(body), _decoded(body), {name.lower(): value for name, value in headers.items()}
        )
        self.answers[said.label] += 1
        if status == 401:
            raise translate(status, body, headers)
        return said

    def _unless_throttled(self, said: GraphAnswer) -> GraphAnswer:
        error = translate(said.status, headers=said.headers)
        if said.status >= 400 and isinstance(error, SourceThrottled):
            raise error
        if said.status >= 500:
            raise Unanswered(f"Graph answered {said.label}")
        return said


def _code(body: bytes) -> str:
    """Return Graph's code if it is in its schema; other texts might be personal data."""
    code = error_code(body)
    return code if _SCHEMA_WORD.fullmatch(code) else ""


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        return None
