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
"""The most that a process needs to stop beyond `drain_delay`: 2 s for the last endings, 2 s of grace, 5 s for what suites watched and
what the audit log is owed, 5 s for a store that does not answer, 3 s for the last metrics. The program that stops the process must wait
for longer: in Kubernetes `terminationGracePeriodSeconds`, which counts the `preStop` hook too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """The edge's addresses and limits."""

    host: str = "0.0.0.0"  # noqa: S104 suites come from outside
    port: int = 443
    """0: any free port; `EdgeServer.port` says which."""
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
    """One received message: 10,000 held users, each with the longest name that can be somebody's (320 characters) and what it
    stood for. Parsing one that is full of the shortest names takes 0.1 s and 130 MB for that long."""
    name_chars: int = 1024
    """One name, however malformed: it is sent back as it came, and this is more than a person needs to know it again."""
    start_bytes: int = 100_000 * 400
    """All parts of a start: 100,000 held users with the longest names that can be somebody's."""
    start_long_chars: int = 1 << 20
    """Characters of all names of a start that are too long for any user. They are kept until they were sent
    back."""
    streams_per_tenant: int = 64
    """Open streams of one tenant at this edge: a tenant has a handful of suites; a client that leaks streams is stopped."""
    tenant_names: int = MOST_NAMES
    """Distinct names of a tenant on all streams of all edges; a tenant's own setting goes before."""
    names_at_once: int = 20_000
    """Names, asked for and given up, in changes of one suite key at once: a whole department, twice."""
    names_a_second: int = 500
    """How many follow each second. A person clicks on one; a suite that opens a list of 500 every second is served."""
    start_names_at_once: int = 200_000
    """Names in starts of one suite key at once: the greatest start, and once more after a broken connection."""
    start_names_a_second: int = 5_000
    """How many follow each second: a suite with 5,000 users can come back every second. 5,000 cost some 60 ms of one core."""

    metadata_bytes: int = 16 << 10
    """Metadata of a call: a suite sends below 1 KiB, proxies add some headers of tracing."""
    unverified_calls: int = 256
    """Calls under way whose suite key was not verified yet, or was found wrong, with the watches of health. Verifying takes
    some milliseconds, so this is a queue of well below a second."""
    verifications_at_once: int = 32
    """Verifications at a time of keys that this edge does not know: few enough that Redis still answers others."""
    unverified_reads: int = 16
    """Messages read from calls without a verified key at the same time: each may be as long as a message may be."""
    unverified_read: timedelta = timedelta(seconds=1)
    """Time limit for such a message to arrive: an honest caller's is there already."""
    health_watches: int = 64
    """Watches of health, which need no key and never end: load balancers and monitors have one each."""
    streams_per_connection: int = 100
    """Calls under way on one connection. A suite has one or two, a proxy opens another connection."""
    handshake: timedelta = timedelta(seconds=10)
    """Time limit of TLS and the beginning of HTTP/2. A silent connection is closed then."""
    connection_age: timedelta = timedelta(seconds=5)
    """How long a connection takes new calls; then it is told so (GOAWAY), and is closed when its last stream ends. So a suite that is
    asked to leave comes back on another connection, even with one channel, and a balancer chooses an edge for it. At most half
    of `drain_delay`. Suites with one or two streams open no more connections for that; one that is shorter costs those that keep
    connections without streams (the policy `round_robin`) a handshake each time."""
    keepalive: timedelta = timedelta(seconds=20)
    """Silence after which a suite is pinged."""
    keepalive_timeout: timedelta = timedelta(seconds=10)
    """Time limit for the answer. A broken connection is noticed within 30 s, before this project's own suite notices it
    (40 s) and comes back: the places of its streams are free by then."""
    ping_interval: timedelta = timedelta(seconds=10)
    """The shortest between two pings of a suite, with streams or without: a suite behind a NAT may ping this often. gRPC forgives
    two that come sooner, and closes the connection at the third."""
    connections: int = 10_000
    """Connections at the same time; `docs/limits.md` says what they cost. Further ones are closed at once."""
    connections_per_address: int = 1_000
    """Connections of one IPv4 address or IPv6 /64. An office behind one address has a connection for each stream at the most, and a
    tenant has
    64 streams; so ten addresses are needed to take all places."""
    trusted_proxies: tuple[str, ...] = PRIVATE_NETWORKS
    """Networks whose addresses are not limited: many suites come from each."""

    linger: timedelta = timedelta(milliseconds=50)
    """Pause between two writes of a busy stream: a write costs the same whatever its size, and nobody notices 50 ms."""
    read_pause: timedelta = timedelta(milliseconds=5)
    """Pause between two reads of `changes` that found something, so that a busy edge reads many entries at once."""
    deliveries_at_once: int = 50_000
    """Answers handed to streams before other tasks have their turn, each some 0.1 us: 5 ms. One entry of `changes` is never divided;
    with 1,000 answers and 64 streams of its tenant it is a little more."""
    progress_default: timedelta = timedelta(seconds=25)
    """Below the 30 s after which common proxies and NATs forget an idle connection."""
    progress_min: timedelta = timedelta(seconds=5)
    progress_max: timedelta = timedelta(minutes=5)
    max_stream_age: timedelta = timedelta(hours=1)
    """Age at which a stream is moved, so that streams spread over new replicas; a tenth more or less, so that they do not move
    together."""
    drain_delay: timedelta = timedelta(seconds=10)
    """Suites are told to leave within this, each at a random moment of it. Must be less than the process is given to stop.
    Streams on connections that still take new ones are told last, when those do not any more."""
    grace: timedelta = timedelta(seconds=2)
    """Time after the drain, before the transport cuts off open streams."""
    blocked_write: timedelta = timedelta(seconds=30)
    """A suite that took nothing for this long has stopped reading; a slow one is served with what is newest."""
    start_parts: timedelta = timedelta(seconds=30)
    """Time limit for all parts of a start to arrive."""
    begin_within: timedelta = timedelta(seconds=5)
    """Time limit of the first snapshot. A stream that cannot begin (store away, or no worker has taken the partition yet) is refused
    then, because a suite that is refused can try another edge."""
    history_check: timedelta = timedelta(seconds=1)
    """How often the store is asked whether it lost history."""
    stale_after_intervals: int = 3
    """Poll intervals without contact, or a worker's beats without a word, after which a tenant is stale: one or two may fail and
    be repeated, and a killed worker's successor has taken over by then."""
    stale_grace: timedelta = timedelta(seconds=2)
    """Added to that: contact entries come once a second and take time to arrive."""
    poll_interval_assumed: timedelta = timedelta(seconds=5)
    """Until the worker has said how often it reads a tenant."""
    forgotten_after: timedelta = COUNTS_FOR
    """Without a sign of life, after which what the edge left in the store is forgotten: the names it watched, and which suites are
    connected to it. Workers look every ten seconds, so a killed edge is forgotten within a minute. Long enough to come back from a
    network split without Graph noticing, and far shorter than users are read on after their last stream. A sign comes three times as often,
    so that two may fail."""
    watch_log_every: timedelta = timedelta(minutes=1)
    """Interval of writing to the audit log which suites began and ended to watch users; a beginning is lost with an edge that is killed
    before."""
    watch_goes_on_for: timedelta = GOES_ON_FOR
    """A suite that is back at this edge within this watched all the time."""
    lookup_names_at_once: int = 16_000
    """Names of the snapshots under way at the same time: enough to keep the store busy, few enough that a storm of reconnecting
    suites does not hold all their answers in memory at once. A snapshot has 2,000 at most, and counts as 250 at least."""
    lookup_names_of_a_tenant: int = 6_000
    """The part of these that one tenant may have: 24 small snapshots, so that 40 suites that come back together to a store which is 200
    ms
    away have theirs in half a second."""


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
