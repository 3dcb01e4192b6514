"""Questions about data that is only in the memory of processes. The data is written only in answer to a question.

    page, command ──► ask ──┬─► inbox ───► the owner: the user's next read, its account, and the watching edges
                            └─► changes ─► each edge: the suite keys that watch the user
                  ◄── gather ── a list for this question, which expires after some seconds

No process waits for another: the owner answers under its lease, an edge answers only if it has something to report, and the page
uses the answers that arrived within `PATIENCE`. There can be at most `MOST_ASKED` questions about a tenant in `WINDOW`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from relay.core.presence import Name, TenantId, UserId
from relay.errors import LeaseLost
from relay.store.presence import hints
from relay.store.presence.pipes import CHANGES_ENTRIES, inbox_values
from relay.store.server import keys
from relay.store.server.scripting import Arg, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.store.presence.leases import Lease
    from relay.store.server.connection import Store

MOST_ASKED: Final = 30
WINDOW: Final = timedelta(seconds=10)
PATIENCE: Final = timedelta(seconds=1.5)
"""Time limit for an answer. The inbox takes milliseconds; an answer after this is ignored."""
_KEPT_MS: Final = 10_000
_MOST_NAMES: Final = 50
_FIRST_GLANCE_S: Final = 0.01
_LAST_GLANCE_S: Final = 0.1

_ASK = Script("explain_ask")
_REPLY = Script("explain_reply")


class OwnerAnswer(msgspec.Struct, frozen=True, tag="owner", kw_only=True):
    """The owner's answer: its data on one user."""

    worker_id: str
    user_id: str = ""
    """The user in question; empty if no name in the question resolves to a user."""
    names: tuple[str, ...] = ()
    """The names under which suites watch the user."""
    edges: tuple[str, ...] = ()
    """The edges whose suites watch the user, including the pseudo-edges of pages."""
    is_read: bool = False
    """True if the user is read."""
    is_covered: bool = False
    """True if a subscription covers the user; such a user is rarely read."""
    next_read_s: float | None = None
    """Seconds until the next read of the user; None if no read is planned."""
    confirmed_s: float | None = None
    """Seconds since Microsoft last confirmed the stored answer."""
    interval_s: float = 0.0
    set_aside_s: float | None = None
    """Remaining seconds for which the user is not read, because Microsoft refuses the id."""
    reading_account: str = ""
    """Object id of the account whose grant reads the user."""
    covering_account: str = ""
    """The account whose subscription covers the user; empty if none does."""
    covered_until_ms: int = 0
    """The time at which that subscription ends unless it is renewed, in ms since 1970."""
    trouble: str = ""
    """The current error, with the text of the log; empty if there is none."""


class EdgeAnswer(msgspec.Struct, frozen=True, tag="edge", kw_only=True):
    """An edge's answer: the suite keys that watch the user there."""

    edge_id: str
    key_ids: tuple[str, ...]


class Gathered(msgspec.Struct, frozen=True):
    """The answers to one question."""

    owner: OwnerAnswer | None = None
    """None if no worker answered in time."""
    key_ids: frozenset[str] = frozenset()
    """The suite keys whose streams watch the user."""
    is_whole: bool = False
    """True if the owner and all edges that it named have answered."""


class Explanations:
    """Questions and their answers. An answer in the format of a later release is ignored."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ask(self, tenant_id: TenantId, user_id: UserId | None, names: Sequence[Name]) -> str | None:
        """Ask a question and return its id for `gather`; None if there were too many questions about the tenant."""
        request_id = secrets.token_hex(16)
        hint = hints.encode(hints.Explain(tenant_id, request_id, user_id, tuple(names[:_MOST_NAMES])))
        entry: list[Arg] = ["q", tenant_id, request_id, user_id or "", *names[:_MOST_NAMES]]
        entry += [""] * (len(entry) % 2)  # a stream's fields come in pairs
        partition = keys.partition_of(tenant_id)
        call = _ASK(
            *entry,
            **inbox_values(tenant_id),
            asked=keys.tenant_asked(tenant_id),
            changes=keys.changes(partition),
            changes_head=keys.changes_head(partition),
            most_asked=MOST_ASKED,
            window_ms=int(WINDOW / timedelta(milliseconds=1)),
            hint=hint,
            changes_length=CHANGES_ENTRIES,
        )
        return request_id if await self._store.run_once(call) else None

    async def gather(
        self, tenant_id: TenantId, request_id: str, is_asked: Callable[[str], bool], patience: timedelta = PATIENCE
    ) -> Gathered:
        """Collect the answers to a question until owner and edges have answered, or `patience` has passed.

        Args:
            tenant_id: the tenant in the question.
            request_id: the id from `ask`.
            is_asked: returns whether the edge with this id answers; the pseudo-edge of a page does not.
            patience: longest time to wait.
        """
        owner: OwnerAnswer | None = None
        edges: dict[str, tuple[str, ...]] = {}
        until, glance_s = time.monotonic() + patience.total_seconds(), _FIRST_GLANCE_S
        while True:
            for reply in await self._store.command("LPOP", keys.explanation(tenant_id, request_id), 100) or ():
                said = _read(reply)
                if isinstance(said, OwnerAnswer):
                    owner = said
                elif said is not None:
                    edges[said.edge_id] = said.key_ids
            is_whole = owner is not None and all(edge in edges for edge in owner.edges if is_asked(edge))
            if is_whole or time.monotonic() >= until:
                return Gathered(owner, frozenset(key for found in edges.values() for key in found), is_whole)
            await asyncio.sleep(glance_s)
            glance_s = min(2 * glance_s, _LAST_GLANCE_S)

    async def answer_as_owner(self, lease: Lease, tenant_id: TenantId, request_id: str, said: OwnerAnswer) -> None:
        """Answer as the owner of the tenant's partition."""
        if keys.partition_of(tenant_id) != lease.partition:
            raise LeaseLost("The lease is not of this tenant's partition")
        await self._store.run_once(
            _REPLY(
                lease=keys.lease(lease.partition),
                replies=keys.explanation(tenant_id, request_id),
                lease_value=lease.value,
                ttl_ms=_KEPT_MS,
                reply=_encode(said),
            )
        )

    async def answer_as_edge(self, tenant_id: TenantId, request_id: str, said: EdgeAnswer) -> None:
        """Answer as an edge."""
        key = keys.explanation(tenant_id, request_id)
        await self._store.many([("RPUSH", key, _encode(said)), ("PEXPIRE", key, _KEPT_MS)])


def _read(reply: bytes) -> OwnerAnswer | EdgeAnswer | None:
    try:
        return _decoder.decode(reply)
    except msgspec.DecodeError:
        return None


_encode = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[OwnerAnswer | EdgeAnswer]] = msgspec.json.Decoder(OwnerAnswer | EdgeAnswer)
