"""The observations of each step; None for a step that did not run."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from suite.doctor.certificate import Certificate
    from suite.explain import Ending
    from suite.values import Status


UNTRUSTED_ISSUER: Final = frozenset({18, 19, 20, 21})
"""OpenSSL's codes for an untrusted issuer: self-signed, self-signed in the chain, unknown issuer, incomplete chain."""


class Hop(enum.Enum):
    """One part of the path to presence. The members are in the order of the path."""

    NAME = "name"
    ROUTE = "route"
    PROXY = "proxy"
    TLS = "TLS"
    CERTIFICATE = "certificate"
    HTTP2 = "HTTP/2"
    RELAY = "relay"
    STREAMS = "streams"
    KEY = "key"
    ORGANISATION = "organisation"
    CONSENT = "consent"
    IDLE = "idle"
    CLOCK = "clock"


class Fault(enum.Enum):
    """The way in which a step on the network fails."""

    NONE = ""
    UNKNOWN_NAME = "unknown name"
    NO_NAME_SERVER = "no answer from the name server"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    SILENT = "no answer in time"
    CLOSED = "closed"
    GARBLED = "something else answers"


@dataclass(frozen=True, slots=True)
class Named:
    """The addresses of the next hop's name."""

    host: str
    addresses: tuple[str, ...]
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt to connect to an address."""

    address: str
    fault: Fault
    took_s: float


@dataclass(frozen=True, slots=True)
class Routed:
    """The attempts to connect to the next hop. The last one succeeded, or none did."""

    port: int
    tries: tuple[Try, ...]

    @property
    def is_open(self) -> bool:
        """Return True when a connection was opened."""
        return bool(self.tries) and self.tries[-1].fault is Fault.NONE


@dataclass(frozen=True, slots=True)
class Proxied:
    """The proxy's answer to CONNECT.

    Attributes:
        status: its HTTP status; 0 when it gave none.
        schemes: the logins that it offers, such as Basic.
        server: its `Server` or `Via` header.
        date: its `Date` header.
    """

    shown: str
    has_login: bool
    status: int = 0
    schemes: tuple[str, ...] = ()
    server: str = ""
    date: datetime | None = None
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True)
class Secured:
    """The TLS handshake.

    Attributes:
        alpn: the protocol that was chosen: h2, http/1.1, or empty for none.
        verify_code: OpenSSL's reason not to trust the certificate; 0 when it is trusted.
        system_trusts: True when the system's certificates trust it; checked only when it is not trusted.
        has_ca: True when a CA file was given.
        words: OpenSSL's error text for a failed handshake.
    """

    name: str
    fault: Fault = Fault.NONE
    version: str = ""
    alpn: str = ""
    certificate: Certificate | None = None
    verify_code: int = 0
    verify_words: str = ""
    system_trusts: bool = False
    has_ca: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The first HTTP/2 frames.

    Attributes:
        has_settings: the server sent its SETTINGS.
        has_pong: the server answered a ping.
    """

    has_settings: bool
    has_pong: bool
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True)
class Controls:
    """Calls that need no key, made when the stream does not begin or there is no key.

    Attributes:
        answers: True when a unary call was answered.
        sees_open_requests: True when an answer came before the request had ended.
        sees_open_answers: the beginning of an answer came before its end; None when the server has no such method.
        ending: the end of the first call, when the transport failed.
    """

    answers: bool
    sees_open_requests: bool
    sees_open_answers: bool | None
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One stream of the real client.

    Attributes:
        form: the form of the stream, `watch` or `stream`.
        has_begun: the relay began it.
        ending: its end; None when it was still open at the end of the test.
        tenant: the status of the organisation; None when the relay did not send it.
        contact: the contact time, by the relay's clock.
        contact_moved: True when it changed while the stream was open, so it is recent.
        date: the `date` header of the answer.
    """

    form: str
    has_begun: bool = False
    ending: Ending | None = None
    tenant: Status | None = None
    contact: datetime | None = None
    contact_moved: bool = False
    date: datetime | None = None
    began_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Idled:
    """The result of an idle stream.

    Attributes:
        waited_s: time for which it was kept idle.
        silence_s: the longest time without a byte in either direction, or the time before the cut.
        fault: NONE while it was alive at the end, CLOSED when it was cut, SILENT when a ping was not answered any more.
    """

    waited_s: float
    silence_s: float
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True)
class Observations:
    """The observations of all steps.

    Attributes:
        address: the relay's address, host:port.
        now: this machine's time at the beginning of the steps.
        asked: the streams that were tried, in order.
        has_key: True when a key was given.
        is_exempt: True when the environment has a proxy, and NO_PROXY exempts the relay from it.
    """

    address: str
    now: datetime
    named: Named | None = None
    routed: Routed | None = None
    proxied: Proxied | None = None
    secured: Secured | None = None
    spoken: Spoken | None = None
    asked: tuple[Asked, ...] = field(default=())
    controls: Controls | None = None
    idled: Idled | None = None
    has_key: bool = True
    is_exempt: bool = False
