"""Fan-out: the CPU of a delivery, compared with nats-server on the same schedule.

    schedule.py   the schedule of changes: the instant and the bytes of each
    streams.py    the reading streams of both sides: one process on raw sockets, so that reading costs little
    relay.py      the relay's side: a worker that accepts changes, an edge, Valkey
    nats.py       the other side: a publisher, nats-server
    bare.py       gRPC streams that write the same bytes and do nothing else
    run.py        runs both sides in turn and compares

Fairness: both sides get the same single-user changes at the same instants with the same bytes, over plain text; every change
must arrive (99.9 %) within 150 ms (p99) on both, otherwise the run is void. A change's latency counts from the instant at which
it was due. The cost is the CPU of all server processes from before the first delivery to after the last: the
relay's are worker, Valkey and edge. The publisher of nats-server does not count.

Changes come as from a worker's reads: a page has a few changed users of one tenant at the same time. The relay accepts them
together. They are published to nats-server one by one, but at the same time, so that it too may write several to a stream
together. With `--alone` every change comes separately instead.
"""
