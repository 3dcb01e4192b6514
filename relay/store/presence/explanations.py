"""Questions about what only a process has in its memory. Nothing of it is written while nobody asks.

    page, command ──► ask ──┬─► inbox ───► the owner: when and with which account is the user read next, and which edges watch
                            └─► changes ─► each edge: which suite keys watch the user
                  ◄── gather ── a list for this question, which expires after some seconds

No process waits for another: the owner answers under its lease, an edge answers only if it has something to report, and the page
takes the answers that have come after a second. A tenant may ask at most `MOST_ASKED` questions in `WINDOW`.
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
"""Time limit for an answer: the inbox takes milliseconds, and a worker that is late is as good as none."""
_KEPT_MS: Final = 10_000
_MOST_NAMES: Final = 50
_FIRST_GLANCE_S: Final = 0.01
_LAST_GLANCE_S: Final = 0.1

_ASK = Script("explain_ask")
_REPLY = Script("explain_reply")


class OwnerAnswer(msgspec.Struct, frozen=True, tag="owner", kw_only=True):
    """The owner's answer: what it knows of one user."""

    worker_id: str
    user_id: str = ""
    """The user that was asked about; empty when no name of the question stands for anybody."""
    names: tuple[str, ...] = ()
    """The names by which suites ask for the user."""
    edges: tuple[str, ...] = ()
    """The edges whose suites watch the user; a page that watches for a minute is one too."""
    is_read: bool = False
    """True when the user is read at all."""
    is_covered: bool = False
    """True when a subscription covers the user, who is then read seldom."""
    next_read_s: float | None = None
    """Seconds until the user is read next; None when no read is planned."""
    confirmed_s: float | None = None
    """Seconds since Microsoft last confirmed the stored answer."""
    interval_s: float = 0.0
    set_aside_s: float | None = None
    """Seconds for which the user is not read, because Microsoft refuses the id."""
    reading_account: str = ""
    """Object id of the account whose grant reads."""
    covering_account: str = ""
    """The account whose subscription covers the user; empty without one."""
    covered_until_ms: int = 0
    """The time at which that subscription ends unless it is renewed, in ms since 1970."""
    trouble: str = ""
    """The last error that still persists, in the words of the log; empty when there is none."""


class EdgeAnswer(msgspec.Struct, frozen=True, tag="edge", kw_only=True):
    """An edge's answer: the suites that watch the user there."""

    edge_id: str
    key_ids: tuple[str, ...]


class Gathered(msgspec.Struct, frozen=True):
    """The answers to one question."""

    owner: OwnerAnswer | None = None
    """None when no worker answered in time."""
    key_ids: frozenset[str] = frozenset()
    """The suite keys whose streams watch the user."""
    is_whole: bool = False
    """True when the owner and all its edges have answered."""


class Explanations:
    """Questions and what comes to them. A reply of a later release that cannot be read is as good as none."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ask(self, tenant_id: TenantId, user_id: UserId | None, names: Sequence[Name]) -> str | None:
        """Ask a question and return its id for `gather`, or None when the tenant was asked about too often."""
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
        """Collect the answers to a question until owner and edges have answered, or patience ends.

        Args:
            tenant_id: that was asked about.
            request_id: of `ask`.
            is_asked: whether an edge of this id answers; a page that watches does not.
            patience: how long to wait.
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
