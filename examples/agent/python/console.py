"""A console of the agent: prints one line of JSON for each change. Needs only the standard library.

python console.py http://127.0.0.1:8790 [USER...]
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

SILENCE_S = 60
"""The agent sends a comment every 15 seconds."""


class Console:
    """The state of the console. The next stream continues after `last_event_id`."""

    def __init__(self, agent: str, users: list[str]) -> None:
        self.address = urlsplit(agent).netloc
        self.path = "/v1/events" + "".join(f"{'&' if at else '?'}user={quote(user)}" for at, user in enumerate(users))
        self.shown: dict[str, dict[str, Any]] = {}
        self.fresh: set[str] | None = None
        self.last_event_id = ""

    def listen(self) -> None:
        """Read one stream until it ends, breaks, or is silent for a minute."""
        connection = http.client.HTTPConnection(self.address, timeout=SILENCE_S)
        try:
            headers = {"Last-Event-ID": self.last_event_id} if self.last_event_id else {}
            connection.request("GET", self.path, headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                raise OSError(f"the agent answered {response.status}: {response.read(1000).decode()}")
            for name, data, event_id in events(response):
                self.take(name, data)
                self.last_event_id = event_id or self.last_event_id
        finally:
            connection.close()
        raise OSError("the agent ended the stream")

    def take(self, name: str, data: dict[str, Any]) -> None:
        """Process one event. Kinds of events that this program does not know are ignored."""
        match name:
            case "everything":
                self.fresh = set()
            case "state":
                self.show(data)
            case "removed":
                self.forget(data["user"])
            case "complete":
                for user in self.shown.keys() - self.fresh if self.fresh is not None else ():
                    self.forget(user)
                self.fresh = None
                print_line({"connected": True})

    def show(self, data: dict[str, Any]) -> None:
        """Show a colleague."""
        user = data["user"]
        line = {"user": user, "status": data["status"], "reason": data["reason"], "certain": not data["uncertain"]}
        if self.fresh is not None:
            self.fresh.add(user)
        if self.shown.get(user) != line:
            print_line(line)
        self.shown[user] = line

    def forget(self, user: str) -> None:
        """Stop showing a colleague."""
        if self.shown.pop(user, None):
            print_line({"user": user, "status": "removed", "reason": "", "certain": True})


def events(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, data and id of each server-sent event."""
    event: dict[str, str] = {}
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        field, _, value = line.partition(":")
        if field:
            event[field] = value.removeprefix(" ")
        elif not line:
            if "event" in event:
                yield event["event"], json.loads(event["data"]), event.get("id", "")
            event = {}


def print_line(line: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(line, separators=(",", ":")), flush=True)


def main() -> None:
    """Show colleagues until the user ends the program."""
    if len(sys.argv) < 2:
        sys.exit("usage: console.py URL [USER...]")
    console = Console(sys.argv[1], sys.argv[2:])
    while True:
        try:
            console.listen()
        except (OSError, http.client.HTTPException) as error:
            print(f"disconnected: {error}", file=sys.stderr, flush=True)
            print_line({"connected": False})  # the shown states may be old: display them as uncertain
        time.sleep(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
