"""What one suite shows, replayed from what it was told."""

from __future__ import annotations

from collections.abc import Mapping

from tests.chaos.history import Look
from tests.chaos.record import (
    Asked,
    Closed,
    Complete,
    Connected,
    Disconnected,
    Dropped,
    OfSuite,
    Opened,
    Reset,
    Resolved,
    Shown,
    Told,
)  # fmt: skip


class View:
    """The state of a suite after the lines that it was fed.

    Attributes:
        tenant: whose key it has.
        is_open: it has come and not left.
        is_connected: it has a stream.
        is_complete: the snapshot of that stream was complete.
        status: what it was last told of its tenant; empty before.
        every_s: how often its users are read, as it was last told.
        watched: names that it asked for, and since when.
        answers: user -> how they are seen, or the status that says why not.
        certain: the users whose answers were not put in doubt by a reset.
    """

    def __init__(self) -> None:
        self.tenant = self.status = ""
        self.is_open = self.is_connected = self.is_complete = False
        self.every_s = 0.0
        self.watched: dict[str, float] = {}
        self.users: dict[str, str] = {}
        self.answers: dict[str, Look | str] = {}
        self.certain: set[str] = set()

    @property
    def is_well(self) -> bool:
        """Whether the suite believes that what it shows is true."""
        return self.is_connected and self.is_complete and self.status == "NONE"

    @property
    def looks(self) -> Mapping[str, Look]:
        """Return user -> how they are seen, of those that are shown as certain."""
        return {
            user: answer for user, answer in self.answers.items() if isinstance(answer, Look) and user in self.certain
        }

    def feed(self, line: OfSuite) -> None:
        """Take the next line of the suite's in."""
        match line:
            case Opened(tenant=tenant):
                self.__init__()  # type: ignore[misc]  # another client, which holds nothing
                self.is_open, self.tenant = True, tenant
            case Closed():
                self.is_open = self.is_connected = False
            case Asked(at=at, names=names):
                self.watched |= dict.fromkeys(names, at)
            case Dropped(names=names):
                self._drop(names)
            case Connected() | Disconnected() | Complete() | Reset():
                self._feed_stream(line)
            case Resolved(name=name, user=user, status=status):
                self._resolve(name, user, status)
            case Shown():
                look = Look(line.availability, line.activity, line.number)
                self.answers[line.user] = line.status or look
                self.certain.add(line.user)
            case Told(status=status, every_s=every_s):
                self.status, self.every_s = status, every_s or self.every_s

    def _feed_stream(self, line: Connected | Disconnected | Complete | Reset) -> None:
        match line:
            case Connected():
                self.is_connected, self.is_complete = True, False
            case Disconnected():
                self.is_connected = self.is_complete = False
                self.status = ""  # a stream that begins anew, after a reset, does not repeat it
            case Complete():
                self.is_complete = True
            case Reset(kept=kept):
                self.certain.clear()
                if not kept:
                    self.answers.clear()

    def _resolve(self, name: str, user: str, status: str) -> None:
        if user:
            self.users[name] = user
        elif status != "PENDING":
            self.users.pop(name, None)

    def _drop(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.watched.pop(name, None)
            user = self.users.pop(name, "")
            if user and user not in self.users.values():
                self.answers.pop(user, None)
                self.certain.discard(user)
