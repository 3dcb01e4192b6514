"""A suite: what it keeps, what it may call held when it comes back, and what it would notice of a broken guarantee."""

from __future__ import annotations

from typing import Any, Final

from relay.core.presence import Resolution, Status, TenantId, UserId
from relay.core.revision import ResumeToken
from relay.core.watching.values import StartOutcome
from tests.simulation.edges import Edge, Stream
from tests.simulation.rules import Broken, Rules

TENANT: Final = TenantId("7a0f1d3e-0000-4000-8000-000000000001")
PENDING: Final = -1
"""Stands for the answer of a user for whom there is none yet."""


class Suite:
    """One installation, with the form of the stream that it can use."""

    def __init__(self, wanted: set[str], rules: Rules, *, streams_requests: bool) -> None:
        self.wanted = wanted
        self.rules = rules
        self.streams_requests = streams_requests
        self.meanings: dict[str, Resolution] = {}
        self.answers: dict[UserId, int] = {}
        self.token: ResumeToken | None = None
        self.stream: Stream | None = None
        self._newest: dict[UserId, int] = {}
        self._changes = 0  # sent on this stream
        self._unanswered: dict[str, int] = {}  # name -> the change of this stream that asked for it; 0: the start
        self._of_start: set[str] = set()  # names that the start asked for, and no change since
        self.snapshot_complete = False

    # What it asks for

    def connect(self, edge: Edge) -> None:
        if self.stream is not None:
            return
        held = self._held() if self.token else {}
        asked = self.wanted - held.keys()
        if self.rules.unanswered_asked_anew:
            self._forget_names(asked)
            self._unanswered = dict.fromkeys(asked, 0)
        else:
            self._unanswered = {}
        watch = self.rules.watch(TENANT, lambda _user: PENDING)
        watch.begin(sorted(asked), held.items(), self.token.encode() if self.token else "")
        self._changes = 0
        self._of_start = set(self.wanted)
        self.stream = Stream(watch, edge)
        edge.streams.append(self.stream)

    def disconnect(self) -> None:
        if self.stream is not None:
            self.stream.edge.streams.remove(self.stream)
            self.stream = None

    def change(self, added: set[str], removed: set[str], edge: Edge) -> None:
        """Watch other names from now on; without a stream of requests by opening another stream, to `edge`."""
        self.wanted = (self.wanted - removed) | added
        self._of_start -= added | removed
        self._forget_names(removed)
        self._changes += 1
        self._unanswered.update(dict.fromkeys(added, self._changes if self.rules.changes_counted else 0))
        if self.stream is None:
            return
        if self.streams_requests:
            self.stream.requests.append((added, removed))
        else:
            self.disconnect()
            self.connect(edge)

    def _held(self) -> dict[str, Resolution]:
        return {
            name: meaning
            for name, meaning in self.meanings.items()
            if name not in self._unanswered and (isinstance(meaning, Status) or meaning in self.answers)
        }

    def _forget_names(self, names: set[str]) -> None:
        for name in names:
            self.meanings.pop(name, None)
            self._unanswered.pop(name, None)
        self._forget_nameless()

    def _forget_nameless(self) -> None:
        if self.rules.nameless_forgotten:
            self.answers = {user: self.answers[user] for user in self.answers.keys() & set(self.meanings.values())}

    # What it is sent

    def receive(self) -> bool:
        """Take in the next response; whether there was one."""
        if self.stream is None or not self.stream.responses:
            return False
        take = self.stream.responses.popleft()
        if take.started is not None:
            self._begin(take.started)
        for name, meaning in take.resolved:
            self._learn(name, meaning, take.changes_seen)
        if take.resolved:
            self._forget_nameless()
        for user, version in take.answers:
            self._keep(user, version, take.changes_seen)
        if take.snapshot_complete:
            self._complete()
        if take.token is not None:
            self.token = take.token
        return True

    def _begin(self, outcome: StartOutcome) -> None:
        self.snapshot_complete = False
        if outcome is not StartOutcome.RESUMED:
            self.answers.clear()
            self.meanings.clear()
            self.token = None

    def _learn(self, name: str, meaning: Resolution, changes_seen: int) -> None:
        if name not in self.wanted:
            return  # it was on its way when the name was unsubscribed
        self.meanings[name] = meaning
        if isinstance(meaning, Status) and changes_seen >= self._unanswered.get(name, 0):
            self._unanswered.pop(name, None)

    def _keep(self, user: UserId, version: int, changes_seen: int) -> None:
        if version != PENDING:
            if version < self._newest.get(user, 0):
                raise Broken(f"Ordered: version {version} of {user} after {self._newest[user]}")
            self._newest[user] = version
        names = [name for name, meaning in self.meanings.items() if meaning == user]
        if not names and changes_seen == self._changes and self.rules.nameless_forgotten:
            raise Broken(f"Named: an answer of {user}, for whom no name stands")
        if names or not self.rules.nameless_forgotten:
            self.answers[user] = version
        for name in names:
            if changes_seen >= self._unanswered.get(name, 0):
                self._unanswered.pop(name, None)

    def _complete(self) -> None:
        if self.snapshot_complete:
            raise Broken("Answered: the snapshot was completed twice")
        self.snapshot_complete = True
        missing = self._of_start - self.meanings.keys()
        if missing:
            raise Broken(f"Answered: the snapshot is complete without {missing}")

    # What must hold in the end

    def check(self, truth: dict[str, Resolution], versions: dict[UserId, int]) -> None:
        """Everything has come to rest: the suite must show what Graph says."""
        if self.wanted and not (self.snapshot_complete and self.token):
            raise Broken("Answered: the snapshot was never completed")
        for name in self.wanted:
            meaning = truth[name]
            if self.meanings.get(name) != meaning:
                raise Broken(f"Convergent: {name} is {self.meanings.get(name)!r}, should be {meaning!r}")
            if not isinstance(meaning, Status) and self.answers.get(meaning) != versions[meaning]:
                raise Broken(f"Resumable: {meaning} is {self.answers.get(meaning)}, Graph says {versions[meaning]}")

    def describe(self) -> dict[str, Any]:
        """What a person tracing a schedule wants to see."""
        return {"wanted": self.wanted, "meanings": self.meanings, "answers": self.answers, "token": self.token}
