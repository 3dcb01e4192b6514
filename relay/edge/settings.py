"""Every limit and timing of the edge, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from relay.core.spans import GOES_ON_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """How the edge listens and what it allows."""

    host: str = "0.0.0.0"  # noqa: S104 suites come from outside
    port: int = 443
    """0: any free port; `EdgeServer.port` says which."""
    tls_cert_pem: bytes | None = None
    """Certificate chain, PEM. With neither this nor the key: plain text, for benchmarks or behind a mesh only."""
    tls_key_pem: bytes | None = field(default=None, repr=False)

    message_users: int = 10_000
    """Users in one message: one of them keeps the event loop busy for some 50 ms."""
    stream_users: int = 100_000
    """Users on one stream: more than any one organisation's console shows; some 30 MB of memory."""
    message_bytes: int = 8 << 20
    """One received message: 10,000 names of the greatest length that a UPN can have, twice over."""
    name_chars: int = 1 << 16
    """One name, however malformed: names are sent back as they came, and responses must stay under 4 MiB."""
    streams_per_tenant: int = 64
    """Open streams of one tenant at this edge: a tenant has a handful of suites; a client that leaks streams is stopped."""

    linger: timedelta = timedelta(milliseconds=50)
    """Between two writes of a busy stream: a write costs the same whatever its size, and 50 ms nobody sees."""
    read_pause: timedelta = timedelta(milliseconds=5)
    """Between two reads of `changes` that found something, so that a busy edge reads many entries at once."""
    progress_default: timedelta = timedelta(seconds=25)
    """Below the 30 s after which common proxies and NATs forget an idle connection."""
    progress_min: timedelta = timedelta(seconds=5)
    progress_max: timedelta = timedelta(minutes=5)
    max_stream_age: timedelta = timedelta(hours=1)
    """So that streams spread over new replicas; a tenth more or less, so that they do not move together."""
    drain_delay: timedelta = timedelta(seconds=10)
    """Suites are told to leave within this, each at a random moment of it. Must be less than the process is given to stop."""
    grace: timedelta = timedelta(seconds=2)
    """After the drain, before the transport cuts what is left."""
    blocked_write: timedelta = timedelta(seconds=30)
    """A suite that took nothing for this long has stopped reading; a slow one is served with what is newest."""
    start_parts: timedelta = timedelta(seconds=30)
    """For all parts of a start to arrive."""
    begin_within: timedelta = timedelta(seconds=5)
    """For the first snapshot. A stream that cannot begin (store away, or no worker has taken the partition yet) is refused
    then, because a suite that is refused can try another edge."""
    history_check: timedelta = timedelta(seconds=1)
    """How often the store is asked whether it lost history."""
    stale_after_intervals: int = 3
    """Poll intervals without contact, or a worker's beats without a word, after which a tenant is stale: one or two may fail and
    be repeated, and a killed worker's successor has taken over by then."""
    stale_grace: timedelta = timedelta(seconds=2)
    """On top of that: contact entries come once a second and travel."""
    poll_interval_assumed: timedelta = timedelta(seconds=5)
    """Until the worker has said how often it reads a tenant."""
    interest_renewal: timedelta = timedelta(seconds=20)
    """A third of the time for which the store keeps interest, so that two may fail."""
    watch_log_every: timedelta = timedelta(minutes=1)
    """How often the audit log is told who began and ended to watch whom; a beginning is lost with an edge that is killed before."""
    watch_goes_on_for: timedelta = GOES_ON_FOR
    """A suite that is back at this edge within this watched all the time."""
    lookups_at_once: int = 8
    """Snapshots under way at the same time: enough to keep the store busy, few enough that a storm of reconnecting suites
    does not hold all their answers in memory at once."""
