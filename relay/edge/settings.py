"""Every limit and timing of the edge, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from relay.core.audit.watch_intervals import GOES_ON_FOR
from relay.core.watching.limits import MOST_NAMES
from relay.http.admission import PRIVATE_NETWORKS
from relay.ops.server_certificate import LOOK_EVERY
from relay.settings.validators import key_bytes, listed, pem_bytes
from relay.store.presence.connected import COUNTS_FOR

if TYPE_CHECKING:
    from pathlib import Path

    from relay.settings.groups.edge import EdgeConfig, WatchConfig
    from relay.settings.groups.reading import PollConfig

STOP_MARGIN: Final = timedelta(seconds=20)
"""Longest time that a process needs to stop beyond `drain_delay`: 2 s to send the last endings, 2 s of grace, 5 s to
write the audit log and remove watched names, 5 s for a store that does not answer, 3 s for the last metrics. The
program that stops the process must wait
for longer: in Kubernetes `terminationGracePeriodSeconds`, which counts the `preStop` hook too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """The edge's addresses and limits."""

    host: str = "0.0.0.0"  # noqa: S104 suites come from outside
    port: int = 443
    """0: any free port, which `EdgeServer.port` returns."""
    tls_cert_pem: bytes | None = None
    """Certificate chain, PEM. With neither this nor the key: plain text, for benchmarks or behind a mesh only."""
    tls_key_pem: bytes | None = field(default=None, repr=False)
    tls_files: tuple[Path, Path] | None = None
    """Files of both, which are read again when they change."""
    tls_look_every: timedelta = LOOK_EVERY
    """Interval of checking whether they changed."""
    shares_port: bool = False
    """Whether other processes of this machine listen on the same port (SO_REUSEPORT): the kernel spreads connections over them."""

    message_users: int = 10_000
    """Users in one message: one of them keeps the event loop busy for some 50 ms."""
    stream_users: int = 100_000
    """Users on one stream: more than any one organisation's console shows; some 30 MB of memory."""
    message_bytes: int = 4 << 20
    """One received message: 10,000 held users, each with the longest possible name (320 characters) and the id that it
    stood for. Parsing a message full of the shortest names takes 0.1 s, and 130 MB meanwhile."""
    name_chars: int = 1024
    """Characters of one name, also of a malformed one: it is sent back unchanged, and this is enough to recognise it."""
    start_bytes: int = 100_000 * 400
    """All parts of a start: 100,000 held users with the longest possible names."""
    start_long_chars: int = 1 << 20
    """Characters of all names of a start that are too long for any user. They stay in memory until they were sent
    back."""
    streams_per_tenant: int = 64
    """Open streams of one tenant at this edge: a tenant has a handful of suites; a client that leaks streams is stopped."""
    tenant_names: int = MOST_NAMES
    """Distinct names of a tenant on all streams of all edges, unless the tenant has its own setting."""
    names_at_once: int = 20_000
    """Burst of names, added and removed, in changes of one suite key: a whole department, twice."""
    names_a_second: int = 500
    """Names a second after that burst. A person clicks on one; the limit allows a suite that opens a list of 500 every second."""
    start_names_at_once: int = 200_000
    """Burst of names in starts of one suite key: the largest start, and once more after a broken connection."""
    start_names_a_second: int = 5_000
    """Names a second after that burst: a suite with 5,000 users can reconnect every second. 5,000 cost some 60 ms of one core."""

    metadata_bytes: int = 16 << 10
    """Metadata of a call: a suite sends below 1 KiB, proxies add some headers of tracing."""
    unverified_calls: int = 256
    """Calls under way whose suite key is not verified yet or is wrong, including watches of health. Verification takes
    some milliseconds, so the queue is well below a second."""
    verifications_at_once: int = 32
    """Concurrent verifications of keys that this edge does not know: few enough that Redis still answers other requests."""
    unverified_reads: int = 16
    """Messages read from calls without a verified key at the same time: each may be as long as a message may be."""
    unverified_read: timedelta = timedelta(seconds=1)
    """Time limit for such a message to arrive: that of a legitimate caller has already arrived."""
    health_watches: int = 64
    """Watches of health, which need no key and never end: load balancers and monitors have one each."""
    streams_per_connection: int = 100
    """Calls under way on one connection. A suite has one or two, a proxy opens another connection."""
    handshake: timedelta = timedelta(seconds=10)
    """Time limit of the TLS handshake and the HTTP/2 preface. A silent connection is closed then."""
    connection_age: timedelta = timedelta(seconds=5)
    """Age until which a connection takes new calls. Then the edge sends GOAWAY, and the connection closes when its last
    stream ends. So a suite that is asked to leave reconnects on another connection, even with one channel, and a
    balancer chooses an edge for it. At most half of `drain_delay`. Suites with one or two streams open no more
    connections because of it. A shorter age costs suites that keep connections without streams (the policy
    `round_robin`) a handshake each time."""
    keepalive: timedelta = timedelta(seconds=20)
    """Silence after which a suite is pinged."""
    keepalive_timeout: timedelta = timedelta(seconds=10)
    """Time limit for the answer. The edge detects a broken connection within 30 s, before this project's own suite does
    (40 s) and reconnects: the places of its streams are free by then."""
    ping_interval: timedelta = timedelta(seconds=10)
    """Shortest time between two pings of a suite, with or without streams: a suite behind a NAT may ping this often.
    gRPC tolerates two earlier pings, and closes the connection at the third."""
    connections: int = 10_000
    """Concurrent connections; `docs/limits.md` states their cost. Further ones are closed at once."""
    connections_per_address: int = 1_000
    """Connections of one IPv4 address or IPv6 /64. An office behind one address has at most one connection for each
    stream, and a tenant has 64 streams. An attacker needs ten addresses to take all places."""
    trusted_proxies: tuple[str, ...] = PRIVATE_NETWORKS
    """Networks whose addresses are not limited, because many suites connect from one address."""

    linger: timedelta = timedelta(milliseconds=50)
    """Pause between two writes of a busy stream: a write costs the same for any size, and users do not notice 50 ms."""
    read_pause: timedelta = timedelta(milliseconds=5)
    """Pause between two reads of `changes` that found something, so that a busy edge reads many entries at once."""
    deliveries_at_once: int = 50_000
    """Answers delivered to streams before other tasks run, each some 0.1 us: 5 ms. One entry of `changes` is never
    divided; with 1,000 answers and 64 streams of its tenant it is a little more."""
    progress_default: timedelta = timedelta(seconds=25)
    """Less than the 30 s after which common proxies and NATs drop an idle connection."""
    progress_min: timedelta = timedelta(seconds=5)
    progress_max: timedelta = timedelta(minutes=5)
    max_stream_age: timedelta = timedelta(hours=1)
    """Age at which a stream is moved, so that streams spread over new replicas; a tenth more or less, so that they do not move
    together."""
    drain_delay: timedelta = timedelta(seconds=10)
    """Time over which suites are asked to leave, each at a random moment. Must be less than the time that the process
    has to stop. Streams on connections that still take new streams are asked last, after GOAWAY."""
    grace: timedelta = timedelta(seconds=2)
    """Time after the drain, before the transport cuts off open streams."""
    blocked_write: timedelta = timedelta(seconds=30)
    """A suite that read nothing for this long counts as stopped; a slow suite gets the newest answers."""
    start_parts: timedelta = timedelta(seconds=30)
    """Time limit for all parts of a start to arrive."""
    begin_within: timedelta = timedelta(seconds=5)
    """Time limit of the first snapshot. A stream that cannot begin by then (store unavailable, or no worker owns the
    partition yet) is refused, so that the suite can try another edge."""
    history_check: timedelta = timedelta(seconds=1)
    """Interval of the check whether the store lost history."""
    stale_after_intervals: int = 3
    """Poll intervals without contact, or missed heartbeats of a worker, after which a tenant is stale: one or two may
    fail and be repeated, and another worker has taken over from a killed one by then."""
    stale_grace: timedelta = timedelta(seconds=2)
    """Added to that: contact entries come once a second and take time to arrive."""
    poll_interval_assumed: timedelta = timedelta(seconds=5)
    """Poll interval to assume until the worker has written the tenant's interval."""
    forgotten_after: timedelta = COUNTS_FOR
    """Time without a heartbeat after which the edge's entries in the store expire: the names it watched, and which
    suites are connected to it. Workers check every ten seconds, so the entries of a killed edge are gone within a
    minute. Long enough to survive a network split without a change at Graph, and far shorter than the time for which
    users are still read after their last stream. Heartbeats come three times as often, so that two may fail."""
    watch_log_every: timedelta = timedelta(minutes=1)
    """Interval of writes to the audit log of which suites began or stopped watching users. If an edge is killed, the
    begins since its last write are lost."""
    watch_goes_on_for: timedelta = GOES_ON_FOR
    """A suite that reconnects to this edge within this time counts as watching without a break."""
    lookup_names_at_once: int = 16_000
    """Names of all concurrent snapshots: enough to keep the store busy, few enough that a storm of reconnecting suites
    does not hold all their answers in memory at once. A snapshot has at most 2,000, and counts as at least 250."""
    lookup_names_of_a_tenant: int = 6_000
    """Share of one tenant: 24 small snapshots, so that 40 suites that reconnect together get their snapshots in half a
    second from a store with 200 ms latency."""


def edge_settings(edge: EdgeConfig, watch: WatchConfig, poll: PollConfig) -> EdgeSettings:
    """Return the settings of the edge, from the operator's."""
    return EdgeSettings(
        host=edge.host,
        port=edge.port,
        tls_cert_pem=pem_bytes(edge.tls_cert),
        tls_key_pem=key_bytes(edge.tls_key),
        streams_per_tenant=watch.streams_per_tenant,
        tenant_names=watch.tenant_names,
        names_at_once=watch.names_at_once,
        names_a_second=watch.names_a_second,
        start_names_at_once=watch.start_names_at_once,
        start_names_a_second=watch.start_names_a_second,
        progress_default=watch.progress_interval,
        poll_interval_assumed=poll.interval,
        connections=edge.connections,
        streams_per_connection=edge.streams_per_connection,
        connections_per_address=edge.connections_per_address,
        trusted_proxies=listed(edge.trusted_proxies),
        handshake=edge.handshake,
        keepalive=edge.keepalive,
        keepalive_timeout=edge.keepalive_timeout,
        ping_interval=edge.ping_interval,
        connection_age=edge.connection_age,
        metadata_bytes=edge.metadata_bytes,
        message_bytes=edge.message_bytes,
        start_bytes=edge.start_bytes,
        start_long_chars=edge.start_long_chars,
        name_chars=edge.name_chars,
        unverified_calls=edge.unverified_calls,
        verifications_at_once=edge.verifications_at_once,
        unverified_reads=edge.unverified_reads,
        unverified_read=edge.unverified_read,
        health_watches=edge.health_watches,
        linger=edge.linger,
        max_stream_age=edge.max_stream_age,
        drain_delay=edge.drain_delay,
    )
