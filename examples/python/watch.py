"""Show the Microsoft Teams presence of colleagues: one line of JSON for each answer.

    python watch.py ADDRESS CA_FILE KEY_FILE USER...

The library `suite` (distribution presence-suite) keeps the stream open, resumes it, and tracks which answers are certain.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from suite import (
    Connected,
    Disconnected,
    PresenceClient,
    Refused,
    Reset,
    SnapshotComplete,
    Status,
    SuiteError,
    TenantStatus,
)


def main() -> None:
    """Watch until the user ends the program or the relay refuses it."""
    if len(sys.argv) < 5:
        sys.exit("usage: watch.py ADDRESS CA_FILE KEY_FILE USER...")
    address, ca_file, key_file, *users = sys.argv[1:]
    try:
        ca_pem, key = Path(ca_file).read_bytes(), Path(key_file).read_text()
        # The client uses the proxy in HTTPS_PROXY.
        client = PresenceClient(address, key, ca_pem=ca_pem, users=users, client_name="example-python", version="1.0")
        asyncio.run(watch(client, users))
    except Refused as refused:
        say(f"refused: {refused.reason}: {refused}")
        sys.exit(3)
    except (OSError, SuiteError) as error:
        say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        pass


async def watch(client: PresenceClient, users: list[str]) -> None:
    """Print a line for each user whose answer changes, and one when all of them become certain or uncertain."""
    shown: dict[str, dict[str, str]] = {}
    complete, well, certain = False, True, False
    async with client:
        async for event in client.events():
            match event:
                case Connected(outcome):
                    say(f"connected: OUTCOME_{outcome.name}")
                    complete, well = False, True
                case Disconnected(reason, retry_in):
                    say(f"disconnected: {reason} Again in {retry_in.total_seconds():.1f} s.")
                    complete = False
                case Reset(kept):
                    complete = False
                    if not kept:
                        shown.clear()
                case SnapshotComplete():
                    complete = True
                case TenantStatus(status):
                    well = status is Status.NONE
            for user in users:
                line = line_of(client, user)
                if line is not None and shown.get(user) != line:
                    shown[user] = line
                    print_line(line)
            if certain != (complete and well):
                certain = complete and well
                print_line({"certain": certain})


def line_of(client: PresenceClient, user: str) -> dict[str, str] | None:
    """Return the line for a user: a status, or UNKNOWN and the reason. None: the relay has not answered yet."""
    resolution, answer = client.find(user)
    if answer is not None and answer.presence is not None:
        return {"user": user, "status": answer.presence.console_status.name, "reason": ""}
    reason = answer.status if answer is not None else resolution and resolution.status
    return {"user": user, "status": "UNKNOWN", "reason": reason.name} if reason is not None else None


def print_line(line: dict[str, str] | dict[str, bool]) -> None:
    """Print a line and flush it, so that it also reaches a pipe at once."""
    print(json.dumps(line, ensure_ascii=False, separators=(",", ":")), flush=True)


def say(text: str) -> None:
    """Print a message to stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
