"""Cancelled streams: the memory that an edge keeps of each, beside what it had before.

    edge.py     an edge with telemetry on, which measures itself
    suites.py   suites that open streams and cancel them, half of them while the edge's write to them is blocked
    run.py      runs them, and judges

Half of the streams are read until their snapshot is complete, and then cancelled. The others are never read: they ask for more than
HTTP/2 lets the edge send, so its write waits, and the stream is cancelled in the middle of it. The edge is the whole one, in plain text, with
metrics that are scraped; its allocator is asked to give back what is free before each measurement, as the edge itself does every ten
seconds. A first tenth of the streams is not measured: caches fill, and the allocator takes its arenas.
"""
