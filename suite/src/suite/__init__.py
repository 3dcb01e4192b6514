"""The suite's side of the presence relay: a client library and the `presence-suite` command.

    cli.py            the command: its options and exit codes
    conformance.py    finds the conformance kit, which comes with the relay
    doctor/           find the failing hop between this machine and presence, and suggest a fix
    agent/            the agent on the customer's premises: settings, sources, the local API
    sip/              a SIP user agent for presence: subscriber, notifier and publisher
    inputs.py         read the key, the certificates and the users from files
    watching.py       run a client until the user stops it
    table.py          draw the live table
    lines.py          print events as lines, in words or JSON
    icons.py          glyph, colour and words of each console status
    client.py         PresenceClient: keep a stream open, resume it, yield events
    stream.py         one open stream of either form
    health.py         ask the relay for its health, without a key
    channel.py        the connection to the relay: address, TLS, limits
    proxy.py          choose the HTTP proxy
    chunking.py       split a start or a change into messages within the size limits
    backoff.py        the wait before the next stream
    explain.py        the end of a stream: the client's reaction, and a sentence for users
    error_details.py  the details of a gRPC error
    state.py          the names and answers held, the effect of each response, the start of the next stream
    uncertain.py      presences from before a reset
    held.py           names and answers that a client holds
    names.py          compare spellings of names
    events.py         the events that a client yields
    values.py         presence, statuses and other values
    system.py         everything that differs between Windows and other systems
    windows_rights.py file permissions on Windows
    errors.py         the errors that the library raises

A module imports only modules below it in this list, except that every module may import `errors`, `names`, `system` and `values`.
The package depends on the protocol (`presence_api.v1`) and on nothing else of the relay. A suite in another language can have the
same structure; copy `state` with care. The names in `__all__` are public. They are imported on first use, so that
`presence-suite --help` does not load gRPC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from suite.backoff import Backoff
    from suite.client import PresenceClient
    from suite.errors import ConfigError, Refused, SuiteError, TooManyUsers
    from suite.events import (
        Changed,
        Connected,
        Disconnected,
        Event,
        Progress,
        Reset,
        Resolved,
        SnapshotComplete,
        TenantStatus,
    )
    from suite.held import Answer, Held, Resolution
    from suite.values import Availability, ConsoleStatus, Outcome, Presence, Source, Status

__all__ = [
    "Answer",
    "Availability",
    "Backoff",
    "Changed",
    "ConfigError",
    "Connected",
    "ConsoleStatus",
    "Disconnected",
    "Event",
    "Held",
    "Outcome",
    "Presence",
    "PresenceClient",
    "Progress",
    "Refused",
    "Reset",
    "Resolution",
    "Resolved",
    "SnapshotComplete",
    "Source",
    "Status",
    "SuiteError",
    "TenantStatus",
    "TooManyUsers",
]

_MODULES: Final = ("backoff", "client", "errors", "events", "held", "values")
"""Modules that define the public names."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in __all__:
        for module in map(import_module, (f"{__name__}.{each}" for each in _MODULES)):
            defined = getattr(module, name, None)
            if getattr(defined, "__module__", None) == module.__name__:
                globals()[name] = defined
                return defined
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return [*globals(), *__all__]
