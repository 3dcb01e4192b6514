"""Cancelled streams: the memory that an edge still holds after each.

    edge.py     an edge with telemetry on, which measures itself
    bare.py     gRPC alone, with the same streams
    memory.py   the memory of a server without streams
    suites.py   suites that open streams and cancel them, half of them while the server's write to them is blocked
    run.py      runs them, and compares

Half of the streams are read until their snapshot is complete, and then cancelled. The others are never read: they ask for more than
HTTP/2 lets the edge send, so its write waits, and the stream is cancelled in the middle of it. The edge is the whole one, in plain text, with
metrics that are scraped. A first tenth of the streams is not measured: caches fill. No connection is open while the edge is measured.

Memory in use is compared: blocks that the C library has handed out and not got back, and Python's objects. Resident memory is printed too, but
small blocks keep whole pages resident after the largest batch.

A write that fails leaves some 290 bytes in C, as many after 3,000 streams as after 10,000, in the bare server as well; a stream that was
read leaves some 25, and nothing of Python is left. The likely cause is gRPC's core, whose source (`execute_batch`) frees the operations of a
batch only when it succeeded.
"""
