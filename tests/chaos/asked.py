"""The requests to Graph while a town is at work, gathered from the local cloud's journal.

Names are asked for again by a clock of their own, each after 225 to 300 s. All names of a town begin together, so that two equal spans of
time hold different numbers of such requests; what can be said of them is that none comes before its time.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from tests.chaos.processes import Relay

NAMES_AGAIN_S: Final = 220.0
"""Three quarters of five minutes, less the time that a request may take."""
_EVERY_S: Final = 20.0
_PAGE: Final = 20_000
_NAME: Final = re.compile(r"'([^']+@[^']+)'")


@dataclass
class AskedOfGraph:
    """Every request so far.

    Attributes:
        at: kind -> when, in seconds since 1970.
        early: (time, name) of names that were asked for again before their time.
    """

    at: dict[str, list[float]] = field(default_factory=dict)
    early: list[tuple[float, str]] = field(default_factory=list)
    _names: dict[str, float] = field(default_factory=dict)
    _newest: int = 0

    async def gather(self, relay: Relay) -> None:
        """Take in what was asked since the last time."""
        found = await relay.ask("GET", "journal", path="/v1.0/", after=self._newest, limit=_PAGE)
        for entry in found["entries"]:
            self._take(entry)
            self._newest = entry["number"]

    async def keep_gathering(self, relay: Relay) -> None:
        """Gather until cancelled, before the journal forgets."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.gather(relay)

    def counts(self, began: float, ended: float) -> Counter[str]:
        """Count the requests between two instants, by kind."""
        return Counter({kind: sum(began <= at < ended for at in times) for kind, times in self.at.items()})

    def _take(self, entry: dict[str, Any]) -> None:
        kind = _kind(entry["path"])
        self.at.setdefault(kind, []).append(entry["utc"])
        for name in _NAME.findall(unquote(entry["query"])) if entry["status"] == 200 else ():
            before, self._names[name] = self._names.get(name, 0.0), entry["utc"]
            if before and entry["utc"] - before < NAMES_AGAIN_S:
                self.early.append((entry["utc"], name))


def _kind(path: str) -> str:
    if path.endswith("getPresencesByUserId"):
        return "reads"
    return "subscriptions" if "/subscriptions" in path else "names"
