"""Cancelled streams: the memory that an edge keeps of each, beside what it had before.

    edge.py     an edge with telemetry on, which measures itself
    suites.py   suites that open streams and cancel them, half of them while the edge's write to them is blocked
    run.py      runs them, and judges

Half of the streams are read until their snapshot is complete, and then cancelled. The others are never read: they ask for more than
HTTP/2 lets the edge send, so its write waits, and the stream is cancelled in the middle of it. The edge is the whole one, in plain text, with
metrics that are scraped. A first tenth of the streams is not measured: caches fill. No connection is open while the edge is measured.

What counts is memory in use: what the C library has given away and not got back, and Python's objects. Resident memory is printed
beside. It grows for longer, because one small piece keeps a page of what the largest batch once had, and no further than that.

grpcio (1.85) frees the operations of a batch only when the batch succeeded (`execute_batch` in its source), so a write that fails costs
some 290 bytes for good, in C. Nothing of Python is left.
"""
