"""Settings of the edge: where suites connect, and what they may do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core.watching.limits import HIGHEST, MOST_NAMES
from relay.settings.env import Duration, Group
from relay.settings.validators import SECOND, Certificates, ListenHost, MarkKeys, Port, PrivateKey, is_pair

if TYPE_CHECKING:
    from typing import Self


class WatchConfig(Group):
    """What suites may do."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WATCH_")

    linger: Duration = Field(
        timedelta(minutes=5), ge=timedelta(), description="how long users are read on after their last suite has left"
    )
    progress_interval: Duration = Field(
        timedelta(seconds=25),
        ge=timedelta(seconds=5),
        le=timedelta(minutes=5),
        description="how often an idle stream says how fresh it is, unless the suite asks otherwise",
    )
    streams_per_tenant: int = Field(64, ge=1, description="open streams of one tenant at one edge")
    unknown_linger: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(),
        description="how long a name that stands for nobody is kept after the last suite has left",
    )
    tenant_names: int = Field(
        MOST_NAMES,
        ge=1,
        le=HIGHEST,
        description="distinct users of one tenant on all its streams; `presence-relay tenants limit` sets another number for one",
    )
    names_at_once: int = Field(
        20_000, ge=1, description="names, asked for and given up, in changes with one suite key at one edge, at once,"
    )
    names_a_second: int = Field(
        500, ge=1, description="and how many follow each second; the edge reads no further change meanwhile"
    )
    start_names_at_once: int = Field(
        200_000, ge=1, description="names in starts with one suite key at one edge, at once,"
    )
    start_names_a_second: int = Field(5_000, ge=1, description="and how many follow each second")


class EdgeConfig(Group):
    """Where suites connect."""

    model_config = SettingsConfigDict(env_prefix="RELAY_EDGE_")

    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  suites come from outside
    port: Port = Field(8443, description="its port; 0 takes a free one. Suites expect 443 in front of it")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain for the name that suites connect to, PEM"
    )
    tls_key: PrivateKey | None = Field(None, description="its private key, PEM, without a password")
    plain_text: bool = Field(
        default=False,
        description="serve without TLS, which shows suite keys to the network: only behind a mesh that encrypts",
    )
    mark_keys: MarkKeys | None = Field(
        None,
        description="public keys (JWK set) that suite keys are verified with, so that writing to Redis makes none; "
        "`presence-relay keyring public` makes the file from the key ring. Not needed where the key ring is",
    )
    connections: int = Field(
        10_000,
        ge=10,
        description="connections at the same time, never more than a quarter of `nofile`; further ones are closed at once",
    )
    streams_per_connection: int = Field(
        100, ge=1, description="calls under way on one connection; a proxy opens another connection"
    )
    handshake: Duration = Field(
        timedelta(seconds=10), ge=SECOND, description="for TLS and the beginning of HTTP/2 on a new connection"
    )
    connection_age: Duration = Field(
        timedelta(seconds=5),
        ge=SECOND,
        description="how long a connection takes new streams: later ones open another, which a balancer places anew; "
        "at most half of `RELAY_EDGE_DRAIN_DELAY`",
    )
    metadata_bytes: int = Field(
        16_384, ge=1024, description="metadata of a call; a suite sends below 1 KiB, proxies add some"
    )
    message_bytes: int = Field(
        4 << 20, ge=1 << 20, description="one message of a suite: 10,000 held users with the longest names"
    )
    start_bytes: int = Field(
        40_000_000, ge=1 << 20, description="all parts of a start: 100,000 held users with the longest names"
    )
    start_long_chars: int = Field(
        1 << 20,
        ge=0,
        description="characters of all names in a start that are too long to be anybody's; they are kept until they were sent back",
    )
    name_chars: int = Field(
        1024, ge=320, le=65_536, description="one name, however malformed: it is sent back as it came"
    )
    unverified_calls: int = Field(
        256,
        ge=2,
        description="calls under way whose suite key is not verified yet or was found wrong, watches of health among them; "
        "further ones are refused at once",
    )
    verifications_at_once: int = Field(
        32, ge=1, description="of keys that this edge has not met; the others wait in a queue of the calls above"
    )
    unverified_reads: int = Field(
        16, ge=1, description="messages read from such calls at a time, each of up to `RELAY_EDGE_MESSAGE_BYTES`"
    )
    unverified_read: Duration = Field(
        timedelta(seconds=1), ge=timedelta(milliseconds=100), description="for such a message to arrive"
    )
    health_watches: int = Field(
        64, ge=0, description="streams of gRPC's `Health/Watch`, which needs no key; `Health/Check` has no limit"
    )
    linger: Duration = Field(
        timedelta(milliseconds=50),
        ge=timedelta(),
        le=timedelta(seconds=1),
        description="between two writes of a busy stream",
    )
    max_stream_age: Duration = Field(
        timedelta(hours=1), ge=SECOND, description="age at which a stream is moved, give or take a tenth"
    )
    drain_delay: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(),
        description="how long suites have to move when the edge stops; less than the process is given to stop",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.plain_text and (self.tls_cert is not None or self.tls_key is not None):
            raise ValueError("RELAY_EDGE_PLAIN_TEXT: is true although there is a certificate; keep one of the two")
        if not is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_EDGE_TLS_KEY: is not the key of RELAY_EDGE_TLS_CERT")
        return self
