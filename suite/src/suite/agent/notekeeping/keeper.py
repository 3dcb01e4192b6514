"""The keeper of notes: each change is planned, written to disk, applied, and passed to the board and to agents that follow.

consoles ──► write, clear ─┐                            ┌──► board ──► consoles
                           ├──► plan ──► disk ──► apply ┤
other agents ──► take ─────┘                            └──► feed ──► other agents
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from suite.agent.notekeeping.feed import NoteFeed
from suite.agent.notes.notebook import Notebook, Plan
from suite.agent.sources.source import NEEDS_A_PERSON, Connector
from suite.agent.store.not_kept import NotKept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from suite.agent.board import Board
    from suite.agent.notekeeping.clock import NoteClock
    from suite.agent.notes.values import Kept, VersionId
    from suite.agent.store.notes import NoteStore
    from suite.names import Key

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
_AGAIN_S: Final = 60.0
"""Interval of retries after a failed write to disk."""
MOST_WAITING: Final = 200
"""Limit of changes that wait for the disk. A disk writes hundreds a second, so the last one waits about a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingState:
    """The connection to the agent through which notes are shared.

    Attributes:
        state: DISABLED when this agent follows no other.
        detail: a sentence for administrators; may be empty.
        unsent: versions that the other agent does not have yet.
    """

    state: Connector = Connector.DISABLED
    detail: str = ""
    unsent: int = 0


class NotesBusy(Exception):
    """Too many changes wait for the disk."""


class TooManyNotes(Exception):
    """There is no room for a note about a colleague who had none yet."""


class NoteKeeper:
    """All notes of this agent.

    Attributes:
        run_id: random id of this run of the agent.
        feed: all versions in the order of their arrival.
        trouble: a sentence about the disk when notes cannot be stored; empty otherwise.
        told: a sentence about a problem with stored notes at the start; empty otherwise.
        sharing: the connection to the agent through which notes are shared.
        follows: True when this agent follows another one.
    """

    def __init__(self, board: Board, store: NoteStore | None, clock: NoteClock) -> None:
        self.run_id = secrets.token_hex(8)
        self.clock = clock
        self.feed = NoteFeed()
        self.trouble = "" if store is not None else "The agent runs without its store, so notes cannot be stored."
        self.told = ""
        self.sharing = SharingState()
        self.follows = False
        self._store = store
        self._board = board
        self._notebook = Notebook(store.agent if store is not None else secrets.token_hex(16))
        self._shown: dict[Key, VersionId] = {}
        """Subject -> the note that the board has; absent when there is none."""
        self._unkept: dict[VersionId, None] = {}
        """Versions that are shown but could not be written to disk."""
        self._tries_at = 0.0
        """The earliest time at which to retry writing them."""
        self._lock = asyncio.Lock()
        self._changes: set[asyncio.Task[list[VersionId]]] = set()
        board.has_note = self._shown.__contains__

    async def load(self) -> None:
        """Read the notes from disk. Damaged ones are logged and left out."""
        if self._store is None:
            return
        try:
            kept = await asyncio.to_thread(self._store.load, self.clock.machine_ms(), self.clock.now())
        except NotKept as error:
            self._failed(f"Notes cannot be read: {error}.")
            return
        if self._store.set_aside:
            self.told = (
                f"The store was damaged, and is kept as {self._store.set_aside}. The agent started without its notes."
            )
        await self._shielded(lambda: kept, must_keep=False)

    @property
    def agent(self) -> str:
        """Return the id of this agent, which is part of its versions."""
        return self._notebook.agent

    # Writing

    async def write(self, subject: Key, text: str, author: str, lifetime_s: int | None) -> None:
        """Write the note about a colleague to disk, and show it. An empty text clears the note.

        Args:
            subject: the name under which notes about the colleague are kept.
            text: the text, cleaned.
            author: the author, cleaned.
            lifetime_s: seconds after which it expires; None for never.

        Raises:
            NotKept, NotesBusy, TooManyNotes: nothing was changed.
        """
        refused = await self._shielded(
            lambda: [self._notebook.draft(subject, text, author, lifetime_s, self.clock.stamp_ms(), self.clock.now())]
        )
        if refused:
            raise TooManyNotes

    async def take(self, versions: list[Kept], *, must_keep: bool) -> list[VersionId]:
        """Merge versions of other agents. They may include versions that this agent has.

        Args:
            versions: versions of any subjects, in any order.
            must_keep: when the disk fails, merge none. Without it they are shown anyway and written later, and no limit of waiting
                changes applies, because a caller has one such call at a time.

        Returns:
            The versions for which there is no room.

        Raises:
            NotKept, NotesBusy: nothing was changed. Raised only with `must_keep`.
        """
        return await self._shielded(lambda: versions, must_keep=must_keep)

    async def _shielded(self, arriving: Callable[[], list[Kept]], *, must_keep: bool = True) -> list[VersionId]:
        """Complete a change even if its caller is cancelled."""
        if must_keep and len(self._changes) >= MOST_WAITING:
            raise NotesBusy
        task = asyncio.create_task(self._change(arriving, must_keep=must_keep), name="note")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _change(self, arriving: Callable[[], list[Kept]], *, must_keep: bool) -> list[VersionId]:
        async with self._lock:
            return await self._made(self._notebook.plan(arriving(), self.clock.now()), must_keep=must_keep)

    async def _made(self, plan: Plan, *, must_keep: bool = True) -> list[VersionId]:
        if plan.put or plan.gone:
            try:
                await self._keep(plan)
            except NotKept:
                if must_keep:
                    raise
                self._unkept.update((kept.version.id, None) for kept in plan.put)
        now = self.clock.now()
        self._notebook.apply(plan, now)
        self.feed.remove(plan.gone)
        self.feed.add(kept.version.id for kept in plan.news)
        self._tell_board(plan.pages, now)
        return plan.refused

    async def _keep(self, plan: Plan) -> None:
        if self._store is None:
            raise NotKept(self.trouble)
        now = self.clock.now()
        refused_before = [kept for one in self._unkept if (kept := self._notebook.find(one)) is not None]
        # The plan may have newer data for the same versions, so it is written after them.
        put = [*refused_before, *plan.put]
        self._tries_at = now + _AGAIN_S
        try:
            await asyncio.to_thread(self._store.save, put, plan.gone, self.clock.machine_ms(), now)
        except NotKept as error:
            self._failed(f"Notes cannot be stored: {error}.")
            raise
        self._unkept.clear()
        if self.trouble:
            log.info("notes: they can be stored again.")
            self.trouble = ""
            self._board.wake_all()

    def share(self, sharing: SharingState) -> None:
        """Set the state of sharing, log a change, and send it to consoles."""
        if sharing != self.sharing:
            if sharing.state is not self.sharing.state:
                level = logging.WARNING if sharing.state in NEEDS_A_PERSON else logging.INFO
                log.log(level, "notes: sharing: %s", f"{sharing.state.value} {sharing.detail}".rstrip())
            self.sharing = sharing
            self._board.wake_all()

    def _failed(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("notes: %s", trouble)
            self.trouble = trouble
            self._board.wake_all()

    def _tell_board(self, subjects: Iterable[Key], now: float) -> None:
        """Notify the board of subjects whose note changed."""
        for subject in subjects:
            kept = self._notebook.shown(subject, now)
            version_id = kept.version.id if kept is not None else None
            if version_id == self._shown.get(subject):
                continue
            if version_id is None:
                del self._shown[subject]
            else:
                self._shown[subject] = version_id
            self._board.note_changed(subject)

    # Reading

    def shown(self, subject: Key) -> Kept | None:
        """Return the note about a colleague; None when there is none."""
        return self._notebook.shown(subject, self.clock.now())

    def text_of(self, subject: Key) -> str:
        """Return the text of the note about a colleague; empty when there is none."""
        kept = self.shown(subject)
        return kept.version.text if kept is not None else ""

    def history(self, subject: Key) -> list[Kept]:
        """Return a colleague's versions of the last day, newest first."""
        return self._notebook.history(subject, self.clock.now())

    def knows(self, subject: Key) -> bool:
        """Return True when there is or was a note about a colleague."""
        return subject in self._notebook.pages

    def subjects(self) -> list[Key]:
        """Return the subjects with a note."""
        return list(self._shown)

    def find(self, version_id: VersionId) -> Kept | None:
        """Return a version; None when this agent does not have it."""
        return self._notebook.find(version_id)

    def versions(self) -> Iterator[Kept]:
        """Yield every version."""
        return self._notebook.versions()

    # Expiry

    async def run(self) -> None:
        """Clear expired notes and delete history older than a day, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Clear expired notes, delete old history, and retry failed writes, once."""
        now = self.clock.now()
        if self._unkept and now >= self._tries_at:
            async with self._lock:
                with contextlib.suppress(NotKept):
                    await self._keep(Plan())
        due = self._notebook.take_due(now)
        if not due:
            return
        self._tell_board(due, now)
        async with self._lock:
            plan = self._notebook.plan_aging(due, now)
            if plan.pages:
                try:
                    await self._made(plan)
                except NotKept:
                    return  # the notebook schedules it again in a minute

    async def close(self) -> None:
        """Wait for the changes that are being written."""
        if self._changes:
            await asyncio.wait(self._changes)
