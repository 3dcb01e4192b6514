"""The suite's side of the presence relay: a client library and the `presence-suite` command.

    cli.py            the command: its options and exit codes
    conformance.py    finds the conformance kit, which comes with the relay
    doctor/           find the hop that fails on the way to presence, and say what to do
    agent/            the agent on the customer's premises: settings, sources, the local API
    sip/              a SIP user agent for presence, both ways
    inputs.py         read the key, the certificates and the users from files
    watching.py       run a client until a person stops it
    table.py          draw the live table
    lines.py          print events as lines, in words or JSON
    icons.py          glyph, colour and words of each console status
    client.py         PresenceClient: keep a stream open, resume it, hand events out
    stream.py         one open stream of either form
    health.py         ask the relay for its health, without a key
    channel.py        the connection to the relay: address, TLS, limits
    proxy.py          choose the HTTP proxy
    chunking.py       cut a start or a change into messages that fit
    backoff.py        the wait before the next stream
    explain.py        the end of a stream: what to do about it, and a sentence for a person
    error_details.py  the details of a gRPC error
    state.py          the rules: what is held, the effect of each response, the start of the next stream
    uncertain.py      presences from before a reset
    held.py           names and answers that a client holds
    names.py          compare spellings of names
    events.py         the events that a client yields
    values.py         presence, statuses and other values
    system.py         everything that differs between Windows and other systems
    windows_rights.py who may use a file on Windows
    errors.py         the errors that the library raises

Imports point downwards in this list, but for `errors`, `names`, `system` and `values`, which every module may use. It knows the protocol (`presence_api.v1`) and nothing else of the relay. A suite in another language can be built from the same
parts; `state` is the one to copy with care. The names in `__all__` are public; they are imported when they are first used, so that
`presence-suite --help` does not wait for gRPC.
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
"""The modules that define the public names."""


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
