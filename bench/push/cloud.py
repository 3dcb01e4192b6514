"""The local cloud's records, as its control surface shows them: changes, requests, subscriptions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bench.push.judge import Sighting

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    import httpx

_MOST: Final = 20_000
RENEWED_WITHIN_S: Final = 45 * 60
"""Maximum age of a subscription without a renewal."""

PATIENT: Final = {"notification_timeout_s": 60.0, "notification_retry_timeout_s": 120.0, "endpoint_scored_after": 0}
"""Switches for a faster clock, by which 0.1 s of the machine are seconds, after which Graph would stop sending."""

UNHURRIED: Final[Mapping[str, Mapping[str, Any]]] = {
    "worker": {"lease": timedelta(minutes=5)},
    "redis": {"operation_timeout": timedelta(minutes=2)},
}
"""The same for a relay: with such a clock, stalls of the machine must not affect the measurement."""


@dataclass(slots=True)
class Account:
    """The records read so far; `follow` reads new ones, often enough that the cloud drops none before.

    Attributes:
        watched: the users whose changes count.
        changes: the changes of their presence.
        requests: (application, kind) -> number; the kinds are `read`, `subscriptions`, `directory`.
    """

    control: httpx.Client
    watched: Container[str]
    changes: list[Sighting] = field(default_factory=list)
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    _change: int = 0
    _request: int = 0

    def begin(self) -> None:
        """Start recording."""
        self.control.put("history", json={"enabled": True}).raise_for_status()
        self.control.delete("journal").raise_for_status()
        self.control.delete("history").raise_for_status()
        self._change = self._request = 0

    def follow(self) -> None:
        """Read the new records."""
        while changes := self._page("history", {"after": self._change, "limit": _MOST})["changes"]:
            self._change = changes[-1]["number"]
            self.changes += [
                Sighting(each["utc"], each["person"], (each["availability"], each["activity"]))
                for each in changes
                if each["person"] in self.watched
            ]
        found = self._page("journal", {"after": self._request, "path": "/v1.0/", "limit": _MOST})["entries"]
        if found:
            self._request = found[-1]["number"]
        for each in found:
            self.requests[each["app"], _kind(each["path"])] += 1

    def of(self, client_id: str) -> dict[str, int]:
        """Return the requests of an application, by kind."""
        return {kind: count for (app, kind), count in sorted(self.requests.items()) if app == client_id}

    def now_s(self) -> float:
        """Return the time of the world, in seconds."""
        return float(self._page("clock", {})["now_s"])

    def covered(self, client_id: str) -> int:
        """Return the number of users in live subscriptions of an application."""
        return sum(life["users"] for life in self.subscriptions(client_id) if life["ended_s"] is None)

    def subscriptions(self, client_id: str) -> list[dict[str, Any]]:
        """Return all subscriptions of an application, with their history."""
        lives: list[dict[str, Any]] = self._page("subscriptions", {})["subscriptions"]
        return [life for life in lives if life["app"] == client_id]

    def _page(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.control.get(path, params=query).raise_for_status().json()
        return found


def _kind(path: str) -> str:
    if path.endswith("/getPresencesByUserId"):
        return "read"
    return "subscriptions" if "/subscriptions" in path else "directory"


def live_at_once(lives: list[dict[str, Any]]) -> int:
    """Return the largest number of live subscriptions that one account had at one instant."""
    most = 0
    for account in {life["creator"] for life in lives}:
        mine = [life for life in lives if life["creator"] == account]
        # At the same instant the end comes first: deleted, then replaced.
        steps = [(life["created_s"], 1) for life in mine]
        steps += [(life["ended_s"], -1) for life in mine if life["ended_s"] is not None]
        live = 0
        for _, step in sorted(steps):
            live += step
            most = max(most, live)
    return most


def longest_unrenewed_s(lives: list[dict[str, Any]], now_s: float) -> float:
    """Return the longest time that a subscription lived without a renewal."""
    longest = 0.0
    for life in lives:
        end = now_s if life["ended_s"] is None else life["ended_s"]
        times = [life["created_s"], *(event["at_s"] for event in life["events"] if event["what"] == "renewed"), end]
        longest = max(longest, *(later - earlier for earlier, later in pairwise(times)))
    return longest
