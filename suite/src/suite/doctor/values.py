"""The observations of each step. A step that was not taken has left None."""

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
"""OpenSSL's codes for a signature by nobody that is trusted: self-signed, such a chain, an unknown issuer, an incomplete chain."""


class Hop(enum.Enum):
    """One part of the way to presence, in the order in which they are passed."""

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
        """Return True when a connection was made."""
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
        system_trusts: the system's own certificates trust it; asked only when it is not trusted.
        has_ca: a CA file was given.
        words: OpenSSL's words for a handshake that failed.
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
        answers: a call whose request and answer are whole was answered.
        sees_open_requests: an answer came before the request had ended.
        sees_open_answers: the beginning of an answer came before its end; None when the server cannot be asked so.
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
        ending: its end; None while it was open when we left.
        tenant: whether the organisation can be read; None when the relay did not say.
        contact: when Microsoft last confirmed, by the relay's clock.
        contact_moved: it moved while the stream was open, so it is new.
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
    """A stream that was left alone.

    Attributes:
        waited_s: how long.
        silence_s: the longest time without a byte in either direction, or the time before the cut.
        fault: NONE while it was alive at the end, CLOSED when it was cut, SILENT when a ping was not answered any more.
    """

    waited_s: float
    silence_s: float
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that was seen.

    Attributes:
        address: the relay's, host:port.
        now: our clock while the steps were taken.
        asked: the streams that were tried, in this order.
        has_key: a key was given.
        is_exempt: the environment has a proxy, and NO_PROXY exempts the relay from it.
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
