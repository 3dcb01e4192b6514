"""The end of a stream: its reason from the relay or the transport, the client's reaction, and a sentence for users.

The relay sends a reason in `ErrorInfo.reason`. The transport gives free text: the patterns below match grpcio 1.85, and the tests
cause each failure.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import grpc

from suite.error_details import ErrorDetails, parse_error_details

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpc import aio

    from suite.channel import Target

DOMAIN: Final = "presence.relay"
TOO_MANY_WATCHES_WAIT: Final = timedelta(minutes=1)
"""The wait that the protocol requires when the tenant has too many open streams."""


class Remedy(enum.Enum):
    """The client's reaction to the end of a stream."""

    BACK_OFF = "resume after a wait"
    AT_ONCE = "resume at once, once"
    WITHOUT_TOKEN = "forget the held answers and start again"  # noqa: S105
    STOP = "stop: an administrator must act"


@dataclass(frozen=True, slots=True)
class Ending:
    """The reason for the end of a stream."""

    code: grpc.StatusCode
    details: str = ""
    reason: str = ""
    """The relay's reason; empty when the transport failed."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None

    @property
    def remedy(self) -> Remedy:
        """Return the remedy for the relay's reason, or for the gRPC code when the reason is not known."""
        if self.reason in _BY_REASON:
            return _BY_REASON[self.reason]
        if _FROM_BETWEEN.search(self.details):
            return Remedy.BACK_OFF
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED and "SERVER: Received message larger" in self.details:
            return Remedy.STOP
        return _BY_CODE.get(self.code, Remedy.BACK_OFF)

    @property
    def wait_at_least(self) -> timedelta | None:
        """Return the wait that the relay requested, or None."""
        if self.reason == "ERROR_REASON_TOO_MANY_WATCHES":
            return max(self.retry_after or TOO_MANY_WATCHES_WAIT, TOO_MANY_WATCHES_WAIT)
        return self.retry_after


LOST: Final = Ending(grpc.StatusCode.UNAVAILABLE, details="silence")
"""The relay sent nothing for too long, so the stream counts as dead."""
ENDED: Final = Ending(grpc.StatusCode.OK)
"""The relay ended the stream without a reason."""


def ending_of(error: aio.AioRpcError) -> Ending:
    """Return the ending for a gRPC error."""
    details = ErrorDetails()
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            details = parse_error_details(value, DOMAIN)
    return Ending(error.code(), error.details() or "", details.reason, details.metadata, details.retry_delay)


_BY_REASON: Final = {
    "ERROR_REASON_SHUTDOWN": Remedy.BACK_OFF,
    "ERROR_REASON_REBALANCE": Remedy.BACK_OFF,
    "ERROR_REASON_STORE_UNAVAILABLE": Remedy.BACK_OFF,
    "ERROR_REASON_SLOW_WATCHER": Remedy.AT_ONCE,
    "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT": Remedy.WITHOUT_TOKEN,
    "ERROR_REASON_START_EXPECTED": Remedy.STOP,
    "ERROR_REASON_ACTION_EXPECTED": Remedy.STOP,
    "ERROR_REASON_SUITE_KEY_UNKNOWN": Remedy.STOP,
    "ERROR_REASON_SUITE_KEY_REVOKED": Remedy.STOP,
    "ERROR_REASON_TENANT_REMOVED": Remedy.STOP,
    "ERROR_REASON_TOO_MANY_USERS": Remedy.STOP,
    "ERROR_REASON_TOO_MANY_WATCHES": Remedy.BACK_OFF,
    "ERROR_REASON_BUG": Remedy.BACK_OFF,
    "ERROR_REASON_BUSY": Remedy.BACK_OFF,
    "ERROR_REASON_METADATA_TOO_LARGE": Remedy.STOP,
    "ERROR_REASON_REPLACED": Remedy.BACK_OFF,
}

_BY_CODE: Final = {
    grpc.StatusCode.UNAUTHENTICATED: Remedy.STOP,
    grpc.StatusCode.PERMISSION_DENIED: Remedy.STOP,
    grpc.StatusCode.INVALID_ARGUMENT: Remedy.STOP,
}

# A gateway or proxy answered instead of the relay. The cause may be temporary, so the client retries.
_FROM_BETWEEN: Final = re.compile(r"Received http2 header with status: (\d+)")

_SENTENCES: Final = {
    "ERROR_REASON_SHUTDOWN": "The relay is restarting.",
    "ERROR_REASON_REBALANCE": "The relay asked this suite to reconnect.",
    "ERROR_REASON_STORE_UNAVAILABLE": "The relay cannot reach its store at the moment.",
    "ERROR_REASON_SLOW_WATCHER": "This suite did not read what the relay sent, and the relay ended the stream.",
    "ERROR_REASON_RESUME_TOKEN_OF_ANOTHER_TENANT": "The stored presences belong to another organisation; starting again without them.",
    "ERROR_REASON_START_EXPECTED": "The relay did not understand how the stream began; this suite's software needs an update.",
    "ERROR_REASON_ACTION_EXPECTED": "The relay did not understand a request; this suite's software needs an update.",
    "ERROR_REASON_SUITE_KEY_UNKNOWN": "The relay does not know this suite key. Copy the key again from the relay's onboarding page.",
    "ERROR_REASON_SUITE_KEY_REVOKED": "This suite key was revoked. Create a new one on the relay's onboarding page.",
    "ERROR_REASON_TENANT_REMOVED": "The organisation has left the relay. An administrator must onboard it again.",
    "ERROR_REASON_BUG": "The relay has a bug; its operator sees it in the log.",
    "ERROR_REASON_BUSY": "The relay is busy with calls whose keys it has not verified yet.",
    "ERROR_REASON_METADATA_TOO_LARGE": "The relay accepts 16 KiB of metadata a call; this suite, or a proxy in between, sends more.",
    "ERROR_REASON_REPLACED": "Another program with the same instance id replaced this stream. Give each program a different id.",
}


_PER: Final = {
    "tenant": "for the organisation",
    "tenant_at_edge": "for all the organisation's streams at one address, each counted on each stream",
}


def explain(ending: Ending, target: Target) -> str:
    """Return one or two sentences for users: the cause, and what to do about it."""
    match ending.reason:
        case "ERROR_REASON_TOO_MANY_USERS":
            limit, per = ending.metadata.get("limit", "?"), ending.metadata.get("per", "stream")
            return f"Too many users: the relay accepts {limit} {_PER.get(per, f'a {per}')}. Watch fewer."
        case "ERROR_REASON_TOO_MANY_WATCHES":
            limit = ending.metadata.get("limit", "?")
            return f"The organisation already has {limit} open streams, its limit. Close those that are not needed."
        case "ERROR_REASON_SUITE_KEY_REVOKED" if "key_id" in ending.metadata:
            return f"{_SENTENCES['ERROR_REASON_SUITE_KEY_REVOKED']} (Key id {ending.metadata['key_id']}.)"
        case "ERROR_REASON_BUG" if "incident" in ending.metadata:
            return f"{_SENTENCES['ERROR_REASON_BUG']} (Incident {ending.metadata['incident']}.)"
    return _SENTENCES.get(ending.reason) or _of_transport(ending, target)


def _of_transport(ending: Ending, target: Target) -> str:
    if ending is ENDED:
        return "The relay ended the stream."
    if ending is LOST:
        holds = f", or the proxy {target.proxy.shown} holds back what is sent" if target.proxy else ""
        return f"{target.address} has sent nothing for too long; the connection must be dead{holds}."
    via = f" through the proxy {target.proxy.shown}" if target.proxy else ""
    next_hop = f"the proxy {target.proxy.shown}" if target.proxy else target.address
    words = {
        "address": target.address,
        "name": target.server_name or target.host,
        "via": via,
        "next_hop": next_hop,
        "host": target.proxy.shown.rpartition(":")[0] if target.proxy else target.host,
        "without_http2": (
            f"the proxy inspects TLS and does not pass HTTP/2, or it is a web server. Have {target.address} exempted from the inspection"
            if target.proxy
            else "it is a web server, not the relay's gRPC port"
        ),
    }
    for pattern, sentence in _TRANSPORT:
        found = pattern.search(ending.details)
        if found:
            spoken = sentence.format(*found.groups(), **words)
            return spoken[0].upper() + spoken[1:] if spoken.startswith("the ") else spoken
    return _SENTENCES_BY_CODE.get(ending.code, f"The connection to {target.address}{via} failed ({ending.code.name}).")


_SENTENCES_BY_CODE: Final = {
    grpc.StatusCode.UNAUTHENTICATED: "The relay refuses this suite key.",
    grpc.StatusCode.PERMISSION_DENIED: "The relay does not permit this suite to watch.",
    grpc.StatusCode.INVALID_ARGUMENT: "The relay did not understand a request; this suite's software needs an update.",
    grpc.StatusCode.UNIMPLEMENTED: "The server there is not a presence relay, or an older release of it.",
}

_TRANSPORT: Final = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"HTTP proxy returned response code 407", "{next_hop} requires a user name and password: http://user:password@host:port."),
        (r"HTTP proxy returned response code 401", "{next_hop} refuses the user name or the password (HTTP 401). Correct them."),
        (r"HTTP proxy returned response code (\d+)", "{next_hop} refuses to connect to {address} (HTTP {0}). Have CONNECT allowed there."),
        (r"WRONG_VERSION_NUMBER", "{address} does not speak TLS{via}: it is a plain-text port, or something else answers there."),
        (r"Hostname Verification Check failed", "The certificate of {address} is not for the name {name!r}. Use the name that is in it (--server-name)."),
        (
            r"unable to get local issuer certificate|self.signed certificate",
            "The certificate of {address} was not issued by a CA that is trusted here. Give the right CA file (--ca-file, or Relay.CaFile of the agent); "
            "a proxy that inspects TLS has a CA of its own.",
        ),
        (r"certificate has expired", "The certificate of {address} has expired, or this machine's clock is wrong."),
        (r"certificate is not yet valid", "The certificate of {address} is not valid yet. Check this machine's clock."),
        (r"CERTIFICATE_VERIFY_FAILED", "The certificate of {address} cannot be trusted."),
        (r"missing selected ALPN property|http1\.x server|Failed parsing HTTP/2", "{address} speaks TLS but not HTTP/2{via}: {without_http2}."),
        (r"Domain name not found|address lookup failed|DNS server", "The name {host!r} cannot be found. Check the address and this machine's DNS."),
        (r"Connection refused", "Nothing listens at {next_hop} (connection refused)."),
        (r"[Nn]etwork is unreachable|No route to host", "There is no network route to {next_hop}."),
        (r"[Tt]imed out|[Tt]imeout|Endpoint closing", "{next_hop} did not answer in time; a firewall may be in between."),
        (r"Handshake read failed|[Cc]onnection reset", "The connection to {address}{via} was cut while it was being opened; a firewall may be in between."),
        (r"Received http2 header with status: (\d+)", "A gateway in front of the relay answered instead of it (HTTP {0})."),
        (r"SERVER: Received message larger than max", "A message was larger than the relay accepts. Watch fewer users, or shorten the names."),
        (r"Received message larger than max", "The relay sent a message that is larger than this suite accepts."),
        (r"too_many_pings|Too many pings", "The relay, or a proxy in front of it, objects to keep-alive pings every 30 s."),
        (r"keepalive|ping timeout", "The connection to {address}{via} went silent and was closed."),
        (r"Socket closed|Cancelling all calls|GOAWAY|Connection aborted|Broken pipe", "The connection to {address}{via} was lost."),
    )
)  # fmt: skip
