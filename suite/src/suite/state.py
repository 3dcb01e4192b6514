"""The state of a suite: the names and answers it holds, the effect of each response, and the start of the next stream.

Pure: responses go in, events come out. The relay keeps no session, so everything that a resume needs is here.

- **Names** are given by the suite. All spellings of a name (case, white space, `sip:`) are sent as one and removed together,
  because the relay compares names in the same way.
- A name is **held** when its resolution is known and, if it resolved to a user, the user's answer too. The resume token
  covers held names only. The next stream subscribes to all others again, and the relay answers them in full.
- A name that was unsubscribed and subscribed again **within one stream** is not held, nor is any other name of its user:
  an answer may have been sent before the name was unsubscribed, and the token may have moved past a change that the stream
  did not send in between. The next stream subscribes to them again.
- The **token** of a response is stored after the response was applied. A reset forgets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from presence_api.v1 import presence_pb2 as pb
from suite import events as ev
from suite.held import Answer, Held, Resolution
from suite.names import Key, is_sendable, key_of
from suite.uncertain import UncertainPresences
from suite.values import Outcome, Status, instant, presence_of, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from presence_api.v1 import presence_service_pb2 as api


@dataclass(frozen=True, slots=True)
class StartUsers:
    """The names in the start of a new stream, as of `generation`."""

    token: str
    subscribe: tuple[str, ...]
    held: tuple[pb.ResolvedName, ...]
    sent: dict[Key, int]
    """Each name in the start -> its generation."""
    generation: int


@dataclass(slots=True)
class _Entry:
    """One name: its spellings, of which the first is sent, and its resolution."""

    generation: int
    spellings: dict[str, None] = field(default_factory=dict)
    resolved: pb.ResolvedName | None = None
    came_back: bool = False

    @property
    def sent_as(self) -> str:
        return next(iter(self.spellings))

    @property
    def user_id(self) -> str | None:
        if self.resolved is None or self.resolved.WhichOneof("outcome") != "user_id":
            return None
        return self.resolved.user_id

    @property
    def resolution(self) -> Resolution:
        if self.user_id is not None:
            return Resolution(self.user_id, None)
        if self.resolved is None or self.resolved.WhichOneof("outcome") is None:
            return Resolution(None, Status.PENDING)
        return Resolution(None, Status(self.resolved.unknown_reason))


class WatchState:
    """The names that a suite watches, and the answers that it holds."""

    def __init__(self) -> None:
        self.token = ""
        self.tenant_status: Status | None = None
        self.contact_time: datetime | None = None
        self.poll_interval: timedelta | None = None
        self.answers: dict[str, Answer] = {}
        """user_id -> the relay's answer. `shown` includes the uncertain ones."""
        self._uncertain = UncertainPresences()
        self._entries: dict[Key, _Entry] = {}
        self._keys_of: dict[str, set[Key]] = {}
        self._left: dict[Key, int] = {}
        self._generation = 0

    # Held

    @property
    def names(self) -> dict[str, Resolution]:
        """Return each name as it was given -> its resolution; PENDING until the relay has resolved it."""
        return {
            spelling: self._resolution(key, entry)
            for key, entry in self._entries.items()
            for spelling in entry.spellings
        }

    @property
    def shown(self) -> Mapping[str, Answer]:
        """Return user_id -> the newest answer. While there is none after a reset, it is the uncertain one from before."""
        if not self._uncertain.presences:
            return self.answers
        uncertain = {user_id: Answer(at, None, is_uncertain=True) for user_id, at in self._uncertain.presences.items()}
        return {**self.answers, **uncertain}

    def find(self, name: str) -> tuple[Resolution | None, Answer | None]:
        """Return the resolution of a name, in any spelling, and the user's answer. Each is None when there is none."""
        entry = self._entries.get(key_of(name))
        if entry is None:
            return None, None
        resolution = self._resolution(key_of(name), entry)
        before = self._uncertain.presences.get(resolution.user_id or "")
        if before is not None:
            return resolution, Answer(before, None, is_uncertain=True)
        return resolution, self.answers.get(resolution.user_id or "")

    def names_of(self, user_id: str) -> tuple[str, ...]:
        """Return all spellings of all names that resolved to the user."""
        keys = self._keys_of.get(user_id, ())
        return tuple(sorted(spelling for key in keys for spelling in self._entries[key].spellings))

    def wanted(self, key: Key) -> tuple[str, int] | None:
        """Return the spelling to send for a name, and its generation; None when it is not watched or cannot be sent."""
        entry = self._entries.get(key)
        if entry is None or not is_sendable(entry.sent_as):
            return None
        return entry.sent_as, entry.generation

    # Subscriptions

    def subscribe(self, names: Iterable[str]) -> tuple[list[Key], list[ev.Event]]:
        """Watch these names. Returns the keys that are new, and events with the known answers of the others."""
        new: list[Key] = []
        seen: list[ev.Event] = []
        for name in names:
            key = key_of(name)
            entry = self._entries.get(key)
            if entry is None:
                self._entries[key] = entry = self._enter(key, name)
                new.append(key)
                if entry.resolved is not None:
                    seen.append(self._resolved_event(name, entry))
            elif name not in entry.spellings:
                entry.spellings[name] = None
                seen.extend(self._known(name, entry))
        return new, seen

    def unsubscribe(self, names: Iterable[str]) -> list[Key]:
        """Stop watching these names, in any spelling. Returns the keys that were removed."""
        gone = [key for key in dict.fromkeys(map(key_of, names)) if key in self._entries]
        for key in gone:
            self._generation += 1
            self._left[key] = self._generation
            self._forget_resolution(key)
            self._uncertain.forget_name(key)
            del self._entries[key]
        return gone

    def count_after(self, names: Iterable[str]) -> int:
        """Return the number of names that would be watched if these were subscribed."""
        return len(self._entries.keys() | {key_of(name) for name in names})

    # The start of a stream

    def start(self) -> StartUsers:
        """Return the names for the start of a new stream. Changes nothing."""
        subscribe: list[str] = []
        held: list[pb.ResolvedName] = []
        sent: dict[Key, int] = {}
        for key, entry in self._entries.items():
            if not is_sendable(entry.sent_as):
                continue
            sent[key] = entry.generation
            if self.token and (resolved := self._held(entry)) is not None:
                held.append(resolved)
            else:
                subscribe.append(entry.sent_as)
        return StartUsers(self.token, tuple(subscribe), tuple(held), sent, self._generation)

    def began(self, start: StartUsers) -> None:
        """Record that the stream of `start` has sent its first response. Nothing from earlier streams can arrive any more."""
        for key, entry in self._entries.items():
            if entry.came_back and entry.generation <= start.generation:
                entry.came_back = False
                self._forget_resolution(key)
        self._left = {key: left for key, left in self._left.items() if left > start.generation}

    def forget_token(self) -> list[ev.Event]:
        """Forget the token and all answers, because they belong to another tenant."""
        self._uncertain.clear()
        self._reset()
        return [ev.Reset(kept=False)]

    # Restart

    def held(self, names: Iterable[str]) -> Held:
        """Return the names of these that are held, with their answers, and the token if it covers them all."""
        entries = {name: entry for name in names if (entry := self._entries.get(key_of(name))) is not None}
        held = {name: entry for name, entry in entries.items() if self._held(entry) is not None}
        users = {entry.user_id for entry in held.values() if entry.user_id is not None}
        return Held(
            token="" if any(entry.came_back for entry in self._entries.values()) else self.token,
            names={name: entry.resolution for name, entry in held.items()},
            answers={user_id: self.answers[user_id] for user_id in users},
        )

    def restore(self, held: Held) -> None:
        """Take over the names and answers of another client. Names that are not watched are left out."""
        self.token = held.token
        for name, resolution in held.names.items():
            key = key_of(name)
            entry = self._entries.get(key)
            if entry is None or entry.resolved is not None:
                continue
            if resolution.user_id is None:
                entry.resolved = pb.ResolvedName(unknown_reason=int(resolution.status or Status.PENDING))  # type: ignore[arg-type]
            elif resolution.user_id in held.answers:
                entry.resolved = pb.ResolvedName(user_id=resolution.user_id)
                self._keys_of.setdefault(resolution.user_id, set()).add(key)
                self.answers[resolution.user_id] = held.answers[resolution.user_id]

    # Responses

    def apply(self, response: api.WatchPresenceResponse) -> list[ev.Event]:
        """Apply one response, store its token and return the events. There are none for a kind of response that is not known."""
        match response.WhichOneof("event"):
            case "started":
                emitted = self._started(response.started)
            case "batch":
                emitted = self._batch(response.batch)
            case "progress":
                emitted = self._progress(response.progress)
            case "tenant_status":
                emitted = self._tenant_status(response.tenant_status)
            case _:
                emitted = []
        if response.resume_token:
            self.token = response.resume_token
        return emitted

    def _started(self, started: api.WatchPresenceResponse.Started) -> list[ev.Event]:
        outcome = Outcome(started.outcome)
        if outcome is not Outcome.RESET:
            return [ev.Connected(outcome)]
        users = {key: user_id for key, entry in self._entries.items() if (user_id := entry.user_id) is not None}
        presences = {
            user_id: answer.presence for user_id, answer in self.answers.items() if answer.presence is not None
        }
        self._uncertain.add(users, presences)
        self._reset()
        return [ev.Connected(outcome), ev.Reset(kept=True)]

    def _reset(self) -> None:
        self.token = ""
        self.answers.clear()
        self._keys_of.clear()
        for entry in self._entries.values():
            if is_sendable(entry.sent_as):
                entry.resolved = None

    def _batch(self, batch: api.WatchPresenceResponse.Batch) -> list[ev.Event]:
        emitted: list[ev.Event] = []
        newly_named: dict[str, None] = {}
        for resolved in batch.resolved:
            emitted.extend(self._resolve(resolved, newly_named))
        answered: dict[str, None] = {}
        for answer in batch.answers:
            if answer.user_id in self._keys_of:
                received = self.answers[answer.user_id] = _answer(answer)
                if received.status is not Status.PENDING:
                    self._uncertain.forget_user(answer.user_id)
                answered[answer.user_id] = None
        # A new name of a user whose answer is held gets that answer: the relay need not send it again.
        already_held = {user_id: None for user_id in newly_named if user_id in self.answers}
        certain = (user_id for user_id in already_held | answered if user_id not in self._uncertain.presences)
        emitted.extend(map(self._changed_event, certain))
        if batch.snapshot_complete:
            self._uncertain.retain({key for key, entry in self._entries.items() if entry.resolved is not None})
            emitted.append(ev.SnapshotComplete())
        return emitted

    def _resolve(self, resolved: pb.ResolvedName, newly_named: dict[str, None]) -> Iterator[ev.Event]:
        key = key_of(resolved.user)
        entry = self._entries.get(key)
        if entry is None:  # unsubscribed meanwhile
            return
        user_id = resolved.user_id if resolved.WhichOneof("outcome") == "user_id" else None
        if entry.user_id != user_id:
            self._forget_resolution(key)
            if user_id is not None:
                self._keys_of.setdefault(user_id, set()).add(key)
                newly_named[user_id] = None
        entry.resolved = resolved
        if self._replaces_uncertain(key, entry.resolution):
            self._uncertain.forget_name(key)
        elif user_id is None:
            return  # the user from before the reset is still shown, as uncertain
        yield from (self._resolved_event(spelling, entry) for spelling in entry.spellings)

    def _replaces_uncertain(self, key: Key, resolution: Resolution) -> bool:
        """Return True when the resolution replaces the uncertain user that is shown for the name since a reset."""
        before = self._uncertain.user_of(key)
        return before is None or (resolution.user_id != before and resolution.status is not Status.PENDING)

    def _resolution(self, key: Key, entry: _Entry) -> Resolution:
        before = self._uncertain.user_of(key)
        return entry.resolution if before is None else Resolution(before, None)

    def _progress(self, progress: api.WatchPresenceResponse.Progress) -> list[ev.Event]:
        self._fresh(progress)
        return [ev.Progress(self.contact_time, self.poll_interval)]

    def _tenant_status(self, message: api.WatchPresenceResponse.TenantStatus) -> list[ev.Event]:
        self._fresh(message)
        status = Status(message.unknown_reason)
        self.tenant_status = Status.STALE if status is Status.UNKNOWN else status
        return [ev.TenantStatus(self.tenant_status, self.contact_time, self.poll_interval)]

    def _fresh(self, message: api.WatchPresenceResponse.Progress | api.WatchPresenceResponse.TenantStatus) -> None:
        if message.HasField("contact_time"):
            self.contact_time = instant(message.contact_time)
        if message.HasField("poll_interval"):
            self.poll_interval = span(message.poll_interval)

    # One name

    def _enter(self, key: Key, name: str) -> _Entry:
        self._generation += 1
        entry = _Entry(self._generation, {name: None}, came_back=key in self._left)
        if not is_sendable(name):
            entry.resolved = pb.ResolvedName(unknown_reason=pb.UNKNOWN_REASON_MALFORMED)
        return entry

    def _held(self, entry: _Entry) -> pb.ResolvedName | None:
        """Return the resolution to send for a held name, in the spelling that is sent; None for a name that is not held."""
        resolved = entry.resolved
        if resolved is None or entry.came_back or resolved.WhichOneof("outcome") is None:
            return None
        user_id = entry.user_id
        if user_id is None:
            return pb.ResolvedName(user=entry.sent_as, unknown_reason=resolved.unknown_reason)
        if user_id not in self.answers or any(self._entries[key].came_back for key in self._keys_of[user_id]):
            return None
        return pb.ResolvedName(user=entry.sent_as, user_id=user_id)

    def _forget_resolution(self, key: Key) -> None:
        """Forget the resolution of a name, and the user's answer if no other name resolved to the user."""
        entry = self._entries[key]
        user_id = entry.user_id
        if user_id is not None:
            keys = self._keys_of[user_id]
            keys.discard(key)
            if not keys:
                del self._keys_of[user_id]
                self.answers.pop(user_id, None)
        entry.resolved = None

    def _known(self, name: str, entry: _Entry) -> Iterator[ev.Event]:
        if entry.resolved is not None:
            yield self._resolved_event(name, entry)
            user_id = entry.user_id
            if user_id is not None and user_id in self.answers:
                yield self._changed_event(user_id)

    def _resolved_event(self, name: str, entry: _Entry) -> ev.Resolved:
        resolution = entry.resolution
        return ev.Resolved(name, resolution.user_id, resolution.status)

    def _changed_event(self, user_id: str) -> ev.Changed:
        answer = self.answers[user_id]
        return ev.Changed(user_id, self.names_of(user_id), answer.presence, answer.status)


def _answer(answer: pb.UserAnswer) -> Answer:
    match answer.WhichOneof("answer"):
        case "presence":
            return Answer(presence_of(answer.presence), None)
        case "unknown_reason":
            return Answer(None, Status(answer.unknown_reason))
        case _:
            return Answer(None, Status.UNKNOWN)
