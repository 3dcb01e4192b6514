"""Settings of the edge: the address for suites, and their limits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from relay.core.watching.limits import HIGHEST, MOST_NAMES
from relay.http.admission import PRIVATE_NETWORKS
from relay.settings.env import Duration, SettingsGroup
from relay.settings.validators import SECOND, Certificates, ListenHost, MarkKeys, Port, PrivateKey, Proxies, is_pair

if TYPE_CHECKING:
    from typing import Self


class WatchConfig(SettingsGroup):
    """Limits and times of suites' streams."""

    model_config = SettingsConfigDict(env_prefix="RELAY_WATCH_")

    linger: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(),
        description="time for which users are still read after their last suite has left",
    )
    progress_interval: Duration = Field(
        timedelta(seconds=25),
        ge=timedelta(seconds=5),
        le=timedelta(minutes=5),
        description="time between two progress messages on an idle stream, unless the suite requests another",
    )
    streams_per_tenant: int = Field(64, ge=1, description="number of open streams of one tenant at one edge")
    unknown_linger: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(),
        description="time for which a name without a user is kept after the last suite has left",
    )
    tenant_names: int = Field(
        MOST_NAMES,
        ge=1,
        le=HIGHEST,
        description="number of distinct users of one tenant on all its streams; `presence-relay tenants limit` sets "
        "another number for one tenant",
    )
    names_at_once: int = Field(
        20_000,
        ge=1,
        description="number of names, added and removed, that changes with one suite key may have at once at one edge",
    )
    names_a_second: int = Field(
        500,
        ge=1,
        description="number of names a second that follow `RELAY_WATCH_NAMES_AT_ONCE`. Beyond, the edge reads the "
        "next change later",
    )
    start_names_at_once: int = Field(
        200_000, ge=1, description="number of names that starts with one suite key may have at once at one edge"
    )
    start_names_a_second: int = Field(
        5_000,
        ge=1,
        description="number of names a second that follow `RELAY_WATCH_START_NAMES_AT_ONCE`. Beyond, the edge reads "
        "the next start later",
    )


class EdgeConfig(SettingsGroup):
    """Address, TLS and limits of the edge."""

    model_config = SettingsConfigDict(env_prefix="RELAY_EDGE_")

    host: ListenHost = Field("0.0.0.0", description="address to listen on; `::` for IPv6 and IPv4")  # noqa: S104  suites come from outside
    port: Port = Field(8443, description="port to listen on; 0 takes a free one. Suites expect 443 in front of it")
    tls_cert: Certificates | None = Field(
        None, description="certificate chain for the name that suites connect to, PEM"
    )
    tls_key: PrivateKey | None = Field(
        None, description="private key of `RELAY_EDGE_TLS_CERT`, PEM, without a password"
    )
    plain_text: bool = Field(
        default=False,
        description="serve without TLS, which shows suite keys to the network: use it only behind a mesh that encrypts",
    )
    mark_keys: MarkKeys | None = Field(
        None,
        description="public keys (JWK set) that verify the marks of suite keys, so that no one can create a key by "
        "writing to Redis. `presence-relay keyring public` writes the file from the key ring. Not "
        "needed where the key ring is",
    )
    connections: int = Field(
        10_000,
        ge=10,
        description="number of open connections, never more than a quarter of `nofile`; others are closed at once",
    )
    connections_per_address: int = Field(
        1_000,
        ge=1,
        description="number of open connections from one IPv4 address or IPv6 /64; the newest beyond it are closed "
        "within a second. Networks of `RELAY_EDGE_TRUSTED_PROXIES` are not limited",
    )
    trusted_proxies: Proxies = Field(
        ",".join(PRIVATE_NETWORKS),
        description="addresses and networks, separated by commas, that `RELAY_EDGE_CONNECTIONS_PER_ADDRESS` does not "
        "limit: balancers and nodes, behind which many suites have one address",
    )
    streams_per_connection: int = Field(
        100, ge=1, description="number of calls under way on one connection; a proxy opens another connection for more"
    )
    handshake: Duration = Field(
        timedelta(seconds=10),
        ge=SECOND,
        description="time limit of TLS and the beginning of HTTP/2 on a new connection",
    )
    connection_age: Duration = Field(
        timedelta(seconds=5),
        ge=SECOND,
        description="time for which a connection takes new streams. Later streams open another connection, which a "
        "balancer places again. At most half of `RELAY_EDGE_DRAIN_DELAY`",
    )
    keepalive: Duration = Field(
        timedelta(seconds=20),
        ge=SECOND,
        le=timedelta(hours=2),
        description="time without a byte from a suite after which the edge pings it",
    )
    keepalive_timeout: Duration = Field(
        timedelta(seconds=10),
        ge=SECOND,
        le=timedelta(minutes=2),
        description="time that a suite has to answer a ping; then its connection is closed",
    )
    ping_interval: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
        description="shortest time between two pings of a suite. A connection that pings more often is closed with "
        "`too_many_pings`. This project's client pings every 30 seconds",
    )
    metadata_bytes: int = Field(
        16_384, ge=1024, description="size of a call's metadata. A suite sends less than 1 KiB; proxies add some"
    )
    message_bytes: int = Field(
        4 << 20, ge=1 << 20, description="size of one message of a suite: 10,000 held users with the longest names"
    )
    start_bytes: int = Field(
        40_000_000, ge=1 << 20, description="size of all parts of a start: 100,000 held users with the longest names"
    )
    start_long_chars: int = Field(
        1 << 20,
        ge=0,
        description="characters of all names in a start that are too long for any user; they are kept until they "
        "are sent back",
    )
    name_chars: int = Field(
        1024, ge=320, le=65_536, description="characters of one name, however malformed; it is sent back as it came"
    )
    unverified_calls: int = Field(
        256,
        ge=2,
        description="number of calls under way whose suite key is not verified yet or is wrong, health watches "
        "included; others are refused at once",
    )
    verifications_at_once: int = Field(
        32,
        ge=1,
        description="number of suite keys that are verified at a time, of keys that are new to this edge; others "
        "wait among `RELAY_EDGE_UNVERIFIED_CALLS`",
    )
    unverified_reads: int = Field(
        16,
        ge=1,
        description="number of messages read at a time from unverified calls, each of up to `RELAY_EDGE_MESSAGE_BYTES`",
    )
    unverified_read: Duration = Field(
        timedelta(seconds=1),
        ge=timedelta(milliseconds=100),
        description="time limit for a message of an unverified call to arrive",
    )
    health_watches: int = Field(
        64,
        ge=0,
        description="number of streams of gRPC's `Health/Watch`, which needs no key; `Health/Check` has no limit",
    )
    linger: Duration = Field(
        timedelta(milliseconds=50),
        ge=timedelta(),
        le=timedelta(seconds=1),
        description="time between two writes on a busy stream",
    )
    max_stream_age: Duration = Field(
        timedelta(hours=1),
        ge=SECOND,
        description="age at which a stream is moved to another connection, plus or minus a tenth",
    )
    drain_delay: Duration = Field(
        timedelta(seconds=10),
        ge=timedelta(),
        description="time over which suites are moved when the edge stops, each at a random moment. The process needs up "
        "to 20 seconds more than this to stop",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.plain_text and (self.tls_cert is not None or self.tls_key is not None):
            raise ValueError("RELAY_EDGE_PLAIN_TEXT: is true although there is a certificate; keep one of the two")
        if not is_pair(self.tls_cert, self.tls_key):
            raise ValueError("RELAY_EDGE_TLS_KEY: is not the key of RELAY_EDGE_TLS_CERT")
        return self
